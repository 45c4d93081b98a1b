"""What is to come by hour: a week as a grid, and the load of each hour against the limits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.web.pictures.axes import clock_marks, level, quantity_axis, time_axis
from scheduler.web.pictures.frame import WIDTH, Key, Picture, Table, image, key, nothing
from scheduler.web.pictures.human import count_words, several, short_count
from scheduler.web.pictures.scale import Scale, TimeScale, count_ticks, day_words
from scheduler.web.pictures.svg import Svg, group, join, line, rect, title, words

_HOUR: Final = timedelta(hours=1)
_LEFT: Final = 84
_TOP: Final = 20
_CELL_HEIGHT: Final = 24
_CELL_WIDTH: Final = (WIDTH - _LEFT - 4) / 24


@dataclass(frozen=True, slots=True, kw_only=True)
class HourCount:
    """How many runs are planned in the hour that begins at *start*."""

    start: datetime
    count: int


def draw_week(hours: Sequence[HourCount], *, zone: ZoneInfo) -> Picture:
    """
    Return a row per day and a cell per hour of the zone's clock, darker where more is planned.

    An hour that a clock change leaves out is hatched; one that comes twice is marked, and summed.
    """
    if not hours:
        return nothing("nothing is planned", _WEEK_COLUMNS)
    cells, twice = _cells(hours, zone)
    days = sorted({day for day, _ in cells})
    missing = _missing(days, zone)
    most = max(cells.values())
    drawn = [_day(day, place, cells, missing, twice, most) for place, day in enumerate(days)]
    says = f"{several(sum(cells.values()), 'run')} planned in {several(len(days), 'day')}"
    svg = image(
        group(*_hour_names(), class_="axis"),
        *drawn,
        says=says,
        height=_TOP + _CELL_HEIGHT * len(days) + 6,
        class_="picture week",
    )
    table = Table(_WEEK_COLUMNS, tuple(_week_row(day, cells) for day in days))
    return Picture(svg=svg, says=says, legend=_week_legend(most, missing, twice), table=table)


_Cell = tuple[date, int]


def _cells(hours: Iterable[HourCount], zone: ZoneInfo) -> tuple[dict[_Cell, int], set[_Cell]]:
    """Return the runs of each hour of the wall clock, and which of them come twice."""
    cells: dict[_Cell, int] = {}
    twice = set()
    for hour in hours:
        wall = hour.start.astimezone(zone)
        cell = (wall.date(), wall.hour)
        cells[cell] = cells.get(cell, 0) + hour.count
        before = (hour.start.astimezone(UTC) - _HOUR).astimezone(zone)
        if (before.date(), before.hour) == cell and before.utcoffset() != wall.utcoffset():
            twice.add(cell)
    return cells, twice


def _missing(days: Iterable[date], zone: ZoneInfo) -> set[_Cell]:
    """Return the hours that the clock jumps over."""
    missing = set()
    for day in days:
        for hour in range(24):
            wall = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
            back = wall.astimezone(UTC).astimezone(zone)
            if (back.date(), back.hour) != (day, hour):
                missing.add((day, hour))
    return missing


def _hour_names() -> Iterable[Svg]:
    for hour in range(0, 24, 2):
        yield words(_LEFT + _CELL_WIDTH * hour, _TOP - 6, f"{hour:02}:00")


def _day(
    day: date,
    place: int,
    cells: Mapping[_Cell, int],
    missing: set[_Cell],
    twice: set[_Cell],
    most: int,
) -> Svg:
    top = _TOP + _CELL_HEIGHT * place
    parts = [words(_LEFT - 8, top + 16, day_words(day), anchor="end", class_="name")]
    for hour in range(24):
        cell = (day, hour)
        left = _LEFT + _CELL_WIDTH * hour
        if cell in missing:
            parts.append(_no_hour(left, top))
        elif cell in cells:
            parts.append(_hour(left, top, hour, cells[cell], most, cell in twice))
    return group(*parts)


def _hour(left: float, top: float, hour: int, count: int, most: int, is_twice: bool) -> Svg:
    told = f"{hour:02}:00: {several(count, 'run')}" + (", an hour that comes twice" * is_twice)
    width, height = _CELL_WIDTH - 2, _CELL_HEIGHT - 2
    box = rect(left + 1, top + 1, width, height, title(told), class_=shade(count, most))
    label = words(
        left + _CELL_WIDTH / 2, top + 16, short_count(count), anchor="middle", class_="in-cell"
    )
    double = line(left + 3, top + 4, left + _CELL_WIDTH - 3, top + 4, class_="twice")
    return join(box, *([label] if count else []), *([double] if is_twice else []))


def _no_hour(left: float, top: float) -> Svg:
    strokes = (
        line(left + x, top + _CELL_HEIGHT - 3, left + x + 10, top + 3, class_="hatch")
        for x in (3, 11, 19)
    )
    return group(title("the clock jumps over this hour"), *strokes)


def shade(count: int, most: int) -> str:
    """Return the class of a cell: none, or one of four steps, each a quarter of the most."""
    if count <= 0 or most <= 0:
        return "none"
    return f"shade-{min(4, 1 + (count * 4 - 1) // most)}"


def shade_keys(most: int, noun: str = "runs") -> tuple[Key, ...]:
    """Return what the steps mean."""
    steps = []
    low = 1
    for step in range(1, 5):
        high = most * step // 4
        if high >= low:
            means = f"{low:,}" if high == low else f"{low:,}–{high:,}"
            steps.append((step, means))
            low = high + 1
    return tuple(
        key(rect(0, 0, 16, 12, class_=f"shade-{step}"), f"{means} {noun}") for step, means in steps
    )


def _week_legend(most: int, missing: set[_Cell], twice: set[_Cell]) -> tuple[Key, ...]:
    skipped = key(line(3, 11, 13, 1, class_="hatch"), "the clock jumps over it")
    double = key(line(0, 3, 16, 3, class_="twice"), "comes twice: the clock is set back")
    return (
        *shade_keys(most),
        *((skipped,) if missing else ()),
        *((double,) if twice else ()),
    )


_WEEK_COLUMNS: Final = ("day", "runs", "busiest hour")


def _week_row(day: date, cells: Mapping[_Cell, int]) -> tuple[str, ...]:
    of_day = {hour: count for (each, hour), count in cells.items() if each == day}
    busiest = max(of_day, key=lambda hour: (of_day[hour], -hour))
    told = f"{busiest:02}:00, {count_words(of_day[busiest])}" if of_day[busiest] else "–"
    return day_words(day), count_words(sum(of_day.values())), told


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What an hour may have at most, and what says so."""

    per_hour: float
    says: str


