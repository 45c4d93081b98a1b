"""
What is odd about a timetable in one year, in sentences; what goes on evenly has none.

Clock changes that shift, double or skip an occurrence; months left out; dates that a calendar
excludes; 29 February; and a year without any occurrence.
"""

from calendar import isleap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Final

from scheduler.domain.timetable import DstMark, Timetable
from scheduler.domain.timetable.clock_changes import (
    SECOND,
    ClockChange,
    changes_after,
    instant_of,
    wall_of,
)
from scheduler.domain.timetable.cron_calendar import CronCalendar
from scheduler.domain.timetable.trigger import WallClockTrigger

MOST_LISTED: Final = 20_000
"""So many occurrences of a year are looked at, at most, for those that calendars exclude."""

_MOST_NAMED: Final = 5
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


class LintKind(StrEnum):
    """The kinds of what is odd: a closed list."""

    SHIFTED = "shifted"
    SKIPPED = "skipped"
    DOUBLED = "doubled"
    MONTH_WITHOUT = "month_without"
    YEAR_WITHOUT = "year_without"
    LEAP_DAY = "leap_day"
    EXCLUDED = "excluded"
    INVALID = "invalid"
    LINT = "lint"


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One odd thing about a schedule, and a sentence that says it; without one, about them all."""

    schedule: str | None = field(default=None, kw_only=True)
    kind: LintKind
    sentence: str


def list_findings(timetable: Timetable, year: int) -> list[LintFinding]:
    """Return what is odd about *timetable* in *year*, of the schedule's own zone."""
    if not timetable.triggers:
        return []
    start = _midnight(timetable, year, 1, 1)
    end = _midnight(timetable, year + 1, 1, 1)
    return [
        *_of_clock_changes(timetable, start, end),
        # What a calendar excludes is told below, and leaves no month out twice.
        *_of_months(replace(timetable, exclusions=()), year, start, end),
        *_of_leap_day(timetable, year),
        *_of_exclusions(timetable, start, end),
    ]


def _of_clock_changes(
    timetable: Timetable, start: datetime, end: datetime
) -> Iterator[LintFinding]:
    for change in changes_after(timetable.zone, start):
        if change.at >= end:
            return
        if change.size > timedelta():
            yield from _of_gap(timetable, change)
        elif change.size < timedelta():
            yield from _of_fold(timetable, change)


def _of_gap(timetable: Timetable, gap: ClockChange) -> Iterator[LintFinding]:
    lost = sorted({wall for trigger in _walls(timetable) for wall in _within(trigger, gap)})
    if not lost:
        return
    walls = _named([f"{wall:%H:%M}" for wall in lost])
    when = f"{gap.wall_before:%Y-%m-%d} {walls}"
    is_shifted = timetable.dst_mark(gap.at) is DstMark.SHIFTED
    at = f"{gap.at.astimezone(timetable.zone):%H:%M %z}"
    if is_shifted and _is_due(timetable, gap.at):
        yield LintFinding(LintKind.SHIFTED, f"{when} does not exist: it fires at {at}")
    elif is_shifted and (excluded_by := timetable.excluded_by(gap.at)):
        sentence = f"{when} does not exist, and {at}, when it would fire, is excluded"
        yield LintFinding(LintKind.SKIPPED, f"{sentence} by {excluded_by}")
    elif _is_within_validity(timetable, gap.at):
        yield LintFinding(LintKind.SKIPPED, f"{when} does not exist: it does not fire")


def _within(trigger: WallClockTrigger, gap: ClockChange) -> Iterator[datetime]:
    wall = trigger.calendar.next_wall(gap.wall_before - SECOND)
    for _ in range(MOST_LISTED):
        if wall is None or wall >= gap.wall_after:
            return
        yield wall
        wall = trigger.calendar.next_wall(wall)


def _of_fold(timetable: Timetable, fold: ClockChange) -> Iterator[LintFinding]:
    if not _walls(timetable):
        return
    twice = []
    for moment in timetable.occurrences(fold.at - SECOND, fold.at - fold.size - SECOND):
        wall = wall_of(timetable.zone, moment)
        if _is_due(timetable, instant_of(timetable.zone, wall.replace(fold=0))):
            twice.append(f"{wall:%H:%M}")
    if twice:
        when = f"{fold.wall_after:%Y-%m-%d} {_named(twice)}"
        yield LintFinding(LintKind.DOUBLED, f"{when} comes twice: it fires both times")


def _walls(timetable: Timetable) -> list[WallClockTrigger]:
    """Return the triggers that a clock change concerns: not those of each hour, in real time."""
    return [
        trigger
        for trigger in timetable.triggers
        if isinstance(trigger, WallClockTrigger) and not _is_of_each_hour(trigger)
    ]


