"""A value of each run over time: how late it was, how long it took, how many rows it brought."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median, quantiles
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.domain.records import RunState
from scheduler.web.pictures.axes import clock_marks, quantity_axis, time_axis
from scheduler.web.pictures.frame import Key, Picture, Table, image, key, nothing
from scheduler.web.pictures.human import count_words, duration_words, several, short_count
from scheduler.web.pictures.looks import class_of, mark, state_keys, word_of, worst_of
from scheduler.web.pictures.scale import Scale, TimeScale, count_ticks, duration_ticks, log_ticks
from scheduler.web.pictures.svg import Svg, group, join, line, rect, tag, title, words

_HEIGHT: Final = 160
_TOP: Final = 24
_LEFT: Final = 74
_RIGHT: Final = 134
_WIDTH: Final = 620
"""Half as wide as a page: two stand side by side where there is room."""
_MOST_DRAWN: Final = 300
"""Of more points, the least and the most of each stretch are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one run came to: a number of seconds, or of rows."""

    at: datetime
    value: float
    state: RunState
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What most values are: the middle one, that which 95 % do not exceed, the middle half."""

    median: float
    p95: float
    low: float
    high: float


def usual_of(values: Sequence[float]) -> Usual | None:
    """Return what is usual of *values*; None of fewer than one."""
    if not values:
        return None
    if len(values) == 1:
        return Usual(median=values[0], p95=values[0], low=values[0], high=values[0])
    cuts = quantiles(values, n=20, method="inclusive")
    return Usual(median=median(values), p95=cuts[18], low=cuts[4], high=cuts[14])


def draw_lateness(points: Sequence[Point], *, grace: float | None, zone: ZoneInfo) -> Picture:
    """Return how late each run was, each tenfold taking the same room, and where its grace ends."""
    if not points:
        return nothing("no run has been sent yet", _columns("late"), width=_WIDTH)
    values = [point.value for point in points]
    high = max(10.0, *values, *([grace * 1.5] if grace else []))
    scale = Scale(0.01, high, _TOP + _HEIGHT, _TOP, is_log=True)
    usual = usual_of(values)
    beyond = sum(1 for value in values if grace is not None and value > grace)
    says = f"{several(len(points), 'run')}: {_usual_words(usual, duration_words)} late" + (
        f"; {beyond:,} more than the grace of {duration_words(grace)}" if grace else ""
    )
    lines = _levels(usual, scale, duration_words) + (
        [_Level(grace, f"grace {duration_words(grace)}", "limit")] if grace else []
    )
    plot = _Plot(
        points=points, quantity=scale, ticks=log_ticks(0.01, high), say=duration_words, zone=zone
    )
    return plot.draw(lines, says=says, unit="late, each tenfold as wide", column="late")


def draw_durations(points: Sequence[Point], *, zone: ZoneInfo) -> Picture:
    """Return how long each run took, with the median and what 95 % do not exceed."""
    if not points:
        return nothing("no run has ended yet", _columns("took"), width=_WIDTH)
    values = [max(0.0, point.value) for point in points]
    ticks = duration_ticks(max(values))
    scale = Scale(0, ticks[-1], _TOP + _HEIGHT, _TOP)
    usual = usual_of(values)
    says = f"{several(len(points), 'run')}: {_usual_words(usual, duration_words)}"
    plot = _Plot(points=points, quantity=scale, ticks=ticks, say=duration_words, zone=zone)
    lines = _levels(usual, scale, duration_words)
    return plot.draw(lines, says=says, unit="from sent to ended", column="took")


def draw_rows(
    points: Sequence[Point],
    *,
    zone: ZoneInfo,
    noun: str = "rows",
    none: str = "no run has brought rows yet",
) -> Picture:
    """Return how many rows each run brought, before the band that the middle half is in."""
    if not points:
        return nothing(none, _columns(noun), width=_WIDTH)
    values = [point.value for point in points]
    ticks = count_ticks(max(values))
    scale = Scale(0, ticks[-1], _TOP + _HEIGHT, _TOP)
    usual = usual_of(values)
    says = f"{several(len(points), 'run')}: {_usual_words(usual, count_words)} {noun}"
    plot = _Plot(points=points, quantity=scale, ticks=ticks, say=short_count, zone=zone)
    lines = _levels(usual, scale, count_words)
    return plot.draw(lines, says=says, unit=f"{noun} a run", column=noun, band=usual)


def _usual_words(usual: Usual | None, say: Callable[[float], str]) -> str:
    if usual is None:
        return "nothing"
    if usual.low == usual.p95:
        return say(usual.median)
    return f"half up to {say(usual.median)}, 95 % up to {say(usual.p95)}"


@dataclass(frozen=True, slots=True)
class _Level:
    value: float
    says: str
    class_: str


