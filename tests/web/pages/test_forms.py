"""Forms: taken from their own session, page and scope only; asked back where it costs."""

import re
from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest

from scheduler.domain.access import Scope
from scheduler.web.app import create_app
from scheduler.web.routing import list_routes
from tests.web.pages.rig import FROM_HERE, fill, new_run, sign_in
from tests.web.rig import Served

OPEN = ("/sign-in", "/sign-out", "/zone")
"""What needs no session: each looks at where it comes from."""


def forms(served: Served) -> list[tuple[str, Scope]]:
    """Return the path of every form of a page, filled in, and the scope that it takes."""
    return [
        (path.replace("{name}", "nightly").replace("{run_id}", "1"), access.needed[0])
        for method, path, access in list_routes(create_app(served.site))
        if method == "POST" and not path.startswith(("/api/", "/dca/")) and path not in OPEN
    ]


def test_every_form_is_refused_from_elsewhere_without_its_word_and_by_a_lesser_scope(
    server_on_sqlite: Served,
) -> None:
    fill(server_on_sqlite)
    before = server_on_sqlite.get("/api/v1/changes?limit=500").text
    all_forms = forms(server_on_sqlite)
    assert len(all_forms) > 15
    admin, reader = (sign_in(server_on_sqlite, scope) for scope in (Scope.ADMIN, Scope.READ))

    for path, needed in all_forms:
        elsewhere = admin.post(path, {**FROM_HERE, "Sec-Fetch-Site": "cross-site"})
        of_another = admin.post(path, {**FROM_HERE, "Sec-Fetch-Site": "none", "Origin": "http://x"})
        without = admin.post(path, csrf="")
        wrong = admin.post(path, csrf=reader.csrf())
        lesser = reader.post(path)
        by_token = server_on_sqlite.post(path, data={"csrf": admin.csrf()})

        assert needed in (Scope.OPERATE, Scope.ADMIN)
        for refused in (elsewhere, of_another, without, wrong, lesser, by_token):
            assert refused.status_code == 403, (path, refused.text)
    assert server_on_sqlite.get("/api/v1/changes?limit=500").text == before


def test_an_operator_may_not_make_a_token(server_on_sqlite: Served) -> None:
    session = sign_in(server_on_sqlite, Scope.OPERATE)

    assert session.post("/system/tokens", name="mine", scope="admin").status_code == 403


def test_a_run_is_cancelled_and_the_page_says_so_once(served: Served) -> None:
    run = new_run(served)
    session = sign_in(served, Scope.OPERATE)

    answer = session.post(f"/runs/{run}/cancel", reason="not needed")

    assert (answer.status_code, answer.headers["location"]) == (303, f"/runs/{run}")
    shown = served.get(f"/api/v1/runs/{run}").json()
    assert (shown["state"], "not needed" in shown["detail"]) == ("cancelled", True)
    assert f"run {run} is being cancelled" in session.get(f"/runs/{run}").text
    assert f"run {run} is being cancelled" not in session.get(f"/runs/{run}").text
    events = served.get(f"/api/v1/runs/{run}/events").json()["items"]
    assert events[-1]["by"].startswith("http:a-operate@")


def test_what_costs_is_asked_back_with_what_the_form_had_said(served: Served) -> None:
    new_run(served, queue="night")
    session = sign_in(served, Scope.OPERATE)
    session.post("/queues/night/pause", reason="stock-taking", until="2099-01-01T00:00")
    paused = served.get("/api/v1/queues/night").json()["items"][0]
    assert (paused["paused_reason"], paused["paused_until"][:10]) == ("stock-taking", "2099-01-01")

    asked = session.post("/queues/night/resume")
    wrong = session.post("/queues/night/resume", confirm="7")
    meant = session.post("/queues/night/resume", confirm="1")

    assert (asked.status_code, 'name="confirm" value="1"' in asked.text) == (409, True)
    assert wrong.status_code == 409
    assert meant.status_code == 303
    assert served.get("/api/v1/queues/night").json()["items"][0]["paused_at"] is None


def test_an_account_that_is_resumed_is_asked_back_where_runs_wait(served: Served) -> None:
    new_run(served)
    session = sign_in(served, Scope.OPERATE)
    session.post("/accounts/main/pause", reason="the bill")

    asked = session.post("/accounts/main/resume")
    over_http = served.post("/api/v1/accounts/main/resume", Scope.OPERATE)
    meant = session.post("/accounts/main/resume", confirm="1")

    assert (asked.status_code, 'name="confirm" value="1"' in asked.text) == (409, True)
    assert (over_http.status_code, over_http.json()["count"]) == (409, 1)
    assert meant.status_code == 303
    assert served.get("/api/v1/accounts/main").json()["paused_at"] is None


