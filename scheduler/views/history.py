"""What became of a schedule's runs, in figures: how late, how long, how many rows; by the day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median, quantiles
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from scheduler.domain.lateness import late_by
from scheduler.domain.records import Reason, RunState
from scheduler.storage.database import Connection
from scheduler.storage.run_counts import list_forgotten
from scheduler.storage.runs import series
from scheduler.storage.runs.series import MOST_OF_A_YEAR, Figures, RunsAlike

SERIES: Final = 200
"""So many of a schedule's newest runs make its series."""

LAST: Final = 20
"""So many of them make the line of a list."""

_OF_A_STRIP: Final = 1000
_OUTCOMES: Final = (RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED)
_HOUR: Final = timedelta(hours=1)
_When = TypeVar("_When", date, datetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """
    A run in figures. *late* is from when it was meant to be sent, *took* from sent to ended.

    Both are seconds, None where it was not sent, or has not ended.
    """

    id: int
    schedule: str | None
    due_at: datetime
    triggered_at: datetime | None
    ended_at: datetime | None
    state: RunState
    reason: Reason
    late: float | None
    took: float | None
    lines: int | None
    inputs: int | None
    pages: int | None


def list_series(conn: Connection, schedule: str, *, limit: int = SERIES) -> tuple[RunFigures, ...]:
    """Return the newest runs of a schedule, the oldest of them first."""
    newest = series.list_figures(conn, schedule, limit=limit)
    return tuple(_figures(row) for row in reversed(newest))


def _figures(row: Figures) -> RunFigures:
    late = late_by(row)
    has_ended = row.triggered_at is not None and row.ended_at is not None
    took = row.ended_at - row.triggered_at if has_ended else None  # type: ignore[operator]
    return RunFigures(
        id=row.id,
        schedule=row.schedule,
        due_at=row.due_at,
        triggered_at=row.triggered_at,
        ended_at=row.ended_at,
        state=row.state,
        reason=row.reason,
        late=None if late is None else late.total_seconds(),
        took=None if took is None else took.total_seconds(),
        lines=row.lines,
        inputs=row.inputs,
        pages=row.pages,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFigures:
    """
    The last runs of a schedule, the oldest of them first, and what is usual of them.

    *succeeded* is the share of those that ended well, in part or not at all: what was skipped or
    cancelled does not count. *usual_took* and *usual_rows* are medians, *late_p95* is what 95 %
    of them do not exceed; None where there is nothing to say.
    """

    last: tuple[RunFigures, ...]
    succeeded: float | None
    usual_took: float | None
    late_p95: float | None
    usual_rows: float | None
    last_rows: int | None


def figures_of(conn: Connection, schedules: Sequence[str]) -> dict[str, ScheduleFigures]:
    """Return the figures of each of *schedules*, of its LAST runs."""
    return {name: sum_up(list_series(conn, name, limit=LAST)) for name in schedules}


def sum_up(last: Sequence[RunFigures]) -> ScheduleFigures:
    """Return what is usual of these runs."""
    ended = [run for run in last if run.state in _OUTCOMES]
    good = sum(run.state is RunState.SUCCEEDED for run in ended)
    rows = [run.lines for run in ended if run.lines is not None]
    return ScheduleFigures(
        last=tuple(last),
        succeeded=good / len(ended) if ended else None,
        usual_took=_median([run.took for run in ended if run.took is not None]),
        late_p95=_p95([run.late for run in last if run.late is not None]),
        usual_rows=_median(rows),
        last_rows=rows[-1] if rows else None,
    )


def _median(values: Sequence[float]) -> float | None:
    return float(median(values)) if values else None


def _p95(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=20, method="inclusive")[18]


def count_lately(
    conn: Connection, schedules: Sequence[str], *, since: datetime, by_labels: bool = False
) -> Mapping[str, Sequence[RunsAlike]]:
    """Return what of each of *schedules* ended since then, the newest thousand, or is open."""
    found: dict[str, list[RunsAlike]] = {}
    limit = _OF_A_STRIP
    alike = series.count_lately(conn, schedules, since=since, limit=limit, by_labels=by_labels)
    for each in sorted(alike, key=lambda each: each.start):
        found.setdefault(each.of, []).append(each)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class YearOfRuns:
    """
    How many runs of each day and of each hour, in the schedule's zone, came to what.

    Runs that are forgotten stand at their day in UTC, and at no hour. *is_whole* is False where
    there were more than MOST_OF_A_YEAR, of which the newest are counted.
    """

    days: Mapping[date, Mapping[RunState, int]]
    hours: Mapping[datetime, Mapping[RunState, int]]
    is_whole: bool


def read_year(conn: Connection, schedule: str, *, zone: ZoneInfo, since: datetime) -> YearOfRuns:
    """Count a schedule's runs that were due since then."""
    hours = series.count_hours(conn, schedule, since=since)
    days: dict[date, dict[RunState, int]] = {}
    by_hour: dict[datetime, dict[RunState, int]] = {}
    for hour in hours:
        moment = datetime.fromisoformat(f"{hour.hour}:00+00:00").astimezone(zone)
        _add(days, moment.date(), hour.state, hour.runs)
        _add(by_hour, moment, hour.state, hour.runs)
    for count in list_forgotten(conn, schedule, since=since):
        _add(days, date.fromisoformat(count.day), count.state, count.runs)
    is_whole = sum(hour.runs for hour in hours) < MOST_OF_A_YEAR
    return YearOfRuns(days=days, hours=by_hour, is_whole=is_whole)


def _add(
    counts: dict[_When, dict[RunState, int]], when: _When, state: RunState, count: int
) -> None:
    of_it = counts.setdefault(when, {})
    of_it[state] = of_it.get(state, 0) + count


@dataclass(frozen=True, slots=True, kw_only=True)
class LastHour:
    """When an account's triggers of the last hour were sent, and which were answered with 429."""

    sends: tuple[datetime, ...]
    throttles: tuple[datetime, ...]


def read_last_hour(conn: Connection, *, now: datetime) -> dict[str, LastHour]:
    """Return the last hour of each account that sent anything, as far as the newest runs tell."""
    sent: dict[str, list[datetime]] = {}
    throttled: dict[str, list[datetime]] = {}
    for attempt in series.list_attempts_since(conn, since=now - _HOUR):
        sent.setdefault(attempt.account, []).append(attempt.claimed_at)
        if attempt.http_status == _THROTTLED:
            throttled.setdefault(attempt.account, []).append(attempt.claimed_at)
    return {
        account: LastHour(sends=_in_order(at), throttles=_in_order(throttled.get(account, ())))
        for account, at in sent.items()
    }


_THROTTLED: Final = 429


def _in_order(moments: Iterable[datetime]) -> tuple[datetime, ...]:
    return tuple(sorted(moments))
