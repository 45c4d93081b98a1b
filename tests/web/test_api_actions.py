"""`/api/v1`: what changes something: once under its key, by its tag, on a word where it costs."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.domain.notices import AlertKind, Observed
from scheduler.storage import alerts, runs, tables
from scheduler.storage.tables import parked_inputs
from scheduler.views import acting
from tests.web.rig import Served

ASKED: dict[str, Any] = {"collector": "products", "batch": "pages"}
MINE: dict[str, Any] = {"name": "mine", "collector": "products", "batch": "pages", "every": "1h"}
TOML = {"Content-Type": "application/toml"}
ACCOUNT = '[accounts.main]\ntoken = { env = "DCA_API_TOKEN" }\n'
DOCUMENT = f"""{ACCOUNT}
[collectors.shops]
id = "c_shops"
[batches.shops]
inputs = [{{ url = "https://example.com/" }}]
[schedules.shops]
collector = "shops"
batch = "shops"
every = "1h"
"""


def test_the_same_key_and_request_is_the_same_run(served: Served) -> None:
    key = {"Idempotency-Key": "one"}

    with ThreadPoolExecutor(8) as many:
        ask = lambda _: served.post("/api/v1/runs", json=ASKED, headers=key)  # noqa: E731
        answers = list(many.map(ask, range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 7
    assert len(served.get("/api/v1/runs").json()["items"]) == 1
    other = served.post("/api/v1/runs", json={**ASKED, "priority": 1}, headers=key)
    assert (other.status_code, _kind(other)) == (422, "key-reused")
    # A key is its token's own.
    by_another = served.post("/api/v1/runs", Scope.TRIGGER, json=ASKED, headers=key)
    assert by_another.json()["id"] != answers[0].json()["id"]


def test_of_two_at_once_with_one_key_one_acts_and_both_get_its_answer(served: Served) -> None:
    run = served.post("/api/v1/runs", json=ASKED).json()["id"]
    served.post(f"/api/v1/runs/{run}/cancel")
    key = {"Idempotency-Key": "again"}

    with ThreadPoolExecutor(6) as many:
        ask = lambda _: served.post(f"/api/v1/runs/{run}/retry", headers=key)  # noqa: E731
        answers = list(many.map(ask, range(6)))
    other = served.post(f"/api/v1/runs/{run + 1}/retry", headers=key)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 5
    assert len(served.get("/api/v1/runs").json()["items"]) == 2
    assert (other.status_code, _kind(other)) == (422, "key-reused")


@pytest.mark.parametrize("is_run_first", [True, False])
def test_a_key_is_of_one_request_whatever_kind_it_is(served: Served, is_run_first: bool) -> None:
    key = {"Idempotency-Key": "mine-alone"}
    kinds = [("/api/v1/runs", ASKED), ("/api/v1/schedules", MINE)]
    (first, asked), (second, other) = kinds if is_run_first else reversed(kinds)

    taken = served.post(first, json=asked, headers=key)
    refused = served.post(second, json=other, headers=key)

    assert (taken.status_code, refused.status_code) == (201, 422)
    assert _kind(refused) == "key-reused"
    assert "'mine-alone'" in refused.json()["detail"]


def test_a_key_that_another_request_has_used_is_told_as_it_was_sent(
    server_on_sqlite: Served,
) -> None:
    key = {"Idempotency-Key": "mine-alone"}
    server_on_sqlite.post("/api/v1/runs", json=ASKED, headers=key)

    refused = server_on_sqlite.post("/api/v1/runs", json={**ASKED, "priority": 1}, headers=key)

    assert "key 'mine-alone' was used" in refused.json()["detail"]
    assert "http:" not in refused.json()["detail"]


def test_a_pause_lasts_for_as_long_as_is_said(server_on_sqlite: Served) -> None:
    place = "/api/v1/schedules/nightly"
    asked = {"reason": "sale", "for": "2h"}
    paused = server_on_sqlite.post(f"{place}/pause", json=asked).json()
    put = {"value": "7", **asked}
    overridden = server_on_sqlite.ask(
        "PUT", f"{place}/overrides/priority", Scope.ADMIN, json=put
    ).json()
    frozen = server_on_sqlite.post("/api/v1/freezes", json={"scope": "all", **asked}).json()

    ends = [paused["paused_until"], overridden["items"][0]["until"], frozen["until"]]
    now = utc_now()
    for end in ends:
        assert timedelta(hours=1) < datetime.fromisoformat(end) - now <= timedelta(hours=2), end


def test_a_time_may_be_so_long_from_now_as_in_the_terminal(server_on_sqlite: Served) -> None:
    asked = {"reason": "sale", "until": "+1h30m"}
    paused = server_on_sqlite.post("/api/v1/schedules/nightly/pause", json=asked).json()
    run = server_on_sqlite.post("/api/v1/runs", json=ASKED).json()["id"]

    def listed(query: str) -> list[int]:
        return [one["id"] for one in server_on_sqlite.get(f"/api/v1/runs?{query}").json()["items"]]

    left = datetime.fromisoformat(paused["paused_until"]) - utc_now()
    assert timedelta(hours=1) < left <= timedelta(minutes=90)
    assert listed("since=-12h") == listed("since=-12h&until=%2B2h") == [run]
    assert listed("until=+2h") == [run]  # a client that encodes no +
    assert listed("until=-12h") == listed("since=%2B2h") == []
    explained = server_on_sqlite.get("/api/v1/schedules/nightly/explain?at=-1d")
    assert explained.status_code == 200, explained.text
    wrong = server_on_sqlite.get("/api/v1/runs?since=-soon")
    assert (wrong.status_code, "-soon" in wrong.text or "soon" in wrong.text) == (422, True)


def test_who_acknowledges_an_alert_is_told_and_audited(served: Served) -> None:
    with served.db.writing() as conn:
        seen = Observed(
            kind=AlertKind.FAILING,
            subject="schedules.nightly",
            since=utc_now(),
            schedule="nightly",
            detail="refused",
        )
        alert = alerts.insert_alert(conn, seen).id
    place = f"/api/v1/alerts/{alert}/ack"
    asked = {"reason": "the vendor is told", "until": "+8h"}

    done = served.post(place, Scope.OPERATE, json=asked)
    (listed,) = served.get("/api/v1/alerts").json()["items"]
    change = served.get("/api/v1/changes?limit=1").json()["items"][0]

    assert done.status_code == 200, done.text
    assert served.get("/api/v1/alerts?count=true").json()["total_count"] == 1
    assert served.get("/api/v1/notices?count=true&open=true").json()["total_count"] == 0
    assert (listed["is_acked"], listed["acked_reason"]) == (True, "the vendor is told")
    assert listed["acked_by"].startswith("http:a-operate@")
    assert (change["action"], change["subject"]) == ("ack", "schedules.nightly")
    assert change["by"] == listed["acked_by"]
    unknown = served.post("/api/v1/alerts/999/ack", Scope.OPERATE, json=asked)
    past = served.post(place, Scope.OPERATE, json={"until": "2001-01-01T00:00:00Z"})
    assert (unknown.status_code, past.status_code) == (404, 422)
    assert served.post(place, Scope.READ, json=asked).status_code == 403


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"for": "2h", "until": "2099-01-01T00:00:00Z"}, "exclude each other"),
        ({"for": "soon"}, "soon"),
    ],
)
def test_an_end_that_cannot_be_read_is_refused(
    server_on_sqlite: Served, body: dict[str, str], said: str
) -> None:
    answer = server_on_sqlite.post(
        "/api/v1/schedules/nightly/pause", json={"reason": "sale", **body}
    )

    assert answer.status_code == 422
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "runs/latest", "a run's id, such as 17"),
        ("GET", "collections/17", "a collection's id, such as j_abc123"),
        ("DELETE", "schedules/nightly/overrides/colour", "must be one of "),
    ],
)
def test_what_is_no_id_is_told_in_words(
    server_on_sqlite: Served, method: str, path: str, said: str
) -> None:
    answer = server_on_sqlite.ask(method, f"/api/v1/{path}", Scope.ADMIN)

    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert "pattern" not in answer.text


def test_a_key_is_free_again_after_an_error(server_on_sqlite: Served) -> None:
    key = {"Idempotency-Key": "later"}
    bad = {**MINE, "collector": "nobody"}
    assert server_on_sqlite.post("/api/v1/schedules", json=bad, headers=key).status_code == 422

    assert server_on_sqlite.post("/api/v1/schedules", json=MINE, headers=key).status_code == 201


def test_a_schedule_is_made_changed_and_deleted(served: Served) -> None:
    made = served.post("/api/v1/schedules", json={**MINE, "labels": ["a", "b"]})
    place = made.headers["location"]
    tag = served.get(place).headers["etag"]

    changed = served.ask(
        "PATCH", place, Scope.ADMIN, json={"every": "2h"}, headers=_if(f'"other", {tag}')
    )
    stale = served.ask("PATCH", place, Scope.ADMIN, json={"every": "3h"}, headers=_if(tag))
    plain = served.ask("PATCH", place, Scope.ADMIN, json={"labels": None, "priority": 3})

    assert (made.status_code, made.json()["labels"]) == (201, ["a", "b"])
    assert (changed.status_code, changed.json()["every"]) == (200, "2h")
    assert changed.headers["etag"] != tag
    assert (stale.status_code, _kind(stale)) == (412, "stale")
    shown = served.get(place).json()
    assert (shown["every"], shown["labels"], shown["priority"]) == ("2h", [], 3)
    assert plain.headers["etag"] == served.get(place).headers["etag"]

    assert served.post(f"{place}/fire").status_code == 201
    asked = served.ask("DELETE", place, Scope.ADMIN)
    wrong = served.ask("DELETE", f"{place}?confirm=7", Scope.ADMIN)
    gone = served.ask("DELETE", f"{place}?confirm=1", Scope.ADMIN)
    assert (asked.status_code, asked.json()["count"], wrong.status_code) == (409, 1, 409)
    assert (gone.status_code, served.get(place).status_code) == (204, 404)
    subjects = served.get("/api/v1/changes?subject=schedules.mine").json()["items"]
    assert [row["action"] for row in subjects] == ["delete", "fire", "change", "change", "create"]
    assert {row["by"] for row in subjects} == {"http:a-admin@127.0.0.1"}


def test_the_other_definitions_are_made_changed_and_deleted(served: Served) -> None:
    for table, new, change in (
        ("collectors", {"collector_id": "c_new"}, {"max_running": 5}),
        ("batches", {"inputs": [{"url": "https://example.com/"}]}, {"dedupe": True}),
        ("calendars", {"days": ["sat-sun"]}, {"days": ["2026-12-24..2027-01-06"]}),
        ("queues", {"max_depth": 3}, {"queue_order": "relaxed"}),
    ):
        place = f"/api/v1/{table}/new"
        assert served.post(f"/api/v1/{table}", json={"name": "new", **new}).status_code == 201
        again = served.post(f"/api/v1/{table}", json={"name": "new", **new})
        changed = served.ask("PATCH", place, Scope.ADMIN, json=change)
        assert (again.status_code, changed.status_code) == (409, 200), (table, changed.text)
        shown = changed.json()
        shown = shown["items"][0] if "items" in shown else shown
        assert {key: shown[key] for key in change} == change
        assert served.ask("DELETE", place, Scope.ADMIN).status_code == 204
        assert served.ask("DELETE", place, Scope.ADMIN).status_code == 404


def test_what_a_file_owns_is_changed_there_or_for_a_while(server_on_sqlite: Served) -> None:
    place = "/api/v1/schedules/nightly"
    owned = server_on_sqlite.ask("PATCH", place, Scope.ADMIN, json={"priority": 7})
    until = f"{place}?override=2099-01-01T00:00:00Z&reason=sale"
    dated = server_on_sqlite.ask("PATCH", until, Scope.ADMIN, json={"priority": 7})
    never = server_on_sqlite.ask("PATCH", until, Scope.ADMIN, json={"cron": "1 1 * * *"})

    assert (owned.status_code, _kind(owned)) == (409, "owned-by-file")
    assert owned.json()["key"] == "schedules.nightly.priority"
    assert dated.status_code == 200
    assert [(one["field"], one["value"]) for one in dated.json()["overrides"]] == [
        ("priority", "7")
    ]
    assert never.status_code == 422
    named = server_on_sqlite.ask("DELETE", "/api/v1/batches/pages", Scope.ADMIN)
    assert _kind(named) == "owned-by-file"


def test_what_is_named_is_not_deleted(server_on_sqlite: Served) -> None:
    batch = {"name": "own", "inputs": [{"url": "x"}]}
    server_on_sqlite.post("/api/v1/batches", json=batch)
    server_on_sqlite.post("/api/v1/schedules", json={**MINE, "batch": "own"})

    refused = server_on_sqlite.ask("DELETE", "/api/v1/batches/own", Scope.ADMIN)

    assert refused.status_code == 409
    assert "batches.own is named by schedules.mine" in refused.json()["detail"]


def test_many_are_cancelled_on_a_word_that_counts(server_on_sqlite: Served) -> None:
    served = server_on_sqlite
    for _ in "ab":
        served.post("/api/v1/runs", json={**ASKED, "queue": "q"})
    dry = served.post("/api/v1/runs/cancel?queue=q&dry_run=true").json()
    asked = served.post("/api/v1/runs/cancel?queue=q")
    done = served.post("/api/v1/runs/cancel?queue=q&confirm=2&why=asked%20twice")
    again = served.post("/api/v1/runs/cancel?queue=q")

    assert (len(dry["items"]), _kind(asked), asked.json()["count"]) == (2, "needs-confirmation", 2)
    assert [run["state"] for run in done.json()["items"]] == ["cancelled"] * 2
    assert all(run["detail"].endswith(": asked twice") for run in done.json()["items"])
    assert (again.status_code, again.json()["items"]) == (200, [])


def test_the_list_of_batches_tells_when_each_changed_and_how_many_use_it(
    server_on_sqlite: Served,
) -> None:
    served = server_on_sqlite
    served.post("/api/v1/batches", json={"name": "own", "inputs": [{"url": "https://x.test/"}]})
    own, pages = served.get("/api/v1/batches").json()["items"]
    page = served.get("/batches").text

    (made,) = served.get("/api/v1/changes?subject=batches.own").json()["items"]
    assert (own["used_by_count"], own["changed_at"]) == (0, made["happened_at"])
    assert (pages["name"], pages["used_by_count"]) == ("pages", 1)
    assert 'href="/schedules?batch=pages">1 schedule</a>' in page


def test_several_schedules_are_paused_resumed_and_fired_on_a_word_that_counts(
    served: Served,
) -> None:
    served.post("/api/v1/schedules", json={**MINE, "labels": ["eu"]})
    place, why = "/api/v1/schedules", {"reason": "stock-taking", "for": "2h"}
    listed = served.post(f"{place}/pause?label=eu&dry_run=true", Scope.OPERATE, json=why)
    asked = served.post(f"{place}/pause?collector=products", Scope.OPERATE, json=why)
    paused = served.post(f"{place}/pause?collector=products&confirm=2", Scope.OPERATE, json=why)
    resume = f"{place}/resume?name=mine&name=nightly"
    unsaid = served.post(resume, Scope.OPERATE)
    resumed = served.post(f"{resume}&confirm=2", Scope.OPERATE)
    again = served.post(resume, Scope.OPERATE)
    key = {"Idempotency-Key": "all-of-them"}
    fire = f"{place}/fire?collector=products&batch=pages"
    unpaid = served.post(fire, Scope.OPERATE)
    fires = [served.post(f"{fire}&confirm=2", Scope.OPERATE, headers=key) for _ in "ab"]

    assert [row["name"] for row in listed.json()["items"]] == ["mine"]
    assert (asked.json()["count"], _kind(asked)) == (2, "needs-confirmation")
    assert {row["paused_by"] for row in paused.json()["items"]} == {"http:a-operate@127.0.0.1"}
    assert (unsaid.status_code, unsaid.json()["count"]) == (409, 2)
    assert [row["paused_at"] for row in resumed.json()["items"]] == [None, None]
    assert (again.status_code, again.json()["items"]) == (200, [])
    assert (unpaid.status_code, unpaid.json()["count"]) == (409, 2)
    assert [answer.status_code for answer in fires] == [201, 201]
    assert fires[1].headers["idempotent-replayed"] == "true"
    assert len(served.get("/api/v1/runs").json()["items"]) == 2
    changes = served.get("/api/v1/changes?subject=schedules.mine").json()["items"]
    assert [row["action"] for row in changes] == ["fire", "resume", "pause", "create"]


def test_several_schedules_that_no_file_owns_are_labelled(server_on_sqlite: Served) -> None:
    served = server_on_sqlite
    served.post("/api/v1/schedules", json=MINE)
    place, dear = "/api/v1/schedules/label", {"label": "dear"}

    listed = served.post(f"{place}?dry_run=true", json=dear)
    asked = served.post(place, json=dear)
    done = served.post(f"{place}?confirm=1", json=dear)
    off = served.post(f"{place}?label=dear&confirm=1", json={**dear, "is_on": False})
    owned = served.post(f"{place}?name=nightly", json=dear)
    unknown = served.post(f"{place}?name=nightli", json=dear)

    assert [row["name"] for row in listed.json()["items"]] == ["mine"]
    assert asked.json()["count"] == 1
    assert "1 that a file owns" in asked.json()["detail"]
    assert [row["labels"] for row in done.json()["items"]] == [["dear"]]
    assert [row["labels"] for row in off.json()["items"]] == [[]]
    assert (owned.status_code, "a file owns" in owned.json()["detail"]) == (409, True)
    assert (unknown.status_code, "nightly" in unknown.json()["detail"]) == (404, True)
    assert served.post(place, Scope.OPERATE, json=dear).status_code == 403


def test_too_many_runs_are_refused_before_they_are_read(
    server_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "_MOST_CHOSEN", 1)
    for _ in "ab":
        server_on_sqlite.post("/api/v1/runs", json=ASKED)
    with monkeypatch.context() as patched:
        patched.setattr(runs, "list_runs", None)
        answers = [
            server_on_sqlite.post(f"/api/v1/runs/{act}?state=queued") for act in ("retry", "cancel")
        ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert all("more than 1 runs are chosen" in answer.text for answer in answers)


def test_a_budget_is_made_shown_changed_and_deleted(server_on_sqlite: Served) -> None:
    served = server_on_sqlite
    place = "/api/v1/budgets/most"
    made = served.post("/api/v1/budgets", json={"name": "most", "page_loads": 9})
    wrong = served.post("/api/v1/budgets", json={"name": "no", "page_loads": 9, "scope": "me"})
    changed = served.ask("PATCH", place, Scope.ADMIN, json={"mode": "hard"})
    costs = served.get("/api/v1/costs?by=account").json()
    gone = served.ask("DELETE", place, Scope.ADMIN)

    assert (made.status_code, made.json()["used_page_loads"]) == (201, 0)
    assert wrong.status_code == 422
    assert changed.json()["mode"] == "hard"
    assert [one["budget"]["name"] for one in costs["budgets"]] == ["most"]
    assert gone.status_code == 204


def test_what_costs_is_done_on_a_word_that_counts(server_on_sqlite: Served) -> None:
    served = server_on_sqlite
    runs = [served.post("/api/v1/runs", json={**ASKED, "queue": "q"}).json()["id"] for _ in "ab"]
    flush = served.post("/api/v1/queues/q/flush")
    flushed = served.post("/api/v1/queues/q/flush?confirm=2")
    retry = served.post("/api/v1/runs/retry?state=skipped")
    retried = served.post("/api/v1/runs/retry?state=skipped&confirm=2")
    past = {"since": "2026-11-01T00:00:00Z", "until": "2026-11-04T00:00:00Z"}
    backfill = served.post("/api/v1/schedules/nightly/backfill", json=past)
    dry = served.post("/api/v1/schedules/nightly/backfill?dry_run=true", json=past)
    done = served.post("/api/v1/schedules/nightly/backfill?confirm=3", json=past)

    for asked, count in ((flush, 2), (retry, 2), (backfill, 3)):
        assert (asked.status_code, _kind(asked)) == (409, "needs-confirmation")
        assert asked.json()["count"] == count
    assert flushed.json() == {"name": "q", "skipped_count": 2}
    assert [run["retry_of"] for run in retried.json()["items"]] == runs
    assert (dry.status_code, dry.json()["run_ids"], dry.json()["run_count"]) == (200, [], 3)
    assert (done.status_code, len(done.json()["run_ids"])) == (201, 3)


def test_pausing_and_resuming_says_who_and_why(server_on_sqlite: Served) -> None:
    for place in ("schedules/nightly", "accounts/main", "queues/q"):
        if place == "queues/q":
            server_on_sqlite.post("/api/v1/queues", json={"name": "q"})
        why = {"reason": "stock-taking"}
        paused = server_on_sqlite.post(f"/api/v1/{place}/pause", Scope.OPERATE, json=why)
        resumed = server_on_sqlite.post(f"/api/v1/{place}/resume", Scope.OPERATE)
        again = server_on_sqlite.post(f"/api/v1/{place}/resume", Scope.OPERATE)

        shown = paused.json()
        shown = shown["items"][0] if "items" in shown else shown
        assert (shown["paused_by"], shown["paused_reason"]) == (
            "http:a-operate@127.0.0.1",
            "stock-taking",
        )
        assert (resumed.status_code, again.status_code) == (200, 409)


def test_everything_is_frozen_and_thawed(server_on_sqlite: Served) -> None:
    asked = {"scope": "all", "reason": "audit", "until": "2099-01-01T00:00:00Z"}
    frozen = server_on_sqlite.post("/api/v1/freezes", Scope.OPERATE, json=asked)
    held = server_on_sqlite.get("/api/v1/schedules/nightly").json()["held"]
    thawed = server_on_sqlite.ask("DELETE", "/api/v1/freezes/all", Scope.OPERATE)

    assert (frozen.status_code, held, thawed.status_code) == (201, "frozen", 204)


def test_a_thaw_that_sends_what_was_asked_for_by_hand_needs_a_word(
    server_on_sqlite: Served,
) -> None:
    served = server_on_sqlite
    served.post("/api/v1/freezes", Scope.OPERATE, json={"scope": "all", "reason": "audit"})
    served.post("/api/v1/runs", json=ASKED)
    asked = served.ask("DELETE", "/api/v1/freezes/all", Scope.OPERATE)
    meant = served.ask("DELETE", "/api/v1/freezes/all?confirm=1", Scope.OPERATE)

    assert (asked.status_code, asked.json()["count"], meant.status_code) == (409, 1, 204)


def test_a_document_is_planned_then_applied_or_nothing_is(served: Served) -> None:
    plan = served.post("/api/v1/plan", content=DOCUMENT, headers=TOML)
    tag = {**TOML, "If-Match": plan.headers["etag"]}
    applied = served.post("/api/v1/apply", content=DOCUMENT, headers=tag)
    stale = served.post("/api/v1/apply", content=DOCUMENT, headers=tag)

    verbs = {(one["table"], one["name"]): one["verb"] for one in plan.json()["changes"]}
    assert verbs["schedules", "shops"] == "created"
    assert applied.json()["items"] == plan.json()["changes"]
    assert (stale.status_code, _kind(stale)) == (412, "stale")
    left = served.post("/api/v1/apply", content=ACCOUNT, headers=TOML).json()["items"]
    assert [one["verb"] for one in left if one["name"] == "shops"] == [
        "left_alone", "left_alone", "paused",
    ]  # fmt: skip
    pruned = served.post("/api/v1/apply?prune=true", content=DOCUMENT, headers=TOML)
    assert (pruned.status_code, pruned.json()["count"]) == (409, 4)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("[schedules.x]\ncron = 3\n", "schedules.x.cron: must be text"),
        ("x", "expected '='"),
        ("[nonsense]\n", "nonsense"),
    ],
)
def test_a_wrong_document_is_told_whole(
    server_on_sqlite: Served, document: str, words: str
) -> None:
    answer = server_on_sqlite.post("/api/v1/apply", content=document, headers=TOML)

    assert (answer.status_code, _kind(answer)) == (422, "invalid-document")
    assert words in answer.json()["errors"][0]["detail"]


def test_where_tokens_are_sent_is_not_changed_over_http(server_on_sqlite: Served) -> None:
    thief = '[accounts.thief]\nbase_url = "https://evil.example"\ntoken = { env = "DCA_API_TOKEN" }'
    answer = server_on_sqlite.post("/api/v1/apply", content=f"{ACCOUNT}{thief}", headers=TOML)

    assert answer.status_code == 409
    assert "accounts.thief: accounts say where tokens are sent" in answer.json()["detail"]
    assert [row["name"] for row in server_on_sqlite.get("/api/v1/accounts").json()["items"]] == [
        "main"
    ]


def test_a_trigger_token_says_nowhere_that_a_secret_is_sent_to(server_on_sqlite: Served) -> None:
    deliver = {"type": "webhook", "endpoint": "https://evil.example/${secret:s}"}

    answer = server_on_sqlite.post(
        "/api/v1/runs", Scope.TRIGGER, json={**ASKED, "deliver": deliver}
    )

    assert (answer.status_code, _kind(answer)) == (403, "forbidden")


WRONG: tuple[tuple[str, str, Any, int, str], ...] = (
    ("POST", "runs", {}, 422, "collector"),
    ("POST", "runs", {"collector": "products"}, 422, "exactly one of"),
    ("POST", "runs", {**ASKED, "inputs": [{}]}, 422, "exactly one of"),
    ("POST", "runs", {**ASKED, "nonsense": 1}, 422, "#/nonsense"),
    ("POST", "runs", {**ASKED, "priority": "1"}, 422, "#/priority"),
    ("POST", "runs", {**ASKED, "priority": 2**31}, 422, "#/priority"),
    ("POST", "runs", {"collector": "nobody", "batch": "pages"}, 404, "nobody"),
    ("POST", "runs", {**ASKED, "deadline": "soon"}, 422, "soon"),
    ("POST", "runs", {**ASKED, "deliver": {"secret_key": "x"}}, 422, "credential"),
    ("POST", "runs/1/adopt", {"collection_id": "x"}, 422, "#/collection_id"),
    ("POST", "runs/1/cancel", None, 404, "no run"),
    ("POST", "schedules", {**MINE, "cron": "0 2 * * *"}, 422, "exactly one of"),
    ("POST", "schedules", {**MINE, "collector": "nobody"}, 422, "nobody"),
    ("POST", "schedules", {**MINE, "exclude": ["nobody"]}, 422, "nobody"),
    ("POST", "schedules", {**MINE, "after": "nobody", "every": None}, 422, "nobody"),
    ("POST", "schedules", {**MINE, "name": "a/b"}, 422, "#/name"),
    ("POST", "schedules", {**MINE, "max_runs": 10**30}, 422, "#/max_runs"),
    ("POST", "schedules", {**MINE, "timezone": "Mars"}, 422, "Mars"),
    ("POST", "schedules", [], 422, "#"),
    ("POST", "batches", {"name": "b", "file": "x.csv"}, 422, "whole path"),
    ("POST", "batches", {"name": "b"}, 422, "exactly one of"),
    ("POST", "calendars", {"name": "c", "days": ["someday"]}, 422, "someday"),
    ("POST", "calendars", {"name": "c", "ics": "x"}, 422, "iCalendar"),
    ("POST", "collectors", {"name": "c", "collector_id": "x"}, 422, "collector_id"),
    ("POST", "collectors", {"name": "c", "collector_id": "c_x", "account": "no"}, 422, "no"),
    ("POST", "queues", {"name": "q", "max_depth": 0}, 422, "#/max_depth"),
    ("PATCH", "schedules/nobody", {"priority": 1}, 404, "nobody"),
    ("POST", "schedules/nightly/pause", {}, 422, "#/reason"),
    ("POST", "schedules/nightly/pause", {"reason": " "}, 422, "#/reason"),
    ("POST", "accounts/main/pause", {"reason": "\u200b"}, 422, "#/reason"),
    ("POST", "runs/1/cancel?why=%20", None, 422, "why"),
    ("POST", "runs/1/abandon?why=", None, 422, "why"),
    ("POST", "schedules/nightly/pause", {"reason": "x", "until": "2001-01-01T00:00:00Z"}, 422, ""),
    ("POST", "schedules/nobody/fire", None, 404, "nobody"),
    ("PUT", "schedules/nightly/overrides/cron", {}, 422, "field"),
    ("DELETE", "schedules/nightly/overrides", None, 409, "nothing is overridden"),
    ("DELETE", "schedules/nightly/overrides/priority", None, 409, "priority is not overridden"),
    ("POST", "freezes", {"scope": "everything", "reason": "x"}, 422, "#/scope"),
    ("POST", "freezes", {"scope": "collector:nobody", "reason": "x"}, 404, "nobody"),
    ("POST", "freezes", {"scope": "label:none", "reason": "x"}, 404, "none"),
    ("DELETE", "freezes/all", None, 409, "not frozen"),
    ("POST", "queues/nobody/flush", None, 404, "nobody"),
)


def test_what_can_never_be_done_says_why_and_does_nothing(server_on_sqlite: Served) -> None:
    before = server_on_sqlite.get("/api/v1/changes").json()
    for method, path, body, status, words in WRONG:
        options = {} if body is None else {"json": body}
        answer = server_on_sqlite.ask(method, f"/api/v1/{path}", Scope.ADMIN, **options)

        assert answer.status_code == status, (method, path, body, answer.text)
        assert words in answer.json()["detail"], (method, path, body, answer.text)
    half = b'{"collector": "products", "inputs": [{"a": "\\ud800"}]}'
    headers = {"Content-Type": "application/json"}
    assert server_on_sqlite.post("/api/v1/runs", content=half, headers=headers).status_code == 422
    huge = b'{"collector": "products", "inputs": [{"a": 1e999}]}'
    told = server_on_sqlite.post("/api/v1/runs", content=huge, headers=headers).json()
    assert "a number that is none in JSON, or is too large" in told["errors"][0]["detail"]
    text = server_on_sqlite.post("/api/v1/runs", content=b"{}", headers={"Content-Type": "text/x"})
    assert (text.status_code, "application/json" in text.json()["detail"]) == (422, True)
    assert server_on_sqlite.get("/api/v1/changes").json() == before
    assert server_on_sqlite.get("/api/v1/runs").json()["items"] == []


def _if(tag: str) -> dict[str, str]:
    return {"If-Match": tag}


def _kind(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


def test_what_the_upstream_is_asked_of_a_collection_is_a_row_and_a_rerun_needs_a_word(
    served: Served,
) -> None:
    run = served.post("/api/v1/runs", json=ASKED).json()["id"]
    with served.db.writing() as conn:
        for name, polled in (("j_open", utc_now()), ("j_over", None)):
            conn.execute(
                insert(tables.collections).values(
                    id=name,
                    run_id=run,
                    account="main",
                    collector_id="c_products",
                    accepted_at=utc_now(),
                    next_poll_at=polled,
                )
            )

    paused = served.post("/api/v1/collections/j_open/pause?why=night", Scope.OPERATE)
    unsaid = served.post("/api/v1/collections/j_over/rerun?failed_only=true", Scope.OPERATE)
    meant = served.post("/api/v1/collections/j_over/rerun?failed_only=true&confirm=1")
    dry = served.post("/api/v1/collections/rerun?dry_run=true")
    unknown = served.post("/api/v1/collections/j_open/finish")

    assert (paused.status_code, paused.json()["verb"], paused.json()["why"]) == (
        202,
        "pause",
        "night",
    )
    assert (unsaid.status_code, unsaid.json()["count"]) == (409, 1)
    assert (meant.status_code, meant.json()["failed_only"]) == (202, True)
    assert (dry.status_code, dry.json()["items"]) == (200, [])
    assert unknown.status_code == 404
    shown = served.get("/api/v1/collections/j_over").json()
    assert [(one["verb"], one["outcome"]) for one in shown["requests"]] == [("rerun", None)]
    assert served.post("/api/v1/collections/j_open/pause", Scope.READ).status_code == 403


def test_what_a_schedule_leaves_out_is_listed_and_sent_again(server_on_sqlite: Served) -> None:
    parked = {"schedule": "nightly", "error": "dead_page", "error_class": "never", "run_id": 7}
    with server_on_sqlite.db.writing() as conn:
        for number in (1, 2):
            row = {"digest": f"0{number}", "input": '{"url": "x"}', "parked_at": utc_now()}
            conn.execute(insert(parked_inputs).values(parked | row))
    place = "/api/v1/schedules/nightly"
    first, second = server_on_sqlite.get(f"{place}/parked-inputs").json()["items"]
    page = server_on_sqlite.get("/schedules/nightly.json").json()["parked"]
    text = server_on_sqlite.get("/schedules/nightly").text
    gone = server_on_sqlite.post(f"{place}/unpark", Scope.OPERATE, json={"ids": [first["id"]]})
    unknown = server_on_sqlite.post(f"{place}/unpark", Scope.OPERATE, json={"ids": [99]})
    all_of_them = server_on_sqlite.post(f"{place}/unpark", Scope.OPERATE, json={})

    assert (first["input"], first["kind"]) == ({"url": "x"}, "never")
    assert page == [first, second]
    assert "Inputs that are left out" in text
    assert gone.json() == {"schedule": "nightly", "ids": [first["id"]]}
    assert unknown.status_code == 404
    assert all_of_them.json()["ids"] == [second["id"]]
