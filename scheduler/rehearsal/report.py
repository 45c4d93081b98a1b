"""What came of a rehearsal: what was sent, when, how late, what waited, what was skipped."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from scheduler.config import Config
from scheduler.domain.budgets import NO_LOADS, Loads, LoadsPerInput, loads_of
from scheduler.domain.lateness import meant_at
from scheduler.domain.records import Reason, RunState
from scheduler.domain.timetable import find_zone
from scheduler.storage.rehearsed import RehearsedRun

_NOT_SENT: Final = frozenset({RunState.SKIPPED, RunState.QUEUED, RunState.DISPATCHING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many occurrences came to a state, for a reason."""

    state: RunState
    reason: Reason
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOutlook:
    """One schedule: *late_seconds* is between when a run was meant to be sent and when it was."""

    schedule: str
    collector: str
    due: int
    sent: int
    inputs: int
    page_loads: int
    money: float | None
    skipped: int
    failed: int
    open: int
    median_late_seconds: float | None
    most_late_seconds: float | None
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOutlook:
    """One day of the file's default zone, by when runs were due."""

    day: date
    due: int
    sent: int
    inputs: int
    page_loads: int
    money: float | None
    skipped: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOutlook:
    """What waits for one collector, or in one named queue of it, and what runs there."""

    collector: str
    queue: str | None
    most_waiting: int
    most_waiting_at: datetime | None
    longest_wait_seconds: float
    most_running: int
    most_running_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """
    All that a rehearsal came to.

    *inputs* are those that were sent; *page_loads*, so many for each as of late, one where nothing
    is known; *money*, what these cost, None where no account says its price.
    """

    start: datetime
    end: datetime
    timezone: str
    seed: int
    due: int
    sent: int
    inputs: int
    page_loads: int
    money: float | None
    skipped: int
    failed: int
    open: int
    needs_attention: int
    schedules: tuple[ScheduleOutlook, ...]
    days: tuple[DayOutlook, ...]
    lines: tuple[LineOutlook, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    runs: tuple[RehearsedRun, ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """What inputs come to, in page loads and in money, by the file's prices."""

    config: Config
    loads_per_input: LoadsPerInput

    def loads_of(self, runs: Iterable[RehearsedRun]) -> Loads:
        """Return what it takes to load the inputs of *runs*."""
        return sum(map(self._loads_of, runs), NO_LOADS)

    @property
    def has_prices(self) -> bool:
        """Tell whether any account has a price."""
        return any(one.price_per_thousand is not None for one in self.config.accounts.values())

    def _loads_of(self, run: RehearsedRun) -> Loads:
        collector = self.config.collectors[run.collector]
        for_each = self.loads_per_input.of(
            schedule=run.schedule, collector=run.collector, account=collector.account
        )
        price = self.config.accounts[collector.account].price_per_thousand
        return loads_of((run.inputs or 0) * for_each, price)


def report(
    runs: Sequence[RehearsedRun],
    config: Config,
    tariff: Tariff,
    start: datetime,
    end: datetime,
    *,
    seed: int,
    notes: tuple[str, ...],
) -> Rehearsal:
    """Count what became of *runs*, all that were due between *start* and *end*."""
    of_schedule: dict[str, list[RehearsedRun]] = {name: [] for name in config.schedules}
    lines: dict[tuple[str, str | None], list[RehearsedRun]] = defaultdict(list)
    for run in runs:
        of_schedule.setdefault(str(run.schedule), []).append(run)
        lines[run.collector, run.queue].append(run)
    zone = find_zone(config.defaults.timezone)
    return Rehearsal(
        start=start,
        end=end,
        timezone=config.defaults.timezone,
        seed=seed,
        **_counts(runs, tariff),
        open=sum(_is_open(run) for run in runs),
        needs_attention=sum(run.state is RunState.NEEDS_ATTENTION for run in runs),
        schedules=tuple(
            _outlook(name, config.schedules[name].collector, found, tariff)
            for name, found in sorted(of_schedule.items())
        ),
        days=tuple(_days(runs, zone, start, end, tariff)),
        lines=tuple(
            _line(collector, queue, found, end)
            for (collector, queue), found in sorted(lines.items(), key=lambda line: str(line[0]))
        ),
        outcomes=_outcomes(runs),
        notes=notes,
        runs=tuple(runs),
    )


def _counts(runs: Sequence[RehearsedRun], tariff: Tariff) -> dict[str, Any]:
    sent = [run for run in runs if run.triggered_at is not None]
    loads = tariff.loads_of(sent)
    return {
        "due": sum(run.occurrences for run in runs),
        "sent": len(sent),
        "inputs": sum(run.inputs or 0 for run in sent),
        "page_loads": round(loads.pages),
        "money": round(loads.money, 2) if tariff.has_prices else None,
        "skipped": sum(run.occurrences for run in runs if run.state is RunState.SKIPPED),
        "failed": sum(run.state is RunState.FAILED for run in runs),
    }


def _is_open(run: RehearsedRun) -> bool:
    return run.ended_at is None and run.state is not RunState.NEEDS_ATTENTION


def _outlook(
    name: str, collector: str, runs: Sequence[RehearsedRun], tariff: Tariff
) -> ScheduleOutlook:
    sent = sorted(run.triggered_at for run in runs if run.triggered_at is not None)
    late = sorted(
        max(0.0, (run.triggered_at - meant_at(run)).total_seconds())
        for run in runs
        if run.triggered_at is not None
    )
    return ScheduleOutlook(
        schedule=name,
        collector=collector,
        **_counts(runs, tariff),
        open=sum(_is_open(run) for run in runs),
        median_late_seconds=round(late[len(late) // 2], 3) if late else None,
        most_late_seconds=round(late[-1], 3) if late else None,
        first_sent_at=sent[0] if sent else None,
        last_sent_at=sent[-1] if sent else None,
        outcomes=_outcomes(runs),
    )


def _outcomes(runs: Iterable[RehearsedRun]) -> tuple[Outcome, ...]:
    counted: Counter[tuple[RunState, Reason]] = Counter()
    for run in runs:
        counted[run.state, run.reason] += run.occurrences
    return tuple(
        Outcome(state=state, reason=reason, count=count)
        for (state, reason), count in counted.most_common()
    )


def _days(
    runs: Sequence[RehearsedRun], zone: ZoneInfo, start: datetime, end: datetime, tariff: Tariff
) -> Iterable[DayOutlook]:
    of_day: dict[date, list[RehearsedRun]] = defaultdict(list)
    for run in runs:
        of_day[run.due_at.astimezone(zone).date()].append(run)
    day = start.astimezone(zone).date()
    while day <= (end - timedelta(microseconds=1)).astimezone(zone).date():
        yield DayOutlook(day=day, **_counts(of_day[day], tariff))
        day += timedelta(days=1)


def _line(
    collector: str, queue: str | None, runs: Sequence[RehearsedRun], end: datetime
) -> LineOutlook:
    waits = [
        (meant_at(run), run.triggered_at or run.ended_at or end)
        for run in runs
        if run.triggered_at is not None or run.state not in _NOT_SENT or run.ended_at is None
    ]
    waits = [(since, max(since, until)) for since, until in waits]
    running = [
        (run.triggered_at, run.ended_at or end) for run in runs if run.triggered_at is not None
    ]
    most_waiting, waiting_at = _most(waits)
    most_running, running_at = _most(running)
    return LineOutlook(
        collector=collector,
        queue=queue,
        most_waiting=most_waiting,
        most_waiting_at=waiting_at,
        longest_wait_seconds=round(
            max(((until - since).total_seconds() for since, until in waits), default=0.0), 3
        ),
        most_running=most_running,
        most_running_at=running_at,
    )


def _most(stretches: Iterable[tuple[datetime, datetime]]) -> tuple[int, datetime | None]:
    """Return how many of *stretches* were at one time at most, and when that was first so."""
    changes: defaultdict[datetime, int] = defaultdict(int)
    for since, until in stretches:
        changes[since] += 1
        changes[until] -= 1
    most, at, count = 0, None, 0
    for moment in sorted(changes):
        count += changes[moment]
        if count > most:
            most, at = count, moment
    return most, at
