"""From plain values to a timetable: everything that can be wrong with them is said here."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.calendar_interval import EPOCH_DAY, parse_calendar_interval
from scheduler.domain.timetable.clock_changes import in_utc, wall_of
from scheduler.domain.timetable.cron_calendar import CronCalendar
from scheduler.domain.timetable.crontab import Crontab, parse_crontab
from scheduler.domain.timetable.spec import DstFold, DstGap, TimetableSpec
from scheduler.domain.timetable.timetable import Timetable
from scheduler.domain.timetable.trigger import DstRule, WallClockTrigger
from scheduler.domain.timetable.zones import find_zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = ("cron", "every", "calendar_interval", "at", "manual", "after")
_Choice = TypeVar("_Choice", bound=StrEnum)


def build_timetable(spec: TimetableSpec, *, name: str) -> Timetable:
    """
    Check *spec* and return the timetable of the schedule called *name*.

    The name decides what `H`, jitter and spread come to: a renamed schedule moves.
    Raises InvalidInput with a sentence that names the field and what it may hold.
    """
    zone = find_zone(spec.timezone)
    timetable = Timetable(
        name=name,
        zone=zone,
        triggers=_build_triggers(spec, name, zone),
        valid_from=_moment(spec.valid_from, zone),
        valid_until=_moment(spec.valid_until, zone),
        exclusions=spec.exclusions,
        jitter=_duration("jitter", spec.jitter),
        spread=_duration("spread", spec.spread),
    )
    _check_validity(timetable)
    return timetable


def _build_triggers(spec: TimetableSpec, name: str, zone: ZoneInfo) -> tuple[BaseTrigger, ...]:
    kind = _kind_of(spec)
    gap = _choice("dst_gap", DstGap, spec.dst_gap)
    fold = _choice("dst_fold", DstFold, spec.dst_fold)
    fixed = DstRule(catch_up=gap is DstGap.SHIFT, repeat=fold is DstFold.BOTH)
    if kind == "cron":
        crontabs = parse_crontab(spec.cron or "", name=name)
        return tuple(_cron_trigger(crontab, zone, fixed) for crontab in crontabs)
    if kind == "every":
        return (_interval_trigger(spec, zone),)
    if kind == "calendar_interval":
        anchor = EPOCH_DAY if spec.anchor is None else _day_of(spec.anchor, zone)
        calendar = parse_calendar_interval(spec.calendar_interval or "", anchor=anchor)
        return (WallClockTrigger(calendar, zone, fixed),)
    if kind == "at" and spec.at is not None:
        return (DateTrigger(_one_moment(spec.at, zone, gap), timezone=UTC),)
    return ()


def _kind_of(spec: TimetableSpec) -> str:
    given = [kind for kind in _KINDS if getattr(spec, kind) not in (None, False)]
    if len(given) != 1:
        has = " and ".join(given) if given else "none of them"
        raise InvalidInput(f"a timetable is exactly one of {', '.join(_KINDS)}; this one has {has}")
    if spec.anchor is not None and given[0] not in {"every", "calendar_interval"}:
        raise InvalidInput(f"anchor goes with every or calendar_interval, not with {given[0]}")
    return given[0]


def _cron_trigger(crontab: Crontab, zone: ZoneInfo, fixed: DstRule) -> WallClockTrigger:
    real_time = DstRule(catch_up=False, repeat=True)
    rule = real_time if crontab.follows_real_time else fixed
    return WallClockTrigger(CronCalendar(crontab), zone, rule)


def _interval_trigger(spec: TimetableSpec, zone: ZoneInfo) -> IntervalTrigger:
    interval = _duration("every", spec.every)
    anchor = _moment(spec.anchor, zone) or _EPOCH
    if anchor.microsecond:
        raise InvalidInput(f"anchor {anchor.isoformat()} is not on a whole second")
    # The beat nearest to the epoch, for the trigger starts at its start and counts in whole steps.
    start = _EPOCH + (anchor - _EPOCH) % (interval or timedelta(seconds=1))
    seconds = int(interval.total_seconds()) if interval else 0
    return IntervalTrigger(seconds=seconds, start_date=start, timezone=UTC)


def _one_moment(at: datetime, zone: ZoneInfo, gap: DstGap) -> datetime:
    moment = in_utc(zone, at)
    if at.microsecond:
        raise InvalidInput(f"at {at.isoformat()} is not on a whole second")
    if at.tzinfo is None and gap is DstGap.SKIP and wall_of(zone, moment) != at:
        raise InvalidInput(
            f"at {at.isoformat()} does not exist in {zone.key}: the clock jumps over it"
        )
    return moment


def _check_validity(timetable: Timetable) -> None:
    start, end = timetable.valid_from, timetable.valid_until
    if start is not None and end is not None and end < start:
        raise InvalidInput(
            f"valid_until {end.isoformat()} is before valid_from {start.isoformat()}"
        )


def _moment(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if moment is None else in_utc(zone, moment)


def _day_of(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment if moment.tzinfo is None else wall_of(zone, moment)


def _duration(field: str, text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"{field}: {error}") from None


def _choice(field: str, choices: type[_Choice], value: str) -> _Choice:
    try:
        return choices(value)
    except ValueError:
        allowed = " or ".join(choices)
        raise InvalidInput(f"{field} {value!r}: write {allowed}") from None
