"""`/api/v1/events`: what happens is told once, in order, and can be taken up again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import httpx
import pytest

from scheduler.actions.api_tokens import revoke_token
from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.domain.errors import DatabaseError
from scheduler.engine.rate_limiter import Feedback, open_limiter
from scheduler.storage import accounts
from scheduler.views.events import Place
from tests.web.rig import Served, serving

# A stream ends when its database does, and it waits for the transactions of others.
pytestmark = pytest.mark.quiet

ASKED = {"collector": "products", "batch": "pages"}


class Stream:
    """The events of one listener, as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self.lines = answer.iter_lines()
        assert next(self.lines) == ": it begins"

    def next(self) -> dict[str, Any]:
        """Wait for the next event."""
        fields: dict[str, str] = {}
        for line in self.lines:
            if line.startswith(":"):
                continue
            if not line and fields:
                break
            name, _, value = line.partition(": ")
            fields[name] = value
        event: dict[str, Any] = json.loads(fields["data"])
        assert (fields["id"], fields["event"]) == (event["id"], event["kind"])
        return event


@contextmanager
def listening(served: Served, after: str = "", **headers: str) -> Iterator[Stream]:
    wanted = {
        "Authorization": f"Bearer {served.tokens[Scope.READ]}",
        "Accept": "text/event-stream",
        **headers,
    }
    url = f"{served.url}/api/v1/events{after}"
    with httpx.Client(timeout=60) as client, client.stream("GET", url, headers=wanted) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


def make(served: Served) -> int:
    return int(served.post("/api/v1/runs", json=ASKED).json()["id"])


def test_what_happens_is_told_as_it_does(served: Served) -> None:
    with listening(served) as stream:
        run = make(served)
        made = stream.next()
        served.post(f"/api/v1/runs/{run}/cancel")
        cancelled = stream.next()
        served.post("/api/v1/schedules/nightly/pause", json={"reason": "x"})
        paused = stream.next()
        served.post("/api/v1/accounts/main/pause", json={"reason": "x"})
        account = stream.next()

    told = [(one["kind"], one["subject"]) for one in (made, cancelled, paused, account)]
    assert told == [
        ("run", f"runs.{run}"),
        ("run", f"runs.{run}"),
        ("schedule", "schedules.nightly"),
        ("account", "accounts.main"),
    ]
    assert (made["run"]["to_state"], cancelled["run"]["to_state"]) == ("queued", "cancelled")
    assert paused["change"]["columns"]["paused_reason"] == [None, "x"]


def test_the_brake_is_told_when_it_closes_and_when_it_opens(served: Served) -> None:
    def answered(feedback: Feedback, at: datetime) -> None:
        with served.db.writing() as conn:
            limiter = open_limiter(conn, accounts.get_account(conn, "main"), now=at)
            limiter.apply(conn, [feedback])
            limiter.close(conn)

    now = utc_now()
    with listening(served) as stream:
        for _ in range(2):  # of one burst
            answered(Feedback(throttled=True), now)
        closed = stream.next()
        answered(Feedback(), now + timedelta(minutes=1))
        opened = stream.next()
        answered(Feedback(), now + timedelta(minutes=2))
        run = make(served)
        following = stream.next()

    assert [(one["kind"], one["subject"]) for one in (closed, opened)] == [
        ("account", "accounts.main")
    ] * 2
    assert (closed["change"]["action"], opened["change"]["action"]) == ("brake", "unbrake")
    why = "1 answer of 429 in five minutes"
    assert closed["change"]["columns"] == {"braked": [None, why]}
    assert opened["change"]["columns"] == {"braked": ["closed", None]}
    assert following["subject"] == f"runs.{run}"


def test_a_stream_is_taken_up_again_without_a_gap_or_a_double(served: Served) -> None:
    with listening(served) as stream:
        runs = [make(served) for _ in range(3)]
        first = stream.next()
    later = [make(served) for _ in range(3)]
    with listening(served, **{"Last-Event-ID": first["id"]}) as stream:
        again = [stream.next()["run"]["run_id"] for _ in range(5)]
        now = make(served)
        again.append(stream.next()["run"]["run_id"])

    assert [first["run"]["run_id"], *again] == [*runs, *later, now]


