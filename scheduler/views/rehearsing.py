"""What a rehearsal takes from the database: how long things took, and what a person has paused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from scheduler.domain.budgets import NOTHING_KNOWN, LoadsPerInput
from scheduler.domain.limits import day_of
from scheduler.storage import rehearsed
from scheduler.storage.budgets import read_lately
from scheduler.storage.database import Connection
from scheduler.storage.rehearsed import PastCollection
from scheduler.storage.runs import count_open

_MOST_PAST: Final = 20_000
_USAGE: Final = timedelta(days=31)
"""A month at most: what limits and budgets count, and expect an input to come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the database tells; nothing, where there is none yet."""

    collections: Mapping[str, Sequence[PastCollection]] = field(default_factory=dict)
    """By the upstream's id of their collector, newest first."""
    schedules: Sequence[str] = ()
    paused: Sequence[str] = ()
    open_runs: int = 0
    loads_per_input: LoadsPerInput = NOTHING_KNOWN
    usage: Sequence[Mapping[str, Any]] = ()
    """What was used on each day of the last month, as rows."""


def read_past(conn: Connection, *, now: datetime) -> Past:
    """Return what there is; page loads are those of the thirty days before *now*."""
    found: dict[str, list[PastCollection]] = {}
    for one in rehearsed.list_past_collections(conn, limit=_MOST_PAST):
        found.setdefault(one.collector_id, []).append(one)
    return Past(
        collections=found,
        schedules=rehearsed.list_schedule_names(conn),
        paused=rehearsed.list_paused_schedules(conn),
        open_runs=sum(count_open(conn).values()),
        loads_per_input=read_lately(conn, now=now).loads,
        usage=rehearsed.list_usage(conn, since=day_of(now - _USAGE)),
    )
