"""Moments and durations in words, and in the zone that the reader has chosen."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup
from starlette.requests import Request

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timestamps import display_time, iso_time
from scheduler.domain.timetable import find_zone

ZONE_COOKIE: Final = "dcas_zone"
"""Which zone moments are shown in: its name, or OF_SCHEDULE; UTC without."""

OF_SCHEDULE: Final = "schedule"
"""The zone of the schedule that a page is about; UTC where it is about none."""

_STEPS: Final = ((90, 1, "s"), (90 * 60, 60, "min"), (36 * 3600, 3600, "h"))
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Times:
    """How a page writes moments: as of *now*, in *zone*."""

    now: datetime
    zone: ZoneInfo

    def ago(self, moment: datetime, past: str = "") -> str:
        """Write `3 min ago`, behind *past*, or `in 2 h`; the script does the same."""
        seconds = (moment - self.now).total_seconds()
        words = in_words(timedelta(seconds=abs(seconds)))
        return f"in {words}" if seconds > 0 else f"{past}{words} ago"

    def local(self, moment: datetime) -> str:
        """Write a moment in the zone, to the second: `2026-03-02 10:00:00`."""
        return f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    def short(self, moment: datetime) -> str:
        """Write it as short as it is plain: `10:00:00` of today, `03-02 10:00`, `2025-03-02`."""
        here, today = moment.astimezone(self.zone), self.now.astimezone(self.zone)
        if here.date() == today.date():
            return f"{here:%H:%M:%S}"
        is_near = abs(here - today) < timedelta(days=300)
        return f"{here:%m-%d %H:%M}" if is_near else f"{here:%Y-%m-%d}"

    def field(self, moment: datetime | None) -> str:
        """Write it as a field of a form has it, in the zone; nothing for none."""
        return "" if moment is None else f"{moment.astimezone(self.zone):%Y-%m-%dT%H:%M}"

    def iso(self, moment: datetime) -> str:
        """Write it for programs."""
        return iso_time(moment)

    def element(self, moment: datetime, words: str, mark: str = "") -> Markup:
        """Return *words* of a moment, exactly in its title; no macro, for a list has hundreds."""
        exactly = f'datetime="{iso_time(moment)}" title="{display_time(moment)}"'
        return Markup(f"<time {exactly}{mark}>{words}</time>")  # noqa: S704 - words of ours

    @property
    def zone_name(self) -> str:
        """Return what the zone is called."""
        return self.zone.key


def in_words(duration: timedelta) -> str:
    """Write a duration in its largest unit, rounded: `45 s`, `3 min`, `2 h`, `5 d`."""
    seconds = duration.total_seconds()
    for below, unit, name in _STEPS:
        if seconds < below:
            return f"{int(seconds / unit + 0.5)} {name}"
    return f"{int(seconds / _DAY + 0.5)} d"


def chosen_zone(request: Request) -> str:
    """Return which zone is chosen, by the address or else by the reader: a name, or OF_SCHEDULE."""
    return request.query_params.get("zone") or request.cookies.get(ZONE_COOKIE, "UTC")


def zone_for(request: Request, of_schedule: str | None = None) -> ZoneInfo:
    """Return the zone for a page about a schedule in the zone *of_schedule*, or about none."""
    name = chosen_zone(request)
    return known_zone(of_schedule or "UTC" if name == OF_SCHEDULE else name)


def known_zone(name: str) -> ZoneInfo:
    """Return the zone of that name; UTC where it is none."""
    try:
        return find_zone(name)
    except InvalidInput:
        return ZoneInfo("UTC")


def read_moment(text: str, zone: ZoneInfo) -> datetime:
    """Read what a field of a form holds, in *zone*; raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(text)
        placed = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
        return placed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text[:40]!r} is no time, such as 2026-12-01 02:00") from None
