"""Small bars for a line of a table: the last runs of a schedule; how many failed each day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from scheduler.domain.records import RunState
from scheduler.web.pictures.frame import image
from scheduler.web.pictures.human import duration_words
from scheduler.web.pictures.looks import class_of, mark, word_of
from scheduler.web.pictures.svg import Svg, join, rect, title

_BAR: Final = 7
_HEIGHT: Final = 22
_LOWEST: Final = 0.25
_MINUTES: Final = 60
_LAG_OF_A_BAR: Final = 0.1
"""So many seconds fill the height, unless there are more: what is usual must look small."""
_TOO_LATE: Final = 1.0
"""Seconds: as the alert rule of `monitoring/` has it."""
MOST: Final = 20
"""So many runs are shown, the last of them at the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended, or stands, and how many seconds it took, where that is known."""

    state: RunState
    seconds: float | None


def draw_spark(runs: Sequence[Ended]) -> Svg:
    """
    Return the last runs, the newest at the right; a bar is as high as the run was long.

    What was never sent, or failed before it took any time, is as high as the shortest.
    """
    shown = runs[-MOST:]
    longest = max((run.seconds or 0.0 for run in shown), default=0.0)
    bars = [
        _bar(run, longest, (MOST - len(shown) + place) * _BAR) for place, run in enumerate(shown)
    ]
    says = _sentence(shown)
    return image(*bars, says=says, width=MOST * _BAR, height=_HEIGHT, class_="spark")


def _bar(run: Ended, longest: float, left: float) -> Svg:
    share = max(0.0, run.seconds or 0.0) / longest if longest > 0 else 1.0
    height = (_HEIGHT - 2) * (_LOWEST + (1 - _LOWEST) * share)
    took = f", {duration_words(run.seconds)}" if run.seconds is not None else ""
    told = title(f"{word_of(run.state)}{took}")
    box = rect(left + 0.5, _HEIGHT - height, _BAR - 1, height, told, class_=class_of(run.state))
    if run.state is RunState.SUCCEEDED:
        return box
    return join(box, mark(run.state, left + _BAR / 2, _HEIGHT - 4, 2))


def _sentence(runs: Sequence[Ended]) -> str:
    if not runs:
        return "no run yet"
    counts: dict[RunState, int] = {}
    for run in runs:
        counts[run.state] = counts.get(run.state, 0) + 1
    told = ", ".join(f"{count} {word_of(state)}" for state, count in counts.items())
    return f"the last {len(runs)}: {told}"


def draw_trend(counts: Mapping[date, int], *, begin: date, end: date) -> Svg:
    """Return how many failed on each day from *begin* to *end*: the most is as high as it gets."""
    days = [begin + timedelta(days=number) for number in range((end - begin).days + 1)]
    width = MOST * _BAR / max(1, len(days))
    most = max(counts.values(), default=1)
    bars = [_day(day, counts.get(day, 0), most, place, width) for place, day in enumerate(days)]
    says = f"failed by the day, {most:,} at most: " + ", ".join(
        f"{day:%m-%d} {counts[day]:,}" for day in days if counts.get(day)
    )
    return image(*bars, says=says, width=MOST * _BAR, height=_HEIGHT, class_="spark")


def draw_lags(lags: Sequence[float]) -> Svg:
    """Return how late a loop was in each minute of its last hour, the newest at the right."""
    width = MOST * _BAR / _MINUTES
    most = max(_LAG_OF_A_BAR, *lags) if lags else _LAG_OF_A_BAR
    bars = [
        rect(
            (_MINUTES - len(lags) + place) * width,
            _HEIGHT - max(1.0, _HEIGHT * lag / most),
            width - 0.5,
            max(1.0, _HEIGHT * lag / most),
            title(f"{len(lags) - 1 - place} min ago: {duration_words(lag)}"),
            class_="beyond" if lag > _TOO_LATE else "shade-3",
        )
        for place, lag in enumerate(lags)
    ]
    worst = duration_words(max(lags, default=0.0))
    says = f"by the minute, of {len(lags)}: {worst} at most"
    return image(*bars, says=says, width=MOST * _BAR, height=_HEIGHT, class_="spark")


def _day(day: date, count: int, most: int, place: int, width: float) -> Svg:
    """Return a bar; a line at the foot for a day of none."""
    height = 3 + (_HEIGHT - 5) * count / most if count else 1
    told = title(f"{day:%a %d %b}: {count:,} failed")
    look = class_of(RunState.FAILED) if count else class_of(RunState.SKIPPED)
    gap = 1 if width > 3 else 0
    return rect(place * width, _HEIGHT - height, max(0.5, width - gap), height, told, class_=look)