def _levels(usual: Usual | None, scale: Scale, say: Callable[[float], str]) -> list[_Level]:
    if usual is None:
        return []
    middle = _Level(usual.median, f"median {say(usual.median)}", "median")
    if abs(scale.place(usual.p95) - scale.place(usual.median)) < 3:
        return [middle]
    return [_Level(usual.p95, f"p95 {say(usual.p95)}", "p95"), middle]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    """Points over time, and what all three plots have in common."""

    points: Sequence[Point]
    quantity: Scale
    ticks: Sequence[float]
    say: Callable[[float], str]
    zone: ZoneInfo

    @property
    def times(self) -> TimeScale:
        """From the first run to the last; around a lone one, a minute."""
        begin = min(point.at for point in self.points)
        finish = max(point.at for point in self.points)
        margin = timedelta(seconds=30) if finish == begin else (finish - begin) / 60
        return TimeScale(begin - margin, finish + margin, _LEFT, _WIDTH - _RIGHT)

    def draw(
        self,
        levels: Sequence[_Level],
        *,
        says: str,
        unit: str,
        column: str,
        band: Usual | None = None,
    ) -> Picture:
        """Return the whole picture."""
        times, foot = self.times, self.quantity.start
        drawn = list(_thin(self.points, times))
        thinned = "" if len(drawn) == len(self.points) else _THINNED.format(len(self.points))
        svg = image(
            self._band(band, times),
            quantity_axis(self.quantity, self.ticks, self.say, left=times.start, right=times.end),
            time_axis(times, self.zone, top=_TOP, foot=foot, most=7),
            clock_marks(times, self.zone, top=_TOP, foot=foot),
            group(*(self._dot(point, times) for point in drawn)),
            *self._level_lines(levels, times),
            words(times.start, _TOP - 10, unit + thinned, class_="unit"),
            says=says,
            width=_WIDTH,
            height=foot + 24,
            class_="picture plot",
        )
        legend = _legend(self.points, levels, band)
        return Picture(svg=svg, says=says, legend=legend, table=self._table(column))

    def _band(self, band: Usual | None, times: TimeScale) -> Svg:
        if band is None or band.low == band.high:
            return Svg("")
        top, foot = self.quantity.place(band.high), self.quantity.place(band.low)
        return rect(times.start, top, times.end - times.start, foot - top, class_="band")

    def _dot(self, point: Point, times: TimeScale) -> Svg:
        x, y = times.place(point.at), self.quantity.place(point.value)
        told = title(_told(point, self.say, self.zone))
        if point.state is RunState.SUCCEEDED:
            return tag("circle", told, cx=x, cy=y, r=2.5, class_=class_of(point.state))
        box = rect(x - 4.5, y - 4.5, 9, 9, told, class_=class_of(point.state))
        return join(box, mark(point.state, x, y, 2.6))

    def _level_lines(self, levels: Sequence[_Level], times: TimeScale) -> Iterable[Svg]:
        """Yield the lines from the top down, each with its name at its right, none in another."""
        free_from = float("-inf")
        for each in sorted(levels, key=lambda each: -each.value):
            y = self.quantity.place(each.value)
            free_from = max(y + 4, free_from + 13)
            yield join(
                line(times.start, y, times.end, y, class_=each.class_),
                words(times.end + 6, free_from, each.says, class_=f"{each.class_} level"),
            )

    def _table(self, column: str) -> Table:
        last = sorted(self.points, key=lambda point: point.at)[-_MOST_ROWS:]
        rows = tuple(
            (
                f"{point.at.astimezone(self.zone):%a %d %b %Y %H:%M:%S %Z}",
                point.name,
                self.say(point.value) if self.say is duration_words else count_words(point.value),
                word_of(point.state),
            )
            for point in reversed(last)
        )
        return Table(_columns(column), rows)


_MOST_ROWS: Final = 200
_THINNED: Final = "; of {:,} runs the least and the most of each stretch"


def _columns(column: str) -> tuple[str, ...]:
    return ("run", "", column, "became")


def _told(point: Point, say: Callable[[float], str], zone: ZoneInfo) -> str:
    when = f"{point.at.astimezone(zone):%a %d %b %H:%M:%S}"
    named = f"{point.name}, " if point.name else ""
    return f"{named}{when}: {say(point.value)}, {word_of(point.state)}"


def _thin(points: Sequence[Point], times: TimeScale) -> Iterable[Point]:
    """Yield all of a few points; of many the least, the most and the worst of each stretch."""
    if len(points) <= _MOST_DRAWN:
        yield from points
        return
    stretch = (times.end - times.start) / (_MOST_DRAWN / 3)

    def stretch_of(point: Point) -> int:
        return int(times.place(point.at) / stretch)

    for _, near in groupby(sorted(points, key=lambda point: point.at), key=stretch_of):
        few = list(near)
        worst = worst_of(point.state for point in few)
        chosen = (
            min(few, key=lambda point: point.value),
            max(few, key=lambda point: point.value),
            next(point for point in few if point.state is worst),
        )
        yield from dict.fromkeys(chosen)


def _legend(
    points: Iterable[Point], levels: Iterable[_Level], band: Usual | None
) -> tuple[Key, ...]:
    states = {point.state for point in points}
    good = key(tag("circle", cx=8, cy=6, r=3, class_=class_of(RunState.SUCCEEDED)), "succeeded")
    lines = tuple(key(line(0, 6, 16, 6, class_=each.class_), each.says) for each in levels)
    middle_half = key(rect(0, 1, 16, 10, class_="band"), "the middle half")
    return (
        *((good,) if RunState.SUCCEEDED in states else ()),
        *state_keys(states - {RunState.SUCCEEDED}),
        *lines,
        *((middle_half,) if band is not None and band.low != band.high else ()),
    )
