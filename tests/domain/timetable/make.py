"""Timetables that are valid by default, with overrides that matter."""

from datetime import UTC, datetime

from scheduler.domain.timetable import Exclusion, Timetable, TimetableSpec, build_timetable

NAME = "nightly"


def make_timetable(spec: TimetableSpec) -> Timetable:
    return build_timetable(spec, name=NAME)


def make_cron(text: str, timezone: str = "UTC") -> Timetable:
    return make_timetable(TimetableSpec(cron=text, timezone=timezone))


def local_times(timetable: Timetable, start: str, end: str) -> list[str]:
    """The occurrences from *start* to *end*, wall-clock times, as wall-clock times with offset."""
    low = datetime.fromisoformat(start).replace(tzinfo=timetable.zone).astimezone(UTC)
    high = datetime.fromisoformat(end).replace(tzinfo=timetable.zone).astimezone(UTC)
    found = timetable.occurrences(low, high)
    return [f"{moment.astimezone(timetable.zone):%m-%d %H:%M %z}" for moment in found]


def hours_left(exclusion: Exclusion, start: str, end: str, cron: str = "0 */6 * * *") -> list[str]:
    """The occurrences in Berlin that *exclusion* leaves."""
    spec = TimetableSpec(cron=cron, timezone="Europe/Berlin", exclusions=(exclusion,))
    return [time[:11] for time in local_times(make_timetable(spec), start, end)]
