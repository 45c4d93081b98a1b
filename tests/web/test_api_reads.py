"""`/api/v1`: what it answers is what `--json` says; pages, cursors, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from scheduler.domain.access import Scope
from tests import databases
from tests.surfaces.rig import CONFIG, FAILED, LIVES, NINE, Home
from tests.web.rig import Served, serving


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a folder with a configuration, its definitions in a database, and a little history."""
    home = Home(tmp_path)
    home.config.write_text(CONFIG)
    databases.migrated_sqlite(tmp_path)
    home.done("apply")
    return home


@pytest.fixture
def both(home: Home) -> Iterator[tuple[Home, Served]]:
    """Give a terminal and a server on one database, at the same time of day."""
    with serving(f"sqlite:///{home.database}") as served:
        served.site.clock = lambda: NINE
        home.make_run(**FAILED)
        home.make_run(queue="nightly")
        home.done("schedules", "override", "nightly", "priority=7", "--for", "2h", "--reason", "x")
        home.sql("UPDATE schedules SET labels = ',dear,' WHERE name = 'hourly'")
        home.done("freeze", "label:dear", "--reason", "budget")
        home.sql(LIVES)
        yield home, served


SAME = (
    ("runs list", "runs"),
    ("runs list --state failed --schedule nightly", "runs?state=failed&schedule=nightly"),
    ("runs list --since 2026-03-02T09:00:00Z", "runs?since=2026-03-02T09:00:00Z"),
    ("runs show 1", "runs/1"),
    ("schedules list", "schedules"),
    ("schedules list --collector news", "schedules?collector=news"),
    ("schedules show nightly", "schedules/nightly"),
    ("schedules overrides", "overrides"),
    ("schedules overrides nightly", "schedules/nightly/overrides"),
    ("next nightly --count 3", "schedules/nightly/next?count=3"),
    ("next --cron 5,4,*,*,*", "next?cron=5,4,*,*,*"),
    ("explain nightly 2026-03-02T02:00", "schedules/nightly/explain?at=2026-03-02T02:00"),
    ("preview hourly --days 2", "preview?schedule=hourly&days=2"),
    ("calendar lint --year 2026", "calendar/lint?year=2026"),
    ("collectors list", "collectors"),
    ("batches show pages", "batches/pages/contents"),
    ("queues list", "queues"),
    ("accounts list", "accounts"),
    ("freezes list", "freezes"),
    ("status", "status"),
    ("doctor", "doctor"),
    ("alerts list", "alerts"),
    ("notices list", "notices"),
    ("audit", "audit"),
    ("changes list --subject schedules", "changes?subject=schedules"),
)
"""A command, a comma for a space within a word, and where the same is asked over HTTP."""


def test_what_is_answered_is_what_json_says(both: tuple[Home, Served]) -> None:
    home, served = both
    # First all commands: what the server logs would stand in their output.
    printed = [
        home.call(*(word.replace(",", " ") for word in words.split()), "--json").json
        for words, _ in SAME
    ]

    for (words, path), document in zip(SAME, printed, strict=True):
        answer = served.get(f"/api/v1/{path.replace(',', '%20')}")
        assert answer.status_code == 200, answer.text
        assert answer.json() == document, words


