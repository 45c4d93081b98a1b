"""The pictures of a schedule: its year, how late its runs were, how long, how many rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from scheduler.views.history import RunFigures, YearOfRuns
from scheduler.views.schedules import ScheduleView
from scheduler.web.pages.times import known_zone
from scheduler.web.pictures.frame import Picture
from scheduler.web.pictures.plots import Point, draw_durations, draw_lateness, draw_rows
from scheduler.web.pictures.year import draw_year

_HALF = timedelta(days=182)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What became of a schedule, in pictures."""

    year: Picture
    lateness: Picture
    durations: Picture
    rows: Picture


def draw_history(
    series: Sequence[RunFigures],
    year: YearOfRuns,
    ahead: Mapping[date, int],
    schedule: ScheduleView,
    zone: ZoneInfo,
    now: datetime,
) -> History:
    """Draw them; days are those of the schedule's zone, moments are written in *zone*."""
    today = now.astimezone(known_zone(schedule.timezone)).date()
    return History(
        year=draw_year(year.days, ahead, begin=today - _HALF, finish=today + _HALF, today=today),
        lateness=draw_lateness(
            _points(series, lambda run: run.late),
            grace=schedule.misfire_grace.seconds,
            zone=zone,
        ),
        durations=draw_durations(_points(series, lambda run: run.took), zone=zone),
        rows=draw_rows(_points(series, lambda run: run.lines), zone=zone),
    )


def _points(
    series: Iterable[RunFigures], value_of: Callable[[RunFigures], float | None]
) -> list[Point]:
    return [
        Point(at=run.due_at, value=value, state=run.state, name=f"run {run.id}")
        for run in series
        if (value := value_of(run)) is not None
    ]
