"""A year as a calendar: a cell per day, the worst outcome of it, and what is planned."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final

from scheduler.domain.records import RunState
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
from scheduler.web.pictures.scale import day_words
from scheduler.web.pictures.svg import Svg, group, join, rect, title, words

Outcomes = Mapping[RunState, int]
"""How many runs of a day came to what."""

_DAY: Final = timedelta(days=1)
_LEFT: Final = 40
_TOP: Final = 20
_WEEKDAYS: Final = ("Mon", "", "Wed", "", "Fri", "", "Sun")
_COLUMNS: Final = ("day", "what became of it", "planned")


def draw_year(
    outcomes: Mapping[date, Outcomes],
    planned: Mapping[date, int],
    *,
    begin: date,
    finish: date,
    today: date,
) -> Picture:
    """
    Return a column per week from *begin* to *finish*, both included, 54 weeks at most.

    A day's colour and mark are those of its worst run; what is planned is an outline.
    """
    has_any = any(outcomes.values()) or any(planned.values())
    if finish < begin or not has_any:
        return nothing("no run in this year, and none planned", _COLUMNS)
    first = begin - _DAY * begin.weekday()
    days = [begin + _DAY * number for number in range((finish - begin).days + 1)]
    size = min(17.0, (WIDTH - _LEFT - 4) / (((finish - first).days // 7) + 1))
    cells = [
        _cell(day, first, size, outcomes.get(day, {}), planned.get(day, 0), day == today)
        for day in days
    ]
    says = _sentence(outcomes)
    svg = image(
        group(*_names(days, first, size), class_="axis"),
        *cells,
        says=says,
        height=_TOP + 7 * size + 4,
        class_="picture year",
    )
    seen = {state for of_day in outcomes.values() for state, count in of_day.items() if count}
    return Picture(svg=svg, says=says, legend=_legend(seen), table=_table(days, outcomes, planned))


def _names(days: Iterable[date], first: date, size: float) -> Iterable[Svg]:
    for number, name in enumerate(_WEEKDAYS):
        if name:
            yield words(_LEFT - 6, _TOP + size * (number + 1) - 4, name, anchor="end")
    shown = -3
    for day in days:
        week = (day - first).days // 7
        if day.day == 1 and week >= shown + 3:
            shown = week
            text = f"{day:%b}" if day.month != 1 else f"{day:%b} {day.year}"
            yield words(_LEFT + size * week, _TOP - 6, text)


def _cell(
    day: date, first: date, size: float, of_day: Outcomes, planned: int, is_today: bool
) -> Svg:
    week, weekday = divmod((day - first).days, 7)
    left, top = _LEFT + size * week, _TOP + size * weekday
    box, told = (
        (left + 1, top + 1, size - 2.5, size - 2.5),
        title(f"{day_words(day)}: {outcome_words(of_day, planned)}"),
    )
    around = [rect(left - 0.5, top - 0.5, size, size, class_="today")] if is_today else []
    came = [state for state, count in of_day.items() if count]
    if not came:
        return join(rect(*box, told, class_="planned" if planned else "none"), *around)
    state = worst_of(came)
    is_plain = state is RunState.SUCCEEDED
    middle = size / 2 - 0.2
    drawn = [] if is_plain else [mark(state, left + middle, top + middle, size * 0.2)]
    return join(rect(*box, told, class_=class_of(state)), *drawn, *around)


def outcome_words(of_day: Outcomes, planned: int) -> str:
    """Return how many came to what, the worst first, and what is planned."""
    told = [f"{of_day[state]:,} {word_of(state)}" for state in WORST_FIRST if of_day.get(state)]
    return ", ".join([*told, *([f"{planned:,} planned"] if planned else [])]) or "no run"


def _sentence(outcomes: Mapping[date, Outcomes]) -> str:
    total = sum(sum(of_day.values()) for of_day in outcomes.values())
    bad = sum(1 for of_day in outcomes.values() if of_day.get(RunState.FAILED))
    return f"{several(total, 'run')} in a year; {several(bad, 'day')} with a failed one"


def _legend(seen: Iterable[RunState]) -> tuple[Key, ...]:
    plain = key(rect(1, 0, 12, 12, class_=class_of(RunState.SUCCEEDED)), "all succeeded")
    others = state_keys(state for state in seen if state is not RunState.SUCCEEDED)
    none = key(rect(1, 0, 12, 12, class_="none"), "no run")
    today = key(rect(1, 0.5, 13, 11, class_="today"), "today")
    return (plain, *others, planned_key(), none, today)


def _table(
    days: Iterable[date], outcomes: Mapping[date, Outcomes], planned: Mapping[date, int]
) -> Table:
    rows = tuple(
        (
            f"{day_words(day)} {day.year}",
            outcome_words(outcomes.get(day, {}), 0),
            f"{planned.get(day, 0):,}",
        )
        for day in days
        if outcomes.get(day) or planned.get(day)
    )
    return Table(_COLUMNS, rows)