def _is_of_each_hour(trigger: WallClockTrigger) -> bool:
    calendar = trigger.calendar
    return isinstance(calendar, CronCalendar) and calendar.crontab.fields[1] in ("*", "*/1")


def _of_months(
    timetable: Timetable, year: int, start: datetime, end: datetime
) -> Iterator[LintFinding]:
    if not _fires_between(timetable, start, end):
        if any(isinstance(trigger, WallClockTrigger) for trigger in timetable.triggers):
            following = timetable.next_after(end - SECOND)
            later = "never after it" if following is None else f"next {_day(timetable, following)}"
            yield LintFinding(LintKind.YEAR_WITHOUT, f"no occurrence in {year}; {later}")
        return
    without = [
        _MONTHS[month - 1]
        for month in range(1, 13)
        if _is_within_validity(timetable, _midnight(timetable, year, month, 1))
        and not _fires_between(timetable, *_month(timetable, year, month))
    ]
    # Of a schedule that leaves out most months, that is what it is for.
    if without and len(without) < len(_MONTHS) / 2 and not _names_months(timetable):
        yield LintFinding(LintKind.MONTH_WITHOUT, f"no occurrence in {', '.join(without)} {year}")


def _names_months(timetable: Timetable) -> bool:
    calendars = (getattr(trigger, "calendar", None) for trigger in timetable.triggers)
    return all(
        isinstance(calendar, CronCalendar) and calendar.crontab.fields[3] != "*"
        for calendar in calendars
    )


def _of_leap_day(timetable: Timetable, year: int) -> Iterator[LintFinding]:
    leap = next(y for y in range(year, year + 9) if isleap(y))
    days = {
        wall_of(timetable.zone, moment).day
        for moment in islice(timetable.occurrences(*_month_span(timetable, leap, 2)), _MANY)
    }
    if days != {29}:
        return
    if leap == year:
        yield LintFinding(
            LintKind.LEAP_DAY, f"its only occurrences in February {year} are on the 29th"
        )
    elif not _fires_between(timetable, *_month(timetable, year, 2)):
        yield LintFinding(
            LintKind.LEAP_DAY, f"29 February does not exist in {year}; next {leap}-02-29"
        )


_MANY: Final = 1_000


def _of_exclusions(timetable: Timetable, start: datetime, end: datetime) -> Iterator[LintFinding]:
    if not timetable.exclusions:
        return
    every = replace(timetable, exclusions=())
    excluded: dict[str, list[date]] = {}
    listed = list(islice(every.occurrences(start - SECOND, end - SECOND), MOST_LISTED + 1))
    for moment in listed[:MOST_LISTED]:
        excluded_by = timetable.excluded_by(moment)
        if excluded_by is not None:
            excluded.setdefault(excluded_by, []).append(wall_of(timetable.zone, moment).date())
    rest = "" if len(listed) <= MOST_LISTED else f" (until {_day(timetable, listed[-1])})"
    for name, dates in excluded.items():
        days = [day.isoformat() for day in dict.fromkeys(dates)]
        sentence = f"{len(dates)} excluded by {name}{rest}: {_named(days)}"
        yield LintFinding(LintKind.EXCLUDED, sentence)


def _named(words: list[str]) -> str:
    shown, more = ", ".join(words[:_MOST_NAMED]), len(words) - _MOST_NAMED
    return shown if more <= 0 else f"{shown} and {more} more"


def _is_due(timetable: Timetable, instant: datetime) -> bool:
    return timetable.next_after(instant - SECOND) == instant


def _fires_between(timetable: Timetable, start: datetime, end: datetime) -> bool:
    following = timetable.next_after(start - SECOND)
    return following is not None and following < end


def _is_within_validity(timetable: Timetable, instant: datetime) -> bool:
    begins, ends = timetable.valid_from, timetable.valid_until
    return (begins is None or begins <= instant) and (ends is None or instant <= ends)


def _month(timetable: Timetable, year: int, month: int) -> tuple[datetime, datetime]:
    following = (year, month + 1) if month < len(_MONTHS) else (year + 1, 1)
    return _midnight(timetable, year, month, 1), _midnight(timetable, *following, 1)


def _month_span(timetable: Timetable, year: int, month: int) -> tuple[datetime, datetime]:
    start, end = _month(timetable, year, month)
    return start - SECOND, end - SECOND


def _midnight(timetable: Timetable, year: int, month: int, day: int) -> datetime:
    wall = datetime(year, month, day, tzinfo=UTC).replace(tzinfo=None)
    return instant_of(timetable.zone, wall)


def _day(timetable: Timetable, moment: datetime) -> str:
    return f"{wall_of(timetable.zone, moment):%Y-%m-%d}"
