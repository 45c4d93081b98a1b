"""What will fire, and when: asked of a stored schedule, or of crontab text."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

from scheduler.domain.definition import timetable_of
from scheduler.domain.pauses import stop_at, why_skipped
from scheduler.domain.records import Reason
from scheduler.domain.timetable import DstMark, Timetable, TimetableSpec, build_timetable
from scheduler.storage import definitions, freezes, runs, schedules
from scheduler.storage.database import Connection
from scheduler.tools import lineage
from scheduler.views.over_limits import list_over_limits
from scheduler.views.waiting import list_waits


@dataclass(frozen=True, slots=True, kw_only=True)
class NextOccurrence:
    """
    One time to come, also in the schedule's zone (*due_local*), and what a clock change did to it.

    Its run starts later (*starts_at*) by jitter and spread, maybe in what an exclusion covers
    (*starts_within*): those are about due times. With *excluded_by* it does not fire at all, and as
    things stand it is skipped where there is a reason: paused or frozen.
    """

    due_at: datetime
    due_local: str
    starts_at: datetime
    dst: DstMark | None
    excluded_by: str | None = None
    starts_within: str | None = None
    skipped: Reason | None = None


def dst_words(mark: DstMark) -> str:
    """Say what a clock change did to an occurrence."""
    return _DST_WORDS[mark]


_DST_WORDS: Final[Mapping[DstMark, str]] = {
    DstMark.SHIFTED: "shifted: the clock jumps over its own time",
    DstMark.FIRST_PASS: "the clock shows this time twice: the first",
    DstMark.SECOND_PASS: "the clock shows this time twice: the second",
}


def timetable_of_schedule(conn: Connection, name: str) -> Timetable:
    """Return the timetable of a stored schedule; raises NotFound or InvalidInput."""
    schedule = schedules.get_schedule(conn, name).schedule
    return timetable_of(schedule, definitions.list_calendars(conn))


def runs_left(conn: Connection, name: str) -> int | None:
    """Return how many runs `max_runs` still allows the schedule; None if it has none."""
    schedule = schedules.get_schedule(conn, name).schedule
    return (
        None
        if schedule.max_runs is None
        else lineage.runs_left([schedule], runs.count_made(conn, [name]))
    )


Stops = Callable[[datetime], Reason | None]
"""For which reason an occurrence at that time is skipped, as things stand."""


def stops_of(conn: Connection, name: str) -> Stops:
    """Return what tells which occurrences of a schedule its pause or a freeze skips."""
    schedule, frozen = schedules.get_schedule(conn, name).schedule, freezes.list_freezes(conn)
    return lambda due_at: why_skipped(due_at, schedule, frozen)


def _nothing_stops(due_at: datetime) -> None:
    """Skip nothing: crontab text is nobody's."""


def what_stops(conn: Connection, name: str, *, now: datetime) -> list[str]:
    """Return in sentences why a schedule does not fire what its timetable has."""
    schedule = schedules.get_schedule(conn, name).schedule
    stop = stop_at(now, schedule, freezes.list_freezes(conn))
    sentences = [] if stop is None else [f"what comes due is skipped: {stop.detail}"]
    waits = list_waits(conn, [schedule], at=now).get(name)
    sentences += [] if waits is None else [f"what comes due waits: {waits}"]
    over = list_over_limits(conn, [schedule], at=now).get(name)
    sentences += [] if over is None else [f"what comes due now is skipped: {over.detail}"]
    if not schedule.enabled:
        sentences.append("it does not fire: it is disabled")
    if schedule.error is not None:
        sentences.append(f"it does not fire: it is invalid: {schedule.error}")
    return sentences


def next_of_schedule(
    conn: Connection,
    name: str,
    *,
    start: datetime | None,
    count: int,
    with_excluded: bool = False,
    now: datetime,
) -> list[NextOccurrence]:
    """Return what `list_next` does of a stored schedule, from *now* on unless said."""
    return list_next(
        timetable_of_schedule(conn, name),
        start=start or now,
        now=now,
        count=count,
        with_excluded=with_excluded,
        left=runs_left(conn, name),
        stops=stops_of(conn, name),
    )


def next_of_cron(
    conn: Connection, cron: str, timezone: str, *, start: datetime | None, count: int, now: datetime
) -> list[NextOccurrence]:
    """Return what `list_next` does of crontab text, from *now* on unless said."""
    timetable = timetable_of_cron(cron, timezone)
    return list_next(timetable, start=start or now, now=now, count=count)


def timetable_of_cron(cron: str, timezone: str) -> Timetable:
    """Return the timetable that crontab text means in a zone."""
    return build_timetable(TimetableSpec(cron=cron, timezone=timezone), name="cron")


def list_next(
    timetable: Timetable,
    *,
    start: datetime,
    now: datetime,
    count: int,
    with_excluded: bool = False,
    left: int | None = None,
    stops: Stops = _nothing_stops,
) -> list[NextOccurrence]:
    """
    Return up to *count* occurrences strictly after *start*, those that are excluded if asked.

    From *now* on there are *left* that fire, where that is limited; *stops* marks the skipped.
    """
    walked = replace(timetable, exclusions=()) if with_excluded else timetable
    first = start if left is None else min(start, now)
    fires = _within(left, timetable, _after(walked, first), now, stops)
    asked = (utc for utc in fires if utc > start)
    return [_occurrence(timetable, utc, stops(utc)) for utc in islice(asked, count)]


def _within(
    left: int | None,
    timetable: Timetable,
    occurrences: Iterator[datetime],
    now: datetime,
    stops: Stops,
) -> Iterator[datetime]:
    for utc in occurrences:
        makes_one = timetable.excluded_by(utc) is None and stops(utc) is None
        if left is not None and utc > now and makes_one:
            if left == 0:
                return
            left -= 1
        yield utc


def _occurrence(timetable: Timetable, utc: datetime, skipped: Reason | None) -> NextOccurrence:
    excluded_by = timetable.excluded_by(utc)
    starts = utc if excluded_by else utc + timetable.delay(utc)
    return NextOccurrence(
        due_at=utc,
        due_local=utc.astimezone(timetable.zone).isoformat(),
        starts_at=starts,
        dst=timetable.dst_mark(utc),
        excluded_by=excluded_by,
        starts_within=None if excluded_by else timetable.excluded_by(starts),
        skipped=None if excluded_by else skipped,
    )


def _after(timetable: Timetable, start: datetime) -> Iterator[datetime]:
    occurrence = timetable.next_after(start)
    while occurrence is not None:
        yield occurrence
        occurrence = timetable.next_after(occurrence)
