"""The last and the next hours: a row per schedule, runs as bars, planned ones as outlines."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.domain.records import RunState
from scheduler.web.pictures.axes import clock_marks, time_axis
from scheduler.web.pictures.frame import WIDTH, Key, Picture, Table, image, key, nothing
from scheduler.web.pictures.human import several
from scheduler.web.pictures.looks import (
    WORST_FIRST,
    class_of,
    mark,
    planned_key,
    state_keys,
    word_of,
    worst_of,
)
from scheduler.web.pictures.scale import TimeScale
from scheduler.web.pictures.svg import Svg, fit, group, join, line, rect, title, words

ROW: Final = 20
_NAMES: Final = 170
_TOP: Final = 24
_LEAST: Final = 7
"""How wide a bar is at least, so that its mark is seen."""
_CLOSE: Final = 3
"""Bars nearer than this to each other become one, with their number on it."""
_WIDEST: Final = 33


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Runs of one state in one stretch: from when they were sent to when they ended, or *now*."""

    start: datetime
    end: datetime
    state: RunState
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Runs that are still to come: at a moment, or so many up to *until*."""

    at: datetime
    count: int = 1
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StripRow:
    """What one schedule, or one label, did and will do; *note* says why it will not."""

    name: str
    bars: Sequence[Bar] = ()
    planned: Sequence[Planned] = ()
    note: str = ""


def draw_strip(
    rows: Sequence[StripRow],
    *,
    begin: datetime,
    now: datetime,
    finish: datetime,
    zone: ZoneInfo,
    noun: str = "schedule",
) -> Picture:
    """Return the picture, a row for each *noun*; moments are on *zone*'s clock."""
    if not rows:
        return nothing("no schedule has a run in these hours", _COLUMNS)
    scale = TimeScale(begin, finish, _NAMES, WIDTH - 8)
    foot = _TOP + ROW * len(rows)
    drawn = [_row(row, _TOP + ROW * place, scale) for place, row in enumerate(rows)]
    says = _sentence(rows, noun)
    svg = image(
        rect(scale.place(now), _TOP, scale.end - scale.place(now), foot - _TOP, class_="future"),
        time_axis(scale, zone, top=_TOP, foot=foot),
        clock_marks(scale, zone, top=_TOP, foot=foot),
        *drawn,
        _now_line(scale.place(now), foot),
        says=says,
        height=foot + 22,
        class_="picture strip",
    )
    return Picture(svg=svg, says=says, legend=_legend(rows), table=_table(rows))


def _row(row: StripRow, top: float, scale: TimeScale) -> Svg:
    """Return a name and its bars; what is a few pixels apart is one bar with a number."""
    bars = [_bar(cluster, top) for cluster in _clusters(_placed(row.bars, scale))]
    planned = [_outline(cluster, top) for cluster in _clusters(_placed_planned(row, scale))]
    name = words(_NAMES - 8, top + 14, fit(row.name, _NAMES - 12), anchor="end", class_="name")
    # A note stands where planned runs would.
    note = words(scale.end - 4, top + 14, fit(row.note, 360), anchor="end", class_="faint")
    parts = [title(row.name), line(_NAMES, top + ROW, scale.end, top + ROW, class_="rule")]
    # The name last: where the picture is scrolled it stays, above the bars.
    behind = rect(0, top + 1, _NAMES - 3, ROW - 1, class_="name behind-name")
    return group(*parts, *bars, *planned, *([note] if row.note else []), behind, name)


@dataclass(slots=True)
class _Cluster:
    """Bars that stand for each other: where, how many, and which states."""

    left: float
    right: float
    count: int
    states: dict[RunState, int]

    def join(self, other: "_Cluster") -> None:
        """Take another in."""
        self.right = max(self.right, other.right)
        self.count += other.count
        for state, count in other.states.items():
            self.states[state] = self.states.get(state, 0) + count


def _placed(bars: Iterable[Bar], scale: TimeScale) -> Iterator[_Cluster]:
    for bar in sorted(bars, key=lambda bar: bar.start):
        left, right = scale.place(bar.start), scale.place(bar.end)
        left = min(left, scale.end - _LEAST)
        yield _Cluster(left, max(right, left + _LEAST), bar.count, {bar.state: bar.count})


