"""Schedules' timetables as the domain builds and judges them, calendars included."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from scheduler.config.definitions import CalendarDefinition
from scheduler.config.problems import Problem, path
from scheduler.config.reading import Reading
from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable import (
    Exclusion,
    TimetableSpec,
    build_timetable,
    lint,
    lint_together,
    parse_calendar,
    parse_crontab,
    read_spec,
    split_calendar,
    timetable_values,
)

Calendars = dict[tuple[str, str], Exclusion]
"""What calendars exclude, by their name and the zone of the schedule."""


def calendar_text(calendar: CalendarDefinition) -> str:
    """
    Return the calendar as a row keeps it; reads its iCalendar file.

    Raises InvalidInput for a file that is none.
    """
    lines = list(calendar.days)
    if calendar.ics is not None:
        _, icalendar = split_calendar(_read_ics(calendar.ics))
        if not icalendar:
            raise InvalidInput(f"{calendar.ics} is not iCalendar text: no BEGIN:VCALENDAR in it")
        lines.append(icalendar.strip())
    return "\n".join(lines)


def _read_ics(file: str) -> str:
    try:
        data = Path(file).read_bytes()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:  # a line may be folded within a character
            return re.sub(rb"\r?\n[ \t]", b"", data).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InvalidInput(f"{file} cannot be read as UTF-8 text") from None


def read_calendars(reading: Reading) -> tuple[Calendars, list[Problem]]:
    """Read every calendar that can be, for each zone of a schedule that excludes it."""
    default = reading.config.defaults.timezone
    pairs = {
        (calendar, keys.timezone or default)
        for keys in reading.timetables.values()
        for calendar in keys.exclude
    }
    unused = reading.calendars.keys() - {calendar for calendar, _ in pairs}
    pairs |= {(calendar, default) for calendar in unused}
    calendars: Calendars = {}
    problems: dict[Problem, None] = {}
    for name, zone in sorted(pairs):
        if name in reading.calendars:
            try:
                text = calendar_text(reading.calendars[name])
                calendars[name, zone] = parse_calendar(name, text, timezone=zone)
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
            calendars[calendar, zone] for calendar in keys.exclude if (calendar, zone) in calendars
        )
        specs[name] = read_spec(
            timetable_values(keys), timezone=default, exclusions=tuple(excluded)
        )
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
