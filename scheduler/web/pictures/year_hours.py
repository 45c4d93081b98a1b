"""A year as a heat-map: a column per day, a row per hour, the worst outcome, what is planned."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from scheduler.domain.records import RunState
from scheduler.web.pictures.frame import WIDTH, Key, Picture, Table, image, key, nothing
from scheduler.web.pictures.human import several
from scheduler.web.pictures.looks import class_of, mark, planned_key, state_keys, worst_of
from scheduler.web.pictures.scale import day_words
from scheduler.web.pictures.svg import Svg, group, join, line, rect, title, words
from scheduler.web.pictures.year import Outcomes, outcome_words

Cell = tuple[date, int]
"""A day, and an hour of its clock."""

_DAY: Final = timedelta(days=1)
_LEFT: Final = 40
_TOP: Final = 20
_ROW: Final = 8
_COLUMNS: Final = ("hour", "what became of it", "planned")


def draw_year_hours(
    outcomes: Mapping[Cell, Outcomes],
    planned: Mapping[Cell, int],
    *,
    begin: date,
    finish: date,
    today: date,
) -> Picture:
    """
    Return the days from *begin* to *finish*, both included, as columns.

    Hours of neighbouring days that look alike are one bar.
    """
    if not any(outcomes.values()) and not any(planned.values()):
        return nothing("no run in this year, and none planned", _COLUMNS)
    grid = _Grid(outcomes, planned, begin, (finish - begin).days + 1)
    foot = _TOP + 24 * _ROW
    now = grid.left((today - begin).days)
    svg = image(
        group(*_names(grid), class_="axis"),
        rect(now, _TOP, WIDTH - 4 - now, 24 * _ROW, class_="future"),
        *(bar for hour, looks in enumerate(grid.looks()) for bar in grid.bars(hour, looks)),
        line(now, _TOP - 2, now, foot + 2, class_="now"),
        says=(says := _sentence(outcomes)),
        height=foot + 4,
        class_="picture hours",
    )
    seen = {state for of_cell in outcomes.values() for state, count in of_cell.items() if count}
    return Picture(svg=svg, says=says, legend=_legend(seen), table=_table(outcomes, planned))


@dataclass(frozen=True, slots=True)
class _Grid:
    outcomes: Mapping[Cell, Outcomes]
    planned: Mapping[Cell, int]
    begin: date
    days: int

    def left(self, day: int) -> float:
        """Return where a day's column begins."""
        return _LEFT + (WIDTH - _LEFT - 4) * day / self.days

    def looks(self) -> list[list[RunState | str | None]]:
        """Return what is shown of each hour on each day: the worst state, `planned` or nothing."""
        looks: list[list[RunState | str | None]] = [[None] * self.days for _ in range(24)]
        for (day, hour), planned in self.planned.items():
            if planned and 0 <= (number := (day - self.begin).days) < self.days:
                looks[hour][number] = "planned"
        for (day, hour), outcomes in self.outcomes.items():
            came = [state for state, count in outcomes.items() if count]
            if came and 0 <= (number := (day - self.begin).days) < self.days:
                looks[hour][number] = worst_of(came)
        return looks

    def bars(self, hour: int, looks: Sequence[RunState | str | None]) -> Iterator[Svg]:
        """Yield the bars of an hour's row."""
        for look, stretch in groupby(range(self.days), looks.__getitem__):
            if look is not None:
                days = list(stretch)
                yield self._bar(look, days[0], days[-1], hour)

    def _bar(self, look: RunState | str, first: int, last: int, hour: int) -> Svg:
        left, top = self.left(first), _TOP + _ROW * hour
        width = self.left(last + 1) - left
        told = title(f"{hour:02}:00, {self._said(first, last, hour)}")
        if not isinstance(look, RunState):
            return rect(left + 0.5, top + 1, width - 1, _ROW - 2, told, class_="planned")
        box = rect(left, top + 0.5, width, _ROW - 1, told, class_=class_of(look))
        if look is RunState.SUCCEEDED:
            return box
        return join(box, mark(look, left + width / 2, top + _ROW / 2, min(2.2, width / 2)))

    def _said(self, first: int, last: int, hour: int) -> str:
        days = [self.begin + _DAY * day for day in range(first, last + 1)]
        span = day_words(days[0]) + (f" to {day_words(days[-1])}" if len(days) > 1 else "")
        came = _added(self.outcomes.get((day, hour), {}) for day in days)
        return f"{span}: {outcome_words(came, sum(self.planned.get((d, hour), 0) for d in days))}"


def _added(outcomes: Iterable[Outcomes]) -> dict[RunState, int]:
    total: dict[RunState, int] = {}
    for each in outcomes:
        for state, count in each.items():
            total[state] = total.get(state, 0) + count
    return total


def _names(grid: _Grid) -> Iterator[Svg]:
    for hour in range(0, 24, 6):
        yield words(_LEFT - 6, _TOP + _ROW * hour + 8, f"{hour:02}:00", anchor="end")
        yield line(_LEFT, _TOP + _ROW * hour, WIDTH - 4, _TOP + _ROW * hour, class_="grid")
    for number in range(grid.days):
        day = grid.begin + _DAY * number
        if day.day == 1 and number < grid.days - 20:
            text = f"{day:%b}" if day.month != 1 else f"{day:%b} {day.year}"
            yield words(grid.left(number), _TOP - 6, text)


def _sentence(outcomes: Mapping[Cell, Outcomes]) -> str:
    total = _added(outcomes.values())
    bad = {hour for (_, hour), came in outcomes.items() if came.get(RunState.FAILED)}
    told = f"{several(sum(total.values()), 'run')} by the hour of the day"
    return told + (f"; failed ones at {', '.join(f'{h:02}' for h in sorted(bad))} h" if bad else "")


def _legend(seen: Iterable[RunState]) -> tuple[Key, ...]:
    plain = key(rect(1, 0, 12, 12, class_=class_of(RunState.SUCCEEDED)), "all succeeded")
    others = state_keys(state for state in seen if state is not RunState.SUCCEEDED)
    today = key(line(8, 0, 8, 12, class_="now"), "today")
    return (plain, *others, planned_key(), today)


def _table(outcomes: Mapping[Cell, Outcomes], planned: Mapping[Cell, int]) -> Table:
    rows = []
    for hour in range(24):
        came = _added(of_cell for (_, at), of_cell in outcomes.items() if at == hour)
        ahead = sum(count for (_, at), count in planned.items() if at == hour)
        if came or ahead:
            rows.append((f"{hour:02}:00", outcome_words(came, 0), f"{ahead:,}"))
    return Table(_COLUMNS, tuple(rows))
