"""What a timetable is made of, as plain values: the shape of a database row or a TOML table."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.exclusions import Exclusion


class DstGap(StrEnum):
    """
    What becomes of a wall-clock time that the clock jumps over in spring.

    A jump of three hours or more, such as a zone's lost day, is made up for by neither:
    Debian cron takes it for a correction of the clock.
    """

    SHIFT = "shift"  # it happens at the first instant after the gap, as Debian cron does
    SKIP = "skip"  # it does not happen on that day


class DstFold(StrEnum):
    """What becomes of a wall-clock time that comes twice in autumn."""

    FIRST = "first"  # it happens in the first pass only, as Debian cron does
    BOTH = "both"  # it happens in both passes


@dataclass(frozen=True, slots=True, kw_only=True)
class TimetableSpec:
    """
    When a schedule is due. Exactly one of the first six fields says how.

    *cron* is crontab text: five fields or a macro, several expressions apart
    by `;` or a line break. *every* is a duration on an even beat in UTC, with a
    beat at *anchor* (the Unix epoch unless given; the anchor is no beginning:
    see *valid_from*). *calendar_interval* counts days, weeks, months or years:
    see calendar_interval.py. *at* is one moment. *manual* and *after* (the name
    of another schedule) have no times of their own.

    Moments without an offset are wall-clock times in *timezone*. *valid_from*
    and *valid_until* are both inclusive.
    """

    cron: str | None = None
    every: str | None = None
    calendar_interval: str | None = None
    at: datetime | None = None
    manual: bool = False
    after: str | None = None
    anchor: datetime | None = None
    timezone: str = "UTC"
    dst_gap: str = DstGap.SHIFT
    dst_fold: str = DstFold.FIRST
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    jitter: str | None = None
    spread: str | None = None
    exclusions: tuple[Exclusion, ...] = ()


_NAMES: Final = tuple(field.name for field in fields(TimetableSpec) if field.name != "exclusions")
_MOMENTS: Final = ("at", "anchor", "valid_from", "valid_until")

timetable_values: Final = attrgetter(*_NAMES)
"""Returns what a row, or a table of the file, says of its timetable, in the order of the fields."""


def read_spec(
    values: Sequence[Any], *, timezone: str | None = None, exclusions: tuple[Exclusion, ...] = ()
) -> TimetableSpec:
    """
    Read `timetable_values`, moments as text; *timezone* holds where they have none.

    Raises InvalidInput for a moment that is none.
    """
    named = dict(zip(_NAMES, values, strict=True))
    moments = {name: _moment(name, named[name]) for name in _MOMENTS}
    zone = named["timezone"] or timezone
    return TimetableSpec(**{**named, **moments, "timezone": zone}, exclusions=exclusions)


def _moment(field: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"{field} {text!r} is not a time: write it like 2026-12-01T02:00:00"
        ) from None