def test_all_that_a_filter_chooses_is_sent_once_more_after_it_was_listed(served: Served) -> None:
    ids = [new_run(served) for _ in range(3)]
    session = sign_in(served, Scope.OPERATE)
    for run in ids:
        session.post(f"/runs/{run}/cancel", reason="x")

    listed = session.get("/runs/retry?state=cancelled&collector=products").text
    sent = session.post("/runs/retry?state=cancelled&collector=products", confirm="3")

    assert "Send 3 runs once more" in listed
    assert sent.status_code == 303
    assert len(served.get("/api/v1/runs?state=queued").json()["items"]) == 3


def test_all_that_a_filter_chooses_is_cancelled_as_often_as_it_was_listed(
    server_on_sqlite: Served,
) -> None:
    for _ in range(3):
        new_run(server_on_sqlite)
    session = sign_in(server_on_sqlite, Scope.OPERATE)

    listed = session.get("/runs/cancel?collector=products").text
    one_more = new_run(server_on_sqlite)
    of_all = session.get("/runs/cancel").text
    asked = session.post("/runs/cancel?collector=products", confirm="3", reason="too many")
    done = session.post("/runs/cancel?collector=products", confirm="4", reason="too many")

    assert "3 runs fit the filter" in listed
    assert "4 runs would be cancelled." in of_all
    assert "(no state is chosen)" in session.get("/runs/retry?collector=products").text
    assert (asked.status_code, done.status_code) == (409, 303)
    shown = server_on_sqlite.get(f"/api/v1/runs/{one_more}").json()
    assert (shown["state"], "too many" in shown["detail"]) == ("cancelled", True)


def test_several_schedules_are_paused_and_resumed_all_or_none(served: Served) -> None:
    session = sign_in(served, Scope.OPERATE)

    none = session.post("/schedules/pause", reason="x")
    unknown = session.post("/schedules/pause", reason="x", name=["nightly", "nobody"])
    assert (none.status_code, unknown.status_code) == (422, 404)
    assert served.get("/api/v1/schedules/nightly").json()["paused_at"] is None
    listed = session.post("/schedules/pause", reason="x", all="1")
    assert served.get("/api/v1/schedules/nightly").json()["paused_at"] is None
    done = session.post("/schedules/pause", reason="x", listed="1", name="nightly")
    assert "Pause 1 schedule<" in listed.text
    assert '<a href="/schedules" data-key="s" aria-current="page">' in listed.text
    assert '<input type="hidden" name="reason" value="x">' in listed.text
    assert unquote(done.cookies["dcas_done"].strip('"')) == "1 schedule is paused"
    assert served.get("/api/v1/schedules/nightly").json()["paused_reason"] == "x"
    assert "Resume 1 schedule<" in session.post("/schedules/resume", all="1").text
    session.post("/schedules/resume", listed="1", name="nightly")
    assert served.get("/api/v1/schedules/nightly").json()["paused_at"] is None


def test_several_schedules_are_fired_after_they_were_listed(served: Served) -> None:
    made = {"name": "mine", "collector": "products", "batch": "pages", "cron": "0 2 * * *"}
    served.post("/api/v1/schedules", json=made)
    session = sign_in(served, Scope.OPERATE)

    listed = session.post("/schedules/fire?collector=products", all="1")
    asked = session.post("/schedules/fire?collector=products", listed="1", name=["mine", "nightly"])
    assert served.get("/api/v1/runs").json()["items"] == []
    fired = session.post("/schedules/fire", listed="1", name=["mine", "nightly"], confirm="2")

    assert "Fire 2 schedules" in listed.text
    assert "/api/v1/schedules/fire?collector=products&amp;dry_run=true" in listed.text
    assert "curl -X POST" in listed.text
    assert (asked.status_code, "make 2 runs" in asked.text) == (409, True)
    assert fired.status_code == 303
    runs = served.get("/api/v1/runs").json()["items"]
    assert sorted(run["schedule"] for run in runs) == ["mine", "nightly"]


def test_a_label_is_put_on_what_no_file_owns_and_taken_off(served: Served) -> None:
    made = {"name": "mine", "collector": "products", "batch": "pages", "cron": "0 2 * * *"}
    served.post("/api/v1/schedules", json={**made, "labels": ["eu"]})
    session = sign_in(served, Scope.ADMIN)

    listed = session.post("/schedules/label", all="1", label="dear").text
    session.post("/schedules/label", listed="1", name=["mine", "nightly"], label="dear")
    labels = served.get("/api/v1/schedules/mine").json()["labels"]
    session.post("/schedules/label", listed="1", name="mine", label="eu", off="1")

    assert "Put dear on 1 schedule" in listed
    assert "/api/v1/schedules/label?dry_run=true" in listed
    assert "&#34;label&#34;: &#34;dear&#34;" in listed
    assert "that a file owns" in listed
    assert labels == ["eu", "dear"]
    assert served.get("/api/v1/schedules/mine").json()["labels"] == ["dear"]
    assert served.get("/api/v1/schedules/nightly").json()["labels"] == []


