"""Schedules' timetables as the domain builds and judges them, calendars included."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from scheduler.config.definitions import CalendarDefinition
from scheduler.config.problems import Problem, path
from scheduler.config.reading import Reading
from scheduler.config.schedule_keys import TimetableKeys
from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable import (
    Exclusion,
    TimetableSpec,
    build_timetable,
    lint,
    lint_together,
    parse_crontab,
    parse_exclusion,
    parse_icalendar,
)

Calendars = dict[tuple[str, str], tuple[Exclusion, ...]]
"""What calendars exclude, by their name and the zone of the schedule."""


def timetable_spec(
    keys: TimetableKeys, *, timezone: str, exclusions: tuple[Exclusion, ...] = ()
) -> TimetableSpec:
    """Return what *keys* say as the domain takes it; *timezone* is the one of [defaults]."""
    return TimetableSpec(
        cron=keys.cron,
        every=keys.every,
        calendar_interval=keys.calendar_interval,
        at=_moment(keys.at),
        manual=keys.manual,
        after=keys.after,
        anchor=_moment(keys.anchor),
        timezone=keys.timezone or timezone,
        dst_gap=keys.dst_gap,
        dst_fold=keys.dst_fold,
        valid_from=_moment(keys.valid_from),
        valid_until=_moment(keys.valid_until),
        jitter=keys.jitter,
        spread=keys.spread,
        exclusions=exclusions,
    )


def read_calendar(
    name: str, calendar: CalendarDefinition, *, timezone: str
) -> tuple[Exclusion, ...]:
    """
    Return what calendar *name* excludes for a schedule in *timezone*; reads its iCalendar file.

    Raises InvalidInput with the line or the event that cannot be followed.
    """
    exclusions = [parse_exclusion(name, calendar.days)] if calendar.days else []
    if calendar.ics is not None:
        try:
            text = Path(calendar.ics).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise InvalidInput(f"{calendar.ics} cannot be read as UTF-8 text") from None
        exclusions.append(parse_icalendar(name, text, timezone=timezone))
    return tuple(exclusions)


def read_calendars(reading: Reading) -> tuple[Calendars, list[Problem]]:
    """Read every calendar that can be, an iCalendar file once for each zone of a schedule."""
    default = reading.config.defaults.timezone
    zones = {default, *(keys.timezone or default for keys in reading.timetables.values())}
    calendars: Calendars = {}
    problems: dict[Problem, None] = {}
    for name, calendar in reading.calendars.items():
        for zone in sorted(zones):
            try:
                calendars[name, zone] = read_calendar(name, calendar, timezone=zone)
            except InvalidInput as error:
                problems[Problem(("calendars", name), str(error))] = None
    return calendars, list(problems)


def timetable_specs(reading: Reading, calendars: Calendars) -> dict[str, TimetableSpec]:
    """Return every schedule's spec; a calendar that could not be read excludes nothing."""
    default = reading.config.defaults.timezone
    specs = {}
    for name, keys in reading.timetables.items():
        zone = keys.timezone or default
        excluded = (
            each for calendar in keys.exclude for each in calendars.get((calendar, zone), ())
        )
        specs[name] = timetable_spec(keys, timezone=default, exclusions=tuple(excluded))
    return specs


def timetable_problems(specs: Mapping[str, TimetableSpec]) -> Iterator[Problem]:
    """Yield what `build_timetable` refuses, and wrong crontab text that stands beside it."""
    for name, spec in specs.items():
        judges: list[Callable[[], object]] = [partial(build_timetable, spec, name=name)]
        if spec.cron is not None:
            judges.append(partial(parse_crontab, spec.cron, name=name))
        sentences = dict.fromkeys(sentence for judge in judges for sentence in _refusal(judge))
        yield from (Problem(("schedules", name), sentence) for sentence in sentences)


def _refusal(judge: Callable[[], object]) -> Iterator[str]:
    try:
        judge()
    except InvalidInput as error:
        yield str(error)


def timetable_warnings(specs: Mapping[str, TimetableSpec]) -> Iterator[str]:
    """Yield what is allowed in *specs*, which have no problem, but seldom meant."""
    for name, spec in specs.items():
        for sentence in lint(spec):
            yield f"{path(('schedules', name))}: {sentence}"
    for sentence in lint_together(specs):
        yield f"schedules: {sentence}"


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
