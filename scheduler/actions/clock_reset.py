"""The way back from a clock that was ahead: schedules that it decided beyond now fire again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput, NeedsConfirmation
from scheduler.domain.records import Calendar, Run
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable import Stretch, Timetable
from scheduler.storage import ahead, audit, definitions, schedules
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce
from scheduler.storage.runs import occurrences, write
from scheduler.views.attention import why_clocks_differ
from scheduler.views.status import list_daemons, list_held_daemons


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetSchedule:
    """A schedule that is brought back: *skipped_count* occurrences to come are forgotten."""

    schedule: str
    decided_until: datetime
    skipped_count: int
    next_fire_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReset:
    """What a reset brings back: schedules, and runs asked for by hand, which are sent at once."""

    schedules: list[ResetSchedule]
    runs: list[ahead.AheadRun]


def preview_reset(conn: Connection, *, now: datetime) -> ClockReset:
    """Return what a reset brings back."""
    return ClockReset(
        schedules=_preview_schedules(conn, now), runs=ahead.list_ahead_runs(conn, now=now)
    )


def _preview_schedules(conn: Connection, now: datetime) -> list[ResetSchedule]:
    calendars = definitions.list_calendars(conn)
    resets = []
    for schedule in ahead.list_ahead(conn, now=now):
        timetable = _timetable(conn, schedule.name, calendars)
        cut = _cut(conn, schedule.name, timetable, now)
        resets.append(
            ResetSchedule(
                schedule=schedule.name,
                decided_until=schedule.decided_until,
                skipped_count=schedule.skipped_count
                + sum(gap.occurrences - kept.count for gap, kept in cut),
                next_fire_at=None if timetable is None else timetable.next_after(now),
            )
        )
    return resets


def _timetable(conn: Connection, name: str, calendars: Mapping[str, Calendar]) -> Timetable | None:
    try:
        return timetable_of(schedules.get_schedule(conn, name).schedule, calendars)
    except InvalidInput:
        return None


def _cut(
    conn: Connection, name: str, timetable: Timetable | None, now: datetime
) -> list[tuple[Run, Stretch]]:
    """Return the gaps that reach beyond *now*, each with what of it is not to come."""
    cut = []
    for gap in occurrences.list_gaps(conn, name, now, now):
        if gap.due_until is None or gap.due_until <= now:
            continue
        kept = None
        if timetable is not None:
            before = gap.due_at - timedelta.resolution
            kept = timetable.stretch(before, now, most=gap.occurrences)
        cut.append((gap, kept or Stretch(gap.due_at, gap.due_at, 1)))
    return cut


def reset(conn: Connection, *, by: str, now: datetime, confirmed: bool = False) -> ClockReset:
    """
    Bring back all that is decided beyond *now*; nothing of the past is fired.

    NeedsConfirmation where that is any.
    """
    found = preview_reset(conn, now=now)
    resets = found.schedules
    count = len(resets) + len(found.runs)
    if count and not confirmed:
        runs = f", and {len(found.runs)} runs are sent" if found.runs else ""
        doubts = [held.why for held in list_held_daemons(conn)]
        doubt = why_clocks_differ(list_daemons(conn, now=now), now) or next(iter(doubts), None)
        told = f"{doubt}: " if doubt else ""
        what = f"{told}{len(resets)} schedules are brought back to {display_time(now)}{runs}"
        raise NeedsConfirmation(what, count)
    calendars = definitions.list_calendars(conn)
    for reset in resets:
        timetable = _timetable(conn, reset.schedule, calendars)
        for gap, kept in _cut(conn, reset.schedule, timetable, now):
            write.cut_gap(conn, gap, kept)
    ahead.set_back(conn, [reset.schedule for reset in resets], now=now)
    ahead.set_back_the_rest(conn, now=now)
    changes: dict[str, audit.Columns] = {
        f"schedules.{one.schedule}": {"fired_until": (one.decided_until, now)} for one in resets
    }
    changes |= {f"runs.{run.id}": {"not_before": (run.not_before, now)} for run in found.runs}
    audit.record_changes(
        conn,
        [
            audit.NewChange(by=by, action="clock reset", subject=subject, columns=columns)
            for subject, columns in changes.items()
        ],
        now=now,
    )
    announce(conn)
    return found