def test_a_token_is_shown_once_and_revoked(served: Served) -> None:
    session = sign_in(served, Scope.ADMIN)

    made = session.post(
        "/system/tokens", name="ci", scope="trigger", collectors="news", lasts="90d"
    )
    token = made.text.partition("dcas_")[2][:49]
    session.post("/system/tokens/ci/revoke")

    assert made.status_code == 200
    assert len(token) == 49
    assert token not in session.get("/system").text
    assert "revoked" in session.get("/system").text


@pytest.mark.parametrize("form", [{}, {"reason": "  "}, {"reason": "x", "until": "yesterday"}])
def test_a_form_that_says_too_little_is_a_page_that_says_what(
    server_on_sqlite: Served, form: dict[str, Any]
) -> None:
    session = sign_in(server_on_sqlite, Scope.OPERATE)

    answer = session.post("/accounts/main/pause", **form)

    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")


def test_a_schedule_that_no_file_owns_is_changed_after_it_is_shown_what_comes(
    served: Served,
) -> None:
    made = {"name": "mine", "collector": "products", "batch": "pages", "cron": "0 2 * * *"}
    served.post("/api/v1/schedules", json=made)
    session = sign_in(served, Scope.ADMIN)
    page = session.get("/schedules/mine/edit").text
    assert 'name="cron" value="0 2 * * *"' in page

    shown = session.post("/schedules/mine/edit", cron="0 2,14 * * *", priority="7")
    assert "30 occurrences more" in shown.text
    assert served.get("/api/v1/schedules/mine").json()["cron"] == "0 2 * * *"
    tag = re.search(r'name="tag" value="([^"]+)"', shown.text)
    assert tag is not None
    sent: dict[str, Any] = {
        "values": '{"cron": "0 2,14 * * *", "priority": 7}',
        "tag": unescape(tag[1]),
    }
    saved = session.post("/schedules/mine/save", **sent)
    again = session.post("/schedules/mine/save", **sent)

    assert saved.status_code == 303
    assert again.status_code == 412
    changed = served.get("/api/v1/schedules/mine").json()
    assert (changed["cron"], changed["priority"]) == ("0 2,14 * * *", 7)


@pytest.mark.parametrize("said", [{"cron": "nonsense"}, {"priority": "many"}, {}])
def test_an_edit_that_cannot_be_is_refused_in_a_sentence(
    server_on_sqlite: Served, said: dict[str, Any]
) -> None:
    made = {"name": "mine", "collector": "products", "batch": "pages", "cron": "0 2 * * *"}
    server_on_sqlite.post("/api/v1/schedules", json=made)
    session = sign_in(server_on_sqlite, Scope.ADMIN)

    assert session.post("/schedules/mine/edit", **said).status_code == 422


@pytest.mark.parametrize(
    ("table", "made", "said", "column", "becomes"),
    [
        ("collectors", {"collector_id": "c_x", "account": "main"}, "5", "max_running", 5),
        ("batches", {"inputs": [{"url": "https://example.com"}]}, "url", "required", ["url"]),
        ("queues", {"queue_order": "strict"}, "7", "max_depth", 7),
        (
            "schedules",
            {"collector": "products", "batch": "pages", "every": "1h"},
            '{"type": "webhook", "url": "https://example.com"}',
            "notify",
            {"type": "webhook", "url": "https://example.com"},
        ),
    ],
)
def test_a_definition_that_no_file_owns_is_edited(
    server_on_sqlite: Served,
    table: str,
    made: dict[str, Any],
    said: str,
    column: str,
    becomes: object,
) -> None:
    created = server_on_sqlite.post(f"/api/v1/{table}", json={"name": "mine", **made})
    assert created.is_success, created.text
    session = sign_in(server_on_sqlite, Scope.ADMIN)
    assert f'name="{column}"' in session.get(f"/{table}/mine/edit").text

    typed: dict[str, Any] = {column: said}
    shown = session.post(f"/{table}/mine/edit", **typed).text
    values, tag = (
        re.search(rf'name="{name}" value="([^"]+)"', shown) for name in ("values", "tag")
    )
    assert values is not None, shown
    assert tag is not None
    kept: dict[str, Any] = {"values": unescape(values[1]), "tag": unescape(tag[1])}
    saved = session.post(f"/{table}/mine/save", **kept)

    assert saved.status_code == 303, saved.text
    after = server_on_sqlite.get(f"/api/v1/{table}/mine").json()
    assert after.get("items", [after])[0][column] == becomes


def test_what_a_file_owns_is_changed_there(server_on_sqlite: Served) -> None:
    session = sign_in(server_on_sqlite, Scope.ADMIN)

    page = session.get("/schedules/nightly/edit").text
    refused = session.post("/schedules/nightly/edit", cron="0 3 * * *")

    assert "edit it there" in page
    assert "<button>Show what that does" not in page
    assert refused.status_code == 409
