"""The first page of every list, and of each filter that hardly anything passes, among many runs."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.figures import Figure
from bench.place import Databases
from bench.rows import make_ended, store_schedules
from scheduler.clock import utc_now
from scheduler.domain.records import Reason, RunState
from scheduler.storage.database import Connection, Database
from scheduler.views.changes import list_changes
from scheduler.views.collections import CollectionFilter, list_collections
from scheduler.views.json_document import json_document
from scheduler.views.page import LOOKED_THROUGH
from scheduler.views.runs import RunFilter, list_runs
from scheduler.views.schedules import ScheduleFilter, page_schedules
from scheduler.views.status import read_status

if TYPE_CHECKING:
    from bench.measures import Sizes

LIMIT = 50
_SCHEDULES = 1000
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)

Ask = Callable[[Connection], Any]


def lists(made: Databases, sizes: "Sizes") -> Iterator[Figure]:
    """Yield how long each first page takes, in ms, with as many runs as the history has."""
    for kind in ("sqlite", "postgresql"):
        with made.place(kind, "http://127.0.0.1:1") as place, Database(place.url) as db:
            make_ended(db, sizes.history, _SCHEDULES)
            store_schedules(db, _SCHEDULES, due_at=datetime(2099, 1, 1, tzinfo=UTC))
            for name, ask in _questions():
                taken = [_timed(db, ask) for _ in range(3)]
                name = f"{sizes.history:,} runs, {kind}: {name}"
                yield Figure(name=name, unit="ms", values=[median(taken)])


def _questions() -> Iterator[tuple[str, Ask]]:
    yield "runs", _runs()
    narrow: dict[str, RunFilter] = {
        "state=skipped": RunFilter(states=[RunState.SKIPPED]),
        "state=queued": RunFilter(states=[RunState.QUEUED]),
        "reason=throttled": RunFilter(reasons=[Reason.THROTTLED]),
        "collector": RunFilter(collector="k1"),
        "label": RunFilter(label="dear"),
        "batch": RunFilter(batch="one"),
        "until": RunFilter(until=_NEVER),
        "ended_until": RunFilter(ended_until=_NEVER),
        "since": RunFilter(since=utc_now()),
        "schedule": RunFilter(schedule="s1"),
    }
    for name, wanted in narrow.items():
        yield f"runs?{name}", _runs(wanted)
    among = partial(list_collections, limit=LIMIT, look_through=LOOKED_THROUGH)
    yield "collections", partial(among, wanted=CollectionFilter())
    for name, those in (
        ("open", CollectionFilter(is_open=True)),
        ("account", CollectionFilter(account="none")),
        ("collector_id", CollectionFilter(collector_id="c_none")),
    ):
        yield f"collections?{name}", partial(among, wanted=those)
    yield "changes?by", partial(list_changes, limit=LIMIT, by="nobody")
    now = utc_now()
    yield "schedules", partial(page_schedules, wanted=ScheduleFilter(), limit=LIMIT, now=now)
    yield "status", partial(read_status, now=now)


def _runs(wanted: RunFilter = RunFilter()) -> Ask:  # noqa: B008 - it cannot be changed
    return partial(list_runs, wanted=wanted, limit=LIMIT, look_through=LOOKED_THROUGH)


def _timed(db: Database, ask: Ask) -> float:
    with db.reading() as conn:
        began = time.monotonic()
        json_document(ask(conn))
        return (time.monotonic() - began) * 1e3