_LOAD_HEIGHT: Final = 150


def draw_load(
    hours: Sequence[HourCount], *, limits: Sequence[Limit] = (), zone: ZoneInfo
) -> Picture:
    """Return a bar per hour, and a line for each limit that is not far beyond them."""
    if not hours:
        return nothing("nothing is planned", _LOAD_COLUMNS)
    most = max(hour.count for hour in hours)
    near = [limit for limit in limits if limit.per_hour <= max(4 * most, 1)]
    ticks = count_ticks(max([most, *(limit.per_hour for limit in near)]))
    quantity = Scale(0, ticks[-1], _TOP + _LOAD_HEIGHT, _TOP)
    times = TimeScale(hours[0].start, hours[-1].start + _HOUR, _LEFT - 36, WIDTH - 8)
    right, foot = times.end, quantity.start
    busiest = max(hours, key=lambda hour: hour.count)
    says = (
        f"{several(sum(hour.count for hour in hours), 'run')} planned in"
        f" {several(len(hours), 'hour')}; at most {most:,} in one,"
        f" from {busiest.start.astimezone(zone):%a %H:%M}"
    )
    svg = image(
        quantity_axis(quantity, ticks, short_count, left=times.start, right=right),
        time_axis(times, zone, top=_TOP, foot=foot, most=14),
        clock_marks(times, zone, top=_TOP, foot=foot),
        group(*_load_bars(hours, near, times, quantity)),
        *_limit_lines(near, quantity, times),
        words(times.start, _TOP - 8, "runs an hour", class_="unit"),
        says=says,
        height=foot + 24,
        class_="picture load",
    )
    return Picture(
        svg=svg, says=says, legend=_load_legend(limits, near), table=_load_table(hours, zone)
    )


def _load_bars(
    hours: Iterable[HourCount], near: Iterable[Limit], times: TimeScale, quantity: Scale
) -> Iterable[Svg]:
    least = min((limit.per_hour for limit in near), default=float("inf"))
    for hour in hours:
        if not hour.count:
            continue
        left, top = times.place(hour.start), quantity.place(hour.count)
        width = max(1.0, times.place(hour.start + _HOUR) - left - 1)
        class_ = "beyond" if hour.count > least else "shade-3"
        told = title(several(hour.count, "run"))
        yield rect(left, top, width, quantity.start - top, told, class_=class_)


def _limit_lines(near: Iterable[Limit], quantity: Scale, times: TimeScale) -> Iterable[Svg]:
    for limit in near:
        y = quantity.place(limit.per_hour)
        yield level(y, limit.says, left=times.start, right=times.end, class_="limit")


def _load_legend(limits: Sequence[Limit], near: Sequence[Limit]) -> tuple[Key, ...]:
    bar = key(rect(4, 2, 8, 10, class_="shade-3"), "planned in an hour")
    beyond = key(rect(4, 2, 8, 10, class_="beyond"), "more than a limit")
    lines = tuple(key(line(0, 6, 16, 6, class_="limit"), limit.says) for limit in near)
    far = tuple(key(Svg(""), f"far above: {limit.says}") for limit in limits if limit not in near)
    return (bar, *((beyond,) if near else ()), *lines, *far)


_LOAD_COLUMNS: Final = ("hour", "runs")


def _load_table(hours: Iterable[HourCount], zone: ZoneInfo) -> Table:
    rows = tuple(
        (f"{hour.start.astimezone(zone):%a %d %b %H:%M %Z}", count_words(hour.count))
        for hour in hours
        if hour.count
    )
    return Table(_LOAD_COLUMNS, rows)