def test_a_browser_that_comes_back_goes_on_where_it_was(served: Served) -> None:
    begun = served.get("/api/v1/events").json()["next"]
    first, second = make(served), make(served)
    with listening(served, f"?after={begun}") as stream:
        seen = stream.next()

    with listening(served, f"?after={begun}", **{"Last-Event-ID": seen["id"]}) as stream:
        following = stream.next()

    assert [event["run"]["run_id"] for event in (seen, following)] == [first, second]


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("behind", [(0, 999_999, 0), (0, 0, 999_999), (10**17, 0, 0)])
def test_an_id_that_nobody_was_told_is_refused(
    served: Served, accept: str, behind: tuple[int, int, int]
) -> None:
    """It would wait in silence until the numbers of a restored backup have caught up."""
    make(served)
    newest = Place.read(served.get("/api/v1/events").json()["next"])
    now = (newest.transaction, newest.move, newest.change)
    place = Place(*(sum(pair) for pair in zip(now, behind, strict=True)))

    token = served.tokens[Scope.READ]
    asked = {"Authorization": f"Bearer {token}", "Accept": accept, "Last-Event-ID": str(place)}
    with served.client.stream("GET", f"{served.url}/api/v1/events", headers=asked) as answer:
        assert answer.status_code == 422
        assert "begin without an id" in json.loads(answer.read())["detail"]


def test_asking_again_and_again_tells_the_same(served: Served) -> None:
    place = served.get("/api/v1/events").json()
    runs = [make(served) for _ in range(2)]
    served.post("/api/v1/schedules/nightly/pause", json={"reason": "x"})

    first = served.get(f"/api/v1/events?after={place['next']}").json()
    nothing = served.get(f"/api/v1/events?after={first['next']}").json()

    assert place["items"] == []
    assert [one["subject"] for one in first["items"]] == [
        *(f"runs.{run}" for run in runs),
        "schedules.nightly",
    ]
    assert nothing == {"items": [], "next": first["next"]}


def test_changes_of_runs_alone_lead_on_as_well(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.web.api.event_hub.AT_ONCE", 2)
    place = served.get("/api/v1/events").json()["next"]
    runs = [make(served) for _ in range(5)]

    told: list[str] = []
    while len(told) < len(runs):
        page = served.get(f"/api/v1/events?after={place}").json()
        told += [one["subject"] for one in page["items"]]
        place = page["next"]
    served.post("/api/v1/schedules/nightly/pause", json={"reason": "x"})
    subjects: list[str] = []
    while "schedules.nightly" not in subjects:
        page = served.get(f"/api/v1/events?after={place}").json()
        subjects += [one["subject"] for one in page["items"]]
        place = page["next"]

    assert told == [f"runs.{run}" for run in runs]


def test_a_stream_ends_with_its_token(served: Served) -> None:
    with listening(served) as stream:
        with served.db.writing() as conn:
            revoke_token(conn, "a-read", by="test", now=utc_now())

        rest = list(stream.lines)

    assert not any(line.startswith("data") and "runs." in line for line in rest)


def test_a_stream_outlasts_a_database_that_is_away(
    server_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser takes up a stream that broke off; one that is refused then, it gives up."""
    monkeypatch.setattr("scheduler.web.api.events._BEAT_SECONDS", 0.1)

    def is_away(*_: object, **__: object) -> None:
        raise DatabaseError("away")

    with listening(server_on_sqlite) as stream:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr("scheduler.web.guard.find_holder", is_away)
            meanwhile.setattr("scheduler.web.guard._REMEMBERED_SECONDS", 0)
            said = list(islice(stream.lines, 40))
        make(server_on_sqlite)

        assert {*said} == {"", ": still there"}
        assert next(line for line in stream.lines if line.startswith("event")) == "event: run"


def test_a_listener_for_whom_too_much_waits_is_dropped(
    server_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.web.api.event_hub.MOST_WAITING", -1)
    with listening(server_on_sqlite) as stream:
        make(server_on_sqlite)

        assert [line for line in stream.lines if line.startswith("data")] == []


def test_one_token_leaves_room_for_other_listeners(
    server_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.web.api.event_hub.MOST_OF_ONE", 1)
    other = {"Authorization": f"Bearer {server_on_sqlite.tokens[Scope.ADMIN]}"}
    with listening(server_on_sqlite) as first:
        again = server_on_sqlite.get("/api/v1/events", headers={"Accept": "text/event-stream"})
        with listening(server_on_sqlite, **other) as second:
            assert first is not second

    assert (again.status_code, again.headers["retry-after"]) == (429, "30")


def test_a_stream_ends_in_order_with_its_server(sqlite_url: str) -> None:
    server = serving(sqlite_url)
    served = server.__enter__()
    with listening(served) as stream:
        server.__exit__(None, None, None)

        # Cut off, it would raise.
        assert [line for line in stream.lines if line.startswith("data")] == []


@pytest.mark.parametrize("after", ["nonsense", "1.2", "1.2.x", "1.2.-3", f"{10**30}.1.1"])
def test_what_is_no_event_is_refused(server_on_sqlite: Served, after: str) -> None:
    answer = server_on_sqlite.get(f"/api/v1/events?after={after}")

    assert answer.status_code == 422
    assert "is no event's id" in answer.json()["detail"]
