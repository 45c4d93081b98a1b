"""What will be sent once a schedule is resumed, or a freeze thawed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.pauses import Freeze, why_skipped
from scheduler.domain.records import Reason, RunState, Schedule
from scheduler.domain.suggestions import did_you_mean
from scheduler.storage import definitions, freezes, runs, schedules
from scheduler.storage.database import Connection

_MOST_COUNTED: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumingView:
    """
    What a schedule does once it is resumed: its waiting runs at once, its next occurrence.

    *next_fire_skipped* is why that one is skipped all the same: another pause, another freeze.
    """

    schedule: str
    waiting_count: int
    next_fire_at: datetime | None
    next_fire_skipped: Reason | None


def preview_resume(conn: Connection, name: str, *, now: datetime) -> ResumingView:
    """Return what resuming a schedule comes to."""
    schedule = replace(schedules.get_schedule(conn, name).schedule, paused_at=None)
    return _preview(conn, schedule, freezes.list_freezes(conn), now)


def _preview(
    conn: Connection, schedule: Schedule, frozen: Sequence[Freeze], now: datetime
) -> ResumingView:
    # Of a backfill, too, which the schedule itself does not wait for: it is sent and billed.
    queued = runs.RunFilter(schedule=schedule.name, states=(RunState.QUEUED,))
    due_at = _next_fire(conn, schedule, now)
    return ResumingView(
        schedule=schedule.name,
        waiting_count=runs.count_runs(conn, queued, most=_MOST_COUNTED),
        next_fire_at=due_at,
        next_fire_skipped=why_skipped(due_at, schedule, frozen),
    )


def _next_fire(conn: Connection, schedule: Schedule, now: datetime) -> datetime | None:
    try:
        timetable = timetable_of(schedule, definitions.list_calendars(conn))
    except InvalidInput:
        return None
    return timetable.next_after(now) if schedule.enabled else None


def preview_thaw(conn: Connection, scope: str, *, now: datetime) -> tuple[ResumingView, ...]:
    """
    Return what thawing comes to, for every schedule of the scope that is enabled.

    Raises Conflict for what is not frozen. `count_held` has all runs that it sends.
    """
    frozen = freezes.list_freezes(conn)
    thawed = [freeze for freeze in frozen if freeze.scope == scope]
    others = [freeze for freeze in frozen if freeze.scope != scope]
    if not thawed:
        raise not_frozen(conn, scope)
    return tuple(
        _preview(conn, schedule, others, now)
        for schedule in schedules.list_schedules(conn)
        if schedule.enabled
        and schedule.error is None
        and any(freeze.concerns(schedule) for freeze in thawed)
    )


def not_frozen(conn: Connection, scope: str) -> Conflict:
    """Return the refusal to thaw what is not frozen, with what may be meant."""
    frozen = [freeze.scope for freeze in freezes.list_freezes(conn)]
    return Conflict(f"{scope} is not frozen{did_you_mean(scope, frozen)}")


def count_held(conn: Connection, scope: str) -> int:
    """Count the runs that wait in a freeze of *scope*: those asked for by hand, too."""
    kind, _, name = scope.partition(":")
    held = runs.RunFilter(
        collector=name if kind == "collector" else None,
        label=name if kind == "label" else None,
        states=(RunState.QUEUED,),
    )
    return runs.count_runs(conn, held, most=_MOST_COUNTED)
