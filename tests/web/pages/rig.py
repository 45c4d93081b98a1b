"""What the tests of pages share: where they are, and a browser's session without a browser."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import httpx
from sqlalchemy import insert, update

from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.domain.notices import AlertKind, NewNotice, NoticeChange, Observed
from scheduler.domain.records import Reason, RunState
from scheduler.storage import alerts, notices
from scheduler.storage.result_tables import results
from scheduler.storage.runs import get_run
from scheduler.storage.tables import parked_inputs
from scheduler.web.guard import COOKIE
from scheduler.web.pages.page import PATHS
from tests.storage.rows import insert_collection, insert_run
from tests.web.rig import Served

EVIL: Final = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
"""What somebody may have written wherever text goes."""

CLIENTS: Final[list[httpx.Client]] = []
"""What a test leaves open; conftest.py closes it."""

HTML: Final = {"Accept": "text/html"}
FROM_HERE: Final = {"Sec-Fetch-Site": "same-origin", "Origin": "null", "Accept": "text/html"}
"""What a browser sends with a form on a page of ours."""

NAMES: Final = {"{name}": "nightly", "{run_id}": "1"}
"""What stands in a path that names something: `rig.world` makes them."""


OTHERS: Final = (("/batches/{", "pages"), ("/collectors/{", "products"), ("/queues/{", "mine"))
"""The same of what is no schedule."""


def paths() -> Iterator[str]:
    """Yield a path of every page."""
    for path in sorted(PATHS):
        filled = next(
            (path.replace("{name}", name) for table, name in OTHERS if table in path), path
        )
        for name, value in NAMES.items():
            filled = filled.replace(name, value)
        yield filled


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that has signed in."""

    served: Served
    client: httpx.Client

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page."""
        return self.client.get(self.served.url + path, headers={**HTML, **headers})

    def post(
        self, path: str, headers: Mapping[str, str] = FROM_HERE, **form: Any
    ) -> httpx.Response:
        """Send a form, with the session's own word unless *form* has one."""
        form = {"csrf": self.csrf(), **form}
        return self.client.post(self.served.url + path, data=form, headers=headers)

    def csrf(self) -> str:
        """Return the word of the session's forms."""
        return sha256(f"form of {self.client.cookies[COOKIE]}".encode()).hexdigest()


def sign_in(served: Served, scope: Scope) -> Session:
    """Sign a new browser in with the token of *scope*."""
    client = httpx.Client(timeout=60)
    CLIENTS.append(client)
    sent = {"token": served.tokens[scope]}
    client.post(f"{served.url}/sign-in", data=sent, headers=FROM_HERE)
    assert client.cookies
    return Session(served, client)


def fill(served: Served) -> None:
    """Give every page something to show, some of it meant badly."""
    made = {"name": EVIL.replace("/", ""), "collector": "products", "batch": "pages", "every": "1h"}
    _ask(served, "/schedules", **made, labels=["x"])
    _ask(served, "/queues", name="mine", queue_order="strict")
    assert new_run(served, queue="night") == 1
    _ask(served, "/schedules/nightly/pause", reason=EVIL)
    _ask(served, "/queues/night/pause", reason=EVIL)
    _ask(served, "/accounts/main/pause", reason=EVIL)
    _ask(served, "/freezes", scope="label:x", reason=EVIL)
    _ask(served, "/budgets", name="all", scope="all", page_loads=1_000)
    with served.db.writing() as conn:
        wrong: dict[str, Any] = {"kind": AlertKind.FAILING, "schedule": "nightly", "detail": EVIL}
        alerts.insert_alert(conn, Observed(subject="schedules.nightly", since=utc_now(), **wrong))
        insert_run(
            conn,
            id=9,
            schedule=made["name"],
            state=RunState.FAILED,
            reason=Reason.REFUSED,
            detail=EVIL,
            ended_at=utc_now(),
            body=get_run(conn, 1).body,
        )
    fill_what_was_brought(served)


CRAWLS: Final = 10
"""A run whose collection runs."""
BROUGHT: Final = 11
"""A run that ended well; its result is not saved."""


def fill_what_was_brought(served: Served) -> None:
    """Give a collection that runs, one that has ended, a result, a parked input and a notice."""
    now = utc_now()
    nightly = {"schedule": "nightly", "due_at": now, "triggered_at": now}
    crawls = nightly | {
        "id": CRAWLS,
        "collector": "products",
        "state": RunState.COLLECTING,
        "reason": Reason.ACCEPTED,
    }
    brought = nightly | {
        "id": BROUGHT,
        "chunk": 2,
        "chunks": 2,
        "state": RunState.SUCCEEDED,
        "reason": Reason.DONE,
    }
    parked = {"digest": "0", "input": '{"url": "x"}', "error": EVIL, "error_class": "never"}
    told = NewNotice(
        channel="ops",
        kind="failing",
        change=NoticeChange.OPENED,
        subject="schedules.nightly",
        event={"kind": "failing", "detail": EVIL},
        alert_id=None,
    )
    with served.db.writing() as conn:
        body = get_run(conn, 1).body
        insert_run(conn, **crawls, body=body, collection_id="j_crawls")
        insert_run(conn, **brought, body=body, collection_id="j_brought", ended_at=now)
        insert_collection(conn, CRAWLS, id="j_crawls", status="running", next_poll_at=now)
        times = {"accepted_at": now, "finished_at": now, "lines": 3}
        insert_collection(conn, BROUGHT, id="j_brought", status="done", next_poll_at=None, **times)
        row = parked | {"schedule": "nightly", "run_id": BROUGHT, "parked_at": now}
        conn.execute(insert(parked_inputs).values(row))
        notices.insert_notices(conn, [told], now=now)
    store_result(served, BROUGHT, state="failed", reason="disk", detail=EVIL)


def store_result(served: Served, run_id: int, **columns: Any) -> None:
    """Write down that a run's rows are to be saved."""
    now = utc_now()
    row = {"run_id": run_id, "account": "main", "schedule": "nightly", "collector": "products"}
    row |= {"collection_id": f"j_{run_id}", "path": "a/b.jsonl", "due_at": now, "created_at": now}
    with served.db.writing() as conn:
        conn.execute(insert(results).values(**row, expires_at=now + timedelta(days=9), **columns))


def change_result(served: Served, run_id: int, **columns: Any) -> None:
    """Have it be otherwise."""
    with served.db.writing() as conn:
        conn.execute(update(results).where(results.c.run_id == run_id).values(columns))


def new_run(served: Served, **asked: Any) -> int:
    """Ask for a run, and return its id."""
    made = _ask(served, "/runs", collector="products", inputs=[{"url": EVIL}], **asked)
    return int(made["id"])


def _ask(served: Served, path: str, **body: Any) -> Any:
    answer = served.post(f"/api/v1{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()
