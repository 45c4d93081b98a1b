"""The pictures of a schedule: its year by day and hour, how late its runs were, how long."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypedDict
from zoneinfo import ZoneInfo

from scheduler.tools.calendar.hours import HourLoad
from scheduler.views.history import RunFigures, YearOfRuns
from scheduler.views.schedules import ScheduleView
from scheduler.web.pages.times import known_zone
from scheduler.web.pictures.frame import Picture
from scheduler.web.pictures.plots import Point, draw_durations, draw_lateness, draw_rows
from scheduler.web.pictures.year import draw_year
from scheduler.web.pictures.year_hours import Cell, draw_year_hours

_HALF = timedelta(days=182)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What became of a schedule, in pictures."""

    year: Picture
    hours: Picture
    lateness: Picture
    durations: Picture
    rows: Picture


def draw_history(
    series: Sequence[RunFigures],
    year: YearOfRuns,
    ahead: Mapping[date, int],
    hours_ahead: Iterable[HourLoad],
    schedule: ScheduleView,
    zone: ZoneInfo,
    now: datetime,
) -> History:
    """Draw them; days are those of the schedule's zone, moments are written in *zone*."""
    own = known_zone(schedule.timezone)
    today = now.astimezone(own).date()
    span: _Span = {"begin": today - _HALF, "finish": today + _HALF, "today": today}
    return History(
        year=draw_year(year.days, ahead, **span),
        hours=draw_year_hours(
            {_cell(at): outcomes for at, outcomes in year.hours.items()},
            {_cell(hour.start.astimezone(own)): hour.count for hour in hours_ahead if hour.count},
            **span,
        ),
        lateness=draw_lateness(
            points_of(series, lambda run: run.late),
            grace=schedule.misfire_grace.seconds,
            zone=zone,
        ),
        durations=draw_durations(points_of(series, lambda run: run.took), zone=zone),
        rows=draw_rows(
            points_of(series, lambda run: run.lines if run.ended_at else None), zone=zone
        ),
    )


class _Span(TypedDict):
    begin: date
    finish: date
    today: date


def _cell(wall: datetime) -> Cell:
    return wall.date(), wall.hour


def points_of(
    series: Iterable[RunFigures], value_of: Callable[[RunFigures], float | None]
) -> list[Point]:
    """Return a value of each run that has one."""
    return [
        Point(at=run.due_at, value=value, state=run.state, name=f"run {run.id}")
        for run in series
        if (value := value_of(run)) is not None
    ]