def _placed_planned(row: StripRow, scale: TimeScale) -> Iterator[_Cluster]:
    for planned in sorted(row.planned, key=lambda planned: planned.at):
        left = min(scale.place(planned.at), scale.end - _LEAST)
        right = scale.place(planned.until) - 1 if planned.until is not None else left
        yield _Cluster(left, max(left + _LEAST, right), planned.count, {})


def _clusters(placed: Iterable[_Cluster]) -> list[_Cluster]:
    """Join what overlaps or nearly touches, until it is as wide as an hour or so."""
    clusters: list[_Cluster] = []
    for one in placed:
        last = clusters[-1] if clusters else None
        if last is None or one.left - last.right >= _CLOSE:
            clusters.append(one)
        elif one.right > last.right and last.right - last.left > _WIDEST:
            one.left = max(one.left, last.right + 1)
            one.right = max(one.right, one.left + _LEAST)
            clusters.append(one)
        else:
            last.join(one)
    return clusters


def _bar(cluster: _Cluster, top: float) -> Svg:
    state = worst_of(cluster.states)
    told = ", ".join(
        f"{cluster.states[each]:,} {word_of(each)}"
        for each in WORST_FIRST
        if each in cluster.states
    )
    width = cluster.right - cluster.left
    box = rect(cluster.left, top + 3, width, ROW - 6, title(told), class_=class_of(state))
    return join(box, _inside(cluster, top, state))


def _inside(cluster: _Cluster, top: float, state: RunState) -> Svg:
    middle = (cluster.left + cluster.right) / 2
    text = f"×{cluster.count:,}"
    has_room = cluster.right - cluster.left >= 6.2 * len(text) + 12
    if cluster.count == 1 or not has_room:
        return mark(state, middle, top + ROW / 2, 2.8)
    place = cluster.left + 6
    return join(
        mark(state, place, top + ROW / 2, 2.8), words(place + 5, top + 14, text, class_="on-bar")
    )


def _outline(cluster: _Cluster, top: float) -> Svg:
    width = cluster.right - cluster.left
    told = several(cluster.count, "run") + " planned"
    box = rect(cluster.left, top + 3.5, width, ROW - 7, title(told), class_="planned")
    text = f"×{cluster.count:,}"
    if cluster.count == 1 or width < 6.5 * len(text) + 4:
        return box
    return join(box, words(cluster.left + width / 2, top + 14, text, anchor="middle"))


def _now_line(x: float, foot: float) -> Svg:
    return group(
        line(x, _TOP - 6, x, foot, class_="now"),
        words(x, _TOP - 10, "now", anchor="middle", class_="now-word"),
    )


def _legend(rows: Sequence[StripRow]) -> tuple[Key, ...]:
    states = state_keys(bar.state for row in rows for bar in row.bars)
    number = key(words(0, 10, "×9"), "so many in one place, the worst of them shown")
    return (*states, planned_key(), number)


_COLUMNS: Final = ("schedule", "so far", "to come")


def _counted(row: StripRow) -> dict[RunState, int]:
    counts: dict[RunState, int] = {}
    for bar in row.bars:
        counts[bar.state] = counts.get(bar.state, 0) + bar.count
    return {state: counts[state] for state in WORST_FIRST if state in counts}


def _table(rows: Sequence[StripRow]) -> Table:
    return Table(
        _COLUMNS,
        tuple(
            (
                row.name,
                ", ".join(f"{count:,} {word_of(state)}" for state, count in _counted(row).items()),
                row.note or f"{sum(planned.count for planned in row.planned):,} planned",
            )
            for row in rows
        ),
    )


def _sentence(rows: Sequence[StripRow], noun: str) -> str:
    so_far = sum(bar.count for bar in chain.from_iterable(row.bars for row in rows))
    to_come = sum(each.count for each in chain.from_iterable(row.planned for row in rows))
    failed = sum(_counted(row).get(RunState.FAILED, 0) for row in rows)
    return (
        f"{several(len(rows), noun)}: {several(so_far, 'run')} so far, {failed:,} failed;"
        f" {to_come:,} planned"
    )