def test_a_total_is_told_only_when_it_is_asked_for_and_is_capped(
    server_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = server_on_sqlite.get("/api/v1/changes").json()
    counted = server_on_sqlite.get("/api/v1/changes?count=true&limit=1").json()
    for module in ("scheduler.views.changes", "scheduler.views.page"):
        monkeypatch.setattr(f"{module}.MOST_COUNTED", 3)
    capped = server_on_sqlite.get("/api/v1/changes?count=true&limit=1").json()

    assert set(plain) == {"items", "next"}
    assert (counted["total_count"], counted["total_is_capped"]) == (len(plain["items"]), False)
    assert (capped["total_count"], capped["total_is_capped"]) == (3, True)


REFUSED = (
    ("runs?cursor=nonsense", 422, "begin without one"),
    ("runs?cursor=WyIvYXBpL3YxL2NoYW5nZXMiLCA5XQ", 422, "begin without one"),  # of changes
    ("runs?cursor=WyIvYXBpL3YxL3J1bnMiLCA5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", 422, "begin"),
    ("runs?limit=0", 422, "limit: "),
    ("runs?limit=501", 422, "limit: "),
    ("runs?limit=1e9", 422, "limit: "),
    ("runs?state=broken", 422, "state"),
    ("runs?since=yesterday", 422, "since: must be a time in ISO 8601"),
    ("runs?since=2026-03-02T09:00:00", 422, "must have an offset"),
    ("runs?since=0001-01-01T00:00:00%2B14:00", 422, "since: must be a time"),
    ("runs?limit=1&limit=2", 422, "limit: is there 2 times"),
    ("runs?stat=failed", 422, "there is no parameter 'stat' here"),
    ("runs?schedule=a%00b", 422, "NUL"),
    ("runs?schedule=nobody", 404, "no schedule is called 'nobody'"),
    ("runs/999999999999999999", 404, "no run has the id"),
    ("runs/99999999999999999999", 422, "run_id"),
    ("runs/nine", 422, "run_id"),
    ("runs/1.5", 422, "run_id"),
    ("runs/j_nothing", 404, "no run has the collection"),
    ("schedules/nobody", 404, "no schedule is called 'nobody'"),
    ("schedules/a%00b", 404, "NUL"),
    ("schedules/nightly/next?count=0", 422, "count: "),
    ("schedules/nightly/explain", 422, "at: "),
    ("schedules/nightly/explain?at=0001-01-01T00:00:00Z", 422, "at the end of all time"),
    ("schedules/nightly/explain?at=9999-12-31T23:59:59", 422, "at the end of all time"),
    ("next?cron=nonsense", 422, "nonsense"),
    ("next?cron=*%20*%20*%20*%20*&timezone=Mars", 422, "Mars"),
    ("preview?schedule=nobody", 404, "nobody"),
    ("preview?days=9999999999", 422, "days: "),
    ("collections/j_nothing", 404, "j_nothing"),
    ("batches/nobody/contents", 404, "nobody"),
    ("queues/nobody", 404, "nobody"),
    ("calendars/nobody", 404, "nobody"),
    ("calendar/lint?year=1", 422, "year: "),
    ("nothing", 404, "there is nothing at this path"),
)


def test_what_cannot_be_answered_says_why(server_on_sqlite: Served) -> None:
    for path, status, words in REFUSED:
        answer = server_on_sqlite.get(f"/api/v1/{path}")

        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert words in answer.json()["detail"], (path, answer.text)


def test_a_credential_in_a_row_is_not_shown(server_on_sqlite: Served) -> None:
    with server_on_sqlite.db.writing() as conn:
        conn.exec_driver_sql(
            "UPDATE collectors SET deliver = '{\"secret_key\": \"canary\"}' WHERE name = 'news'"
        )

    answer = server_on_sqlite.get("/api/v1/collectors/news")

    assert answer.json()["deliver"] == {"hidden": "it holds a credential"}
    assert "canary" not in server_on_sqlite.get("/api/v1/collectors").text


def test_a_list_is_read_to_its_end_page_by_page(served: Served) -> None:
    for _ in range(5):
        asked = {"collector": "products", "batch": "pages"}
        assert served.post("/api/v1/runs", json=asked).status_code == 201

    for path, key in (("runs", "id"), ("changes", "id"), ("collectors", "name")):
        every = [row[key] for row in served.get(f"/api/v1/{path}?limit=500").json()["items"]]
        paged, link = [], f"/api/v1/{path}?limit=2"
        while link:
            answer = served.get(link)
            paged += [row[key] for row in answer.json()["items"]]
            link = answer.headers.get("link", "").partition(">")[0].removeprefix("<")

        assert paged == every


FEW: dict[str, list[str]] = {
    "runs?state=cancelled": ["cancelled"],
    "runs?batch=pages&state=cancelled": ["cancelled"],
    "runs?until=2000-01-01T00:00:00Z": [],
    "runs?state=queued&limit=500": ["queued"] * 11,
}


@pytest.mark.parametrize(("path", "states"), FEW.items())
def test_what_hardly_anything_passes_is_looked_for_in_steps(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str, states: list[str]
) -> None:
    monkeypatch.setattr("scheduler.web.api.paging.LOOKED_THROUGH", 3)
    asked = {"collector": "products", "batch": "pages"}
    first = served.post("/api/v1/runs", json=asked).json()["id"]
    served.post(f"/api/v1/runs/{first}/cancel", Scope.OPERATE)
    for _ in range(11):
        served.post("/api/v1/runs", json=asked)

    pages, link = [], f"/api/v1/{path}"
    while link:
        answer = served.get(link)
        pages.append([row["state"] for row in answer.json()["items"]])
        link = answer.headers.get("link", "").partition(">")[0].removeprefix("<")

    assert [state for page in pages for state in page] == states
    counted = served.get(f"/api/v1/{path}&count=true").json()
    is_open = "queued" in path
    assert counted["total_count"] == (11 if is_open else 0)
    assert counted["total_is_capped"] is not is_open
    # Of what is open there is an index: no step is taken.
    assert len(pages) == (1 if "queued" in path else 4)


@pytest.mark.parametrize(
    ("path", "found", "is_capped"),
    [
        ("changes?by=a-admin", 7, True),
        ("changes?by=nobody", 0, True),
        ("changes?subject=runs&by=a-admin", 6, True),
        ("changes?subject=runs.1", 1, False),
        ("results?state=saved", 0, False),
        ("notices?channel=nowhere", 0, False),
    ],
)
def test_changes_are_looked_through_in_steps_but_those_of_one_thing(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str, found: int, is_capped: bool
) -> None:
    """As are results and notices, of which there are none here."""
    monkeypatch.setattr("scheduler.web.api.paging.LOOKED_THROUGH", 2)
    for _ in range(6):
        served.post("/api/v1/runs", json={"collector": "products", "batch": "pages"})
    served.post("/api/v1/schedules/nightly/pause", json={"reason": "sale"})

    pages, link = [], f"/api/v1/{path}"
    while link:
        answer = served.get(link)
        assert len(answer.json()["items"]) <= 2 or not is_capped
        pages += [row["subject"] for row in answer.json()["items"]]
        link = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    counted = served.get(f"/api/v1/{path}&count=true").json()

    assert (len(pages), len(set(pages))) == (found, found)
    assert counted["total_is_capped"] is is_capped
    assert counted["total_count"] <= found


def test_a_page_stays_where_it_was_while_new_rows_come(served: Served) -> None:
    asked = {"collector": "products", "batch": "pages"}
    ids = [served.post("/api/v1/runs", json=asked).json()["id"] for _ in range(3)]
    first = served.get("/api/v1/runs?limit=1").json()
    served.post("/api/v1/runs", json=asked)

    second = served.get(f"/api/v1/runs?limit=1&cursor={first['next']}").json()

    assert [row["id"] for row in (*first["items"], *second["items"])] == [ids[2], ids[1]]


def test_names_of_any_letters_are_found(served: Served) -> None:
    name = "nächtlich, 100%?&#"
    body = {"name": name, "collector": "products", "batch": "pages", "manual": True}
    assert served.post("/api/v1/schedules", json=body).status_code == 201

    answer = served.get(f"/api/v1/schedules/{quote(name, safe='')}")

    assert (answer.status_code, answer.json()["name"]) == (200, name)


def test_a_trigger_token_sees_the_runs_that_it_asked_for_and_no_others(served: Served) -> None:
    asked = {"collector": "products", "batch": "pages"}
    own = served.post("/api/v1/runs", Scope.TRIGGER, json=asked).json()["id"]
    other = served.post("/api/v1/runs", json=asked).json()["id"]

    for path in ("", "/events", "/inputs"):
        assert served.get(f"/api/v1/runs/{own}{path}", Scope.TRIGGER).status_code == 200
        assert served.get(f"/api/v1/runs/{other}{path}", Scope.TRIGGER).status_code == 404


def test_inputs_are_shown_some_at_a_time(served: Served) -> None:
    inputs: list[dict[str, Any]] = [{"url": f"https://example.com/{n}"} for n in range(5)]
    run = served.post("/api/v1/runs", json={"collector": "products", "inputs": inputs}).json()

    shown = served.get(f"/api/v1/runs/{run['id']}/inputs?skip=1&limit=3").json()

    assert shown["inputs"] == inputs[1:4]
    assert (shown["input_count"], shown["skipped"]) == (5, 1)
