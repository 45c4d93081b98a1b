"""The last hour of an account: what was sent each minute, and each answer of 429."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.web.pictures.axes import clock_marks, level, quantity_axis, time_axis
from scheduler.web.pictures.frame import WIDTH, Key, Picture, Table, image, key
from scheduler.web.pictures.human import several, short_count
from scheduler.web.pictures.scale import Scale, TimeScale, count_ticks
from scheduler.web.pictures.svg import Svg, group, join, line, rect, title, words

_MINUTE: Final = timedelta(minutes=1)
_HEIGHT: Final = 110
_TOP: Final = 22
_LEFT: Final = 48
_BAND: Final = 26
"""Room under the bars for the answers of 429."""


def draw_minutes(
    sent: Sequence[datetime],
    throttled: Sequence[datetime],
    *,
    per_minute: float,
    now: datetime,
    zone: ZoneInfo,
) -> Picture:
    """Return triggers by the minute against what the account may, and a cross for each 429."""
    begin = now - 60 * _MINUTE
    bars, crosses = _by_minute(sent, begin, now), _by_minute(throttled, begin, now)
    most = max(bars, default=0)
    is_near = per_minute <= max(4 * most, 1)
    ticks = count_ticks(max(most, per_minute if is_near else 0, 1), 4)
    quantity = Scale(0, ticks[-1], _TOP + _HEIGHT, _TOP)
    times = TimeScale(begin, now, _LEFT, WIDTH - 8)
    foot = quantity.start + _BAND
    limit = f"{short_count(per_minute)} a minute allowed"
    says = (
        f"{several(sum(bars), 'trigger')} in the last hour, {most:,} a minute at most;"
        f" {several(sum(crosses), 'answer')} of 429"
    )
    svg = image(
        quantity_axis(quantity, ticks, short_count, left=times.start, right=times.end),
        time_axis(times, zone, top=_TOP, foot=foot, most=12),
        clock_marks(times, zone, top=_TOP, foot=foot),
        group(*_bars(bars, begin, times, quantity)),
        group(*_crosses(crosses, begin, times, quantity.start + _BAND / 2)),
        words(_LEFT - 6, quantity.start + _BAND / 2 + 4, "429", anchor="end", class_="name"),
        *([_limit(per_minute, limit, quantity, times)] if is_near else []),
        words(times.start, _TOP - 8, "triggers a minute", class_="unit"),
        says=says,
        height=foot + 24,
        class_="picture minutes",
    )
    return Picture(
        svg=svg,
        says=says,
        legend=_legend(limit, is_near=is_near),
        table=_table(bars, crosses, begin, zone),
        is_empty=not sum(bars) and not sum(crosses),
    )


def _by_minute(moments: Iterable[datetime], begin: datetime, now: datetime) -> list[int]:
    counts = [0] * 60
    for moment in moments:
        if begin <= moment <= now:
            counts[min(59, (moment - begin) // _MINUTE)] += 1
    return counts


def _bars(bars: Iterable[int], begin: datetime, times: TimeScale, quantity: Scale) -> Iterable[Svg]:
    for minute, count in enumerate(bars):
        if count:
            left, right = (times.place(begin + _MINUTE * number) for number in (minute, minute + 1))
            top = quantity.place(count)
            told = title(several(count, "trigger"))
            yield rect(left, top, right - left - 1, quantity.start - top, told, class_="shade-3")


def _crosses(crosses: Iterable[int], begin: datetime, times: TimeScale, y: float) -> Iterable[Svg]:
    for minute, count in enumerate(crosses):
        if count:
            x = times.place(begin + _MINUTE * (minute + 0.5))
            yield group(title(f"{several(count, 'answer')} of 429"), _cross(x, y))
            if count > 1:
                yield words(x + 6, y + 4, f"×{count}")


def _cross(x: float, y: float) -> Svg:
    return join(
        line(x - 4, y - 4, x + 4, y + 4, class_="throttled"),
        line(x + 4, y - 4, x - 4, y + 4, class_="throttled"),
    )


def _limit(per_minute: float, says: str, quantity: Scale, times: TimeScale) -> Svg:
    y = quantity.place(per_minute)
    return level(y, says, left=times.start, right=times.end, class_="limit")


def _legend(limit: str, *, is_near: bool) -> tuple[Key, ...]:
    bar = key(rect(4, 2, 8, 10, class_="shade-3"), "triggers in a minute")
    at_limit = key(line(0, 6, 16, 6, class_="limit"), limit)
    far = key(Svg(""), f"far above: {limit}")
    return (bar, key(_cross(8, 6), "answered with 429"), at_limit if is_near else far)


def _table(bars: Sequence[int], crosses: Sequence[int], begin: datetime, zone: ZoneInfo) -> Table:
    rows = tuple(
        (f"{(begin + _MINUTE * minute).astimezone(zone):%H:%M:%S}", f"{bar:,}", f"{cross:,}")
        for minute, (bar, cross) in enumerate(zip(bars, crosses, strict=True))
        if bar or cross
    )
    return Table(("minute from", "triggers", "429"), rows)
