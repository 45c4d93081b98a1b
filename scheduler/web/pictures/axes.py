"""Axes: lines at round values, what they are called, and where the zone's clock is set."""

from collections.abc import Callable, Iterable
from zoneinfo import ZoneInfo

from scheduler.web.pictures.human import duration_words
from scheduler.web.pictures.scale import Scale, TimeScale, clock_changes, time_ticks
from scheduler.web.pictures.svg import LETTER, Svg, group, join, line, words


def time_axis(scale: TimeScale, zone: ZoneInfo, *, top: float, foot: float, most: int = 12) -> Svg:
    """Return a line down the picture at each round moment, its time under the foot."""
    ticks = time_ticks(scale.begin, scale.finish, zone, most=most)
    lines = [line(x, top, x, foot, class_="grid") for x in (scale.place(at) for at, _ in ticks)]
    return group(*lines, *_labels(scale, ticks, foot + 14), class_="axis")


def _labels(scale: TimeScale, ticks: Iterable[tuple[object, str]], y: float) -> Iterable[Svg]:
    """Yield what each tick is called; one that would stand in another is left out."""
    free_from = float("-inf")
    for at, text in ticks:
        x, half = scale.place(at), len(text) * LETTER / 2  # type: ignore[arg-type]
        x = max(scale.start + half - 8, min(x, scale.end - half + 8))
        if x - half >= free_from:
            free_from = x + half + 6
            yield words(x, y, text, anchor="middle")


def clock_marks(scale: TimeScale, zone: ZoneInfo, *, top: float, foot: float) -> Svg:
    """Return a line where the zone's clock is set, and by how much it is."""
    marks = []
    for change in clock_changes(scale.begin, scale.finish, zone):
        x, by = scale.place(change.at), change.size.total_seconds()
        text = f"clock {'+' if by > 0 else '−'}{duration_words(abs(by))}"
        has_room = x + len(text) * LETTER < scale.end
        place, anchor = (x + 3, None) if has_room else (x - 3, "end")
        marks += [
            line(x, top, x, foot, class_="clock"),
            words(place, top - 3, text, anchor=anchor),
        ]
    return group(*marks, class_="clock-change") if marks else Svg("")


def quantity_axis(
    scale: Scale, ticks: Iterable[float], say: Callable[[float], str], *, left: float, right: float
) -> Svg:
    """Return a line across the picture at each value, and the value left of it."""
    parts = []
    for tick in ticks:
        y = scale.place(tick)
        parts += [
            line(left, y, right, y, class_="grid"),
            words(left - 6, y + 4, say(tick), anchor="end"),
        ]
    return group(*parts, class_="axis")


def level(y: float, text: str, *, left: float, right: float, class_: str) -> Svg:
    """Return a line across the picture at a value that matters, with its name over its end."""
    return join(
        line(left, y, right, y, class_=class_),
        words(right, y - 4, text, class_=f"{class_} level", anchor="end"),
    )
