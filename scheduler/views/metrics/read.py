"""
All that is measured, out of the database as of one moment.

Whoever is asked, and whenever it started, the answer is the same: counters are rows that only grow.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from scheduler import __version__
from scheduler.domain import tally
from scheduler.domain.brake import CEILING
from scheduler.domain.moves import ENDS
from scheduler.domain.notices import AlertKind
from scheduler.domain.records import OPEN_STATES
from scheduler.domain.tally import Histogram, Key
from scheduler.storage import (
    alerts,
    gauges,
    last_ends,
    notices,
    other_jobs,
    parked_inputs,
    readiness,
    results,
    runs,
    schedules,
    standing,
    tallies,
)
from scheduler.storage.budgets import any_budgets
from scheduler.storage.database import Connection
from scheduler.storage.dialect import database_version
from scheduler.storage.runs import troubles
from scheduler.views.accounts import AccountView, list_accounts
from scheduler.views.attention import why_closed
from scheduler.views.budgets import list_budgets
from scheduler.views.metrics import catalogue
from scheduler.views.metrics.catalogue import Distribution, Family, Metric, Sample
from scheduler.views.status import LATE_AFTER, DaemonView, list_daemons

_COUNTERS = {tally.RUNS_ENDED: catalogue.RUNS_ENDED, tally.REQUESTS: catalogue.REQUESTS}
_HISTOGRAMS = {
    tally.START_DELAY: catalogue.START_DELAY,
    tally.REQUEST_TIME: catalogue.REQUEST_TIME,
    tally.DATABASE_TIME: catalogue.DATABASE_TIME,
}


_NO_ENDS: dict[Key, float] = {
    (tally.RUNS_ENDED, (state, reason)): 0.0
    for state, reasons in ENDS.items()
    for reason in reasons
}


def read_metrics(conn: Connection, *, now: datetime, max_schedules: int) -> tuple[Family, ...]:
    """
    Return every metric of the catalogue, in its order, as of one moment.

    It costs nothing for a run that has ended. The first *max_schedules* by name have series of
    their own.
    """
    accounts = list_accounts(conn, now=now)
    found = (
        _build(conn),
        *_runs(conn, accounts, now),
        *_schedules(conn, max_schedules),
        _invalid(conn, accounts),
        *_budgets(conn, now),
        *_accounts(accounts, now),
        *_daemons(list_daemons(conn, now=now)),
        *_alerts(conn, now),
        *_counted(conn),
    )
    by_metric = {family.metric: family for family in found}
    return tuple(by_metric[metric] for metric in catalogue.CATALOGUE)


def _build(conn: Connection) -> Family:
    labels = (__version__, platform.python_version(), *database_version(conn))
    return Family(catalogue.BUILD, (Sample(labels, 1),))


def _runs(conn: Connection, accounts: Iterable[AccountView], now: datetime) -> Iterator[Family]:
    counts = runs.count_open(conn)
    yield _family(catalogue.OPEN_RUNS, ((state, counts.get(state, 0)) for state in OPEN_STATES))
    queued = gauges.list_queued(conn)
    waiting = {account.name: 0 for account in accounts} | {row.account: row.count for row in queued}
    yield _family(catalogue.QUEUED_RUNS, waiting.items())
    yield _family(catalogue.OLDEST_QUEUED, ((row.account, row.since) for row in queued))
    yield _single(catalogue.OVERDUE, gauges.count_overdue(conn))
    others = Counter(job.account for job in other_jobs.list_all_counted(conn, now=now))
    yield _family(catalogue.OTHER_JOBS, ((one.name, others[one.name]) for one in accounts))
    late = troubles.find_late(conn, before=now - LATE_AFTER)
    yield _single(catalogue.LATE, late.count if late else 0)


def _schedules(conn: Connection, limit: int) -> Iterator[Family]:
    next_fires = gauges.list_first_schedules(conn, limit)
    yield _family(catalogue.NEXT_FIRE, next_fires.items())
    ends = last_ends.list_last_ends(conn, next_fires)
    yield _family(catalogue.LAST_END, ((name, end.ended_at) for name, end in ends.items()))
    yield _family(catalogue.LAST_SUCCESS, ((name, end.succeeded_at) for name, end in ends.items()))


def _invalid(conn: Connection, accounts: Iterable[AccountView]) -> Family:
    counts = {
        "schedules": len(schedules.list_errors(conn)),
        "accounts": sum(account.error is not None for account in accounts),
    }
    return _family(catalogue.INVALID, counts.items())


def _budgets(conn: Connection, now: datetime) -> Iterator[Family]:
    used, allowed = [], []
    for budget in list_budgets(conn, now=now) if any_budgets(conn) else ():
        loads = budget.used_page_loads + budget.expected_page_loads
        money = budget.used_money + budget.expected_money
        for unit, have, may in (
            ("page_loads", loads, budget.page_loads),
            ("money", money, budget.money),
        ):
            if may is not None:
                used.append(Sample((budget.name, unit), have))
                allowed.append(Sample((budget.name, unit), may))
    yield Family(catalogue.BUDGET_USED, tuple(used))
    yield Family(catalogue.BUDGET_ALLOWED, tuple(allowed))


def _accounts(accounts: Iterable[AccountView], now: datetime) -> Iterator[Family]:
    values: Mapping[Metric, Callable[[AccountView], float]] = {
        catalogue.THROTTLED: lambda account: account.throttled_count,
        catalogue.THROTTLED_LIMIT: lambda _: CEILING,
        catalogue.BRAKING: lambda account: why_closed(account, now) is not None,
        catalogue.PAUSED: lambda account: account.paused_at is not None,
        catalogue.IN_FLIGHT: lambda account: account.in_flight,
        catalogue.IN_FLIGHT_LIMIT: lambda account: account.most_in_flight,
    }
    for metric, value in values.items():
        yield _family(metric, ((account.name, value(account)) for account in accounts))


def _daemons(living: Iterable[DaemonView]) -> Iterator[Family]:
    by_name = {f"{daemon.host}:{daemon.pid}": daemon for daemon in living}
    yield _single(catalogue.DAEMONS, len(by_name))
    infos = (
        Sample((name, daemon.version, daemon.zone_data or ""), 1)
        for name, daemon in by_name.items()
    )
    yield Family(catalogue.DAEMON, tuple(infos))
    values: Mapping[Metric, Callable[[DaemonView], float | datetime | None]] = {
        catalogue.STARTED: lambda daemon: daemon.started_at,
        catalogue.SEEN: lambda daemon: daemon.seen_at,
        catalogue.TROUBLED: lambda daemon: daemon.last_error is not None,
        catalogue.LOOP_LAG: lambda daemon: daemon.loop_lag_seconds,
        catalogue.CONFIG_LOADED: lambda daemon: daemon.config_loaded_at,
        catalogue.CONFIG_SUCCESS: lambda daemon: daemon.config_refused_at is None,
    }
    for metric, value in values.items():
        yield _family(metric, ((name, value(daemon)) for name, daemon in by_name.items()))


def _alerts(conn: Connection, now: datetime) -> Iterator[Family]:
    counts = alerts.count_open(conn)
    yield _family(catalogue.ALERTS, ((kind, counts.get(kind, 0)) for kind in AlertKind))
    yield _single(catalogue.STALE, len(standing.list_stale(conn, now=now)))
    parked = sum(one.count for one in parked_inputs.count_parked(conn))
    yield _single(catalogue.PARKED_INPUTS, parked)
    unready = Counter(seen.kind for seen in readiness.list_unready(conn, now=now))
    kinds = (AlertKind.AT_RISK, AlertKind.NOT_READY)
    yield _family(catalogue.UNREADY, ((kind, unready[kind]) for kind in kinds))
    yield _family(catalogue.UNSAVED, results.count_unsaved(conn, now=now).items())
    outboxes = notices.list_outboxes(conn, given_up_since=now)
    waiting = ((outbox.channel, outbox.waiting_count) for outbox in outboxes)
    yield _family(catalogue.NOTICES_WAITING, waiting)
    oldest = ((outbox.channel, outbox.oldest_at) for outbox in outboxes)
    yield _family(catalogue.NOTICES_OLDEST, oldest)


def _counted(conn: Connection) -> Iterator[Family]:
    names = [*_COUNTERS, *(histogram.name for histogram in _HISTOGRAMS)]
    sums = _NO_ENDS | tallies.read_sums(conn, names)
    for counter, metric in _COUNTERS.items():
        samples = (Sample(labels, sums[name, labels]) for name, labels in sums if name == counter)
        yield Family(metric, _sorted(samples))
    for histogram, metric in _HISTOGRAMS.items():
        yield Family(metric, _sorted(_distributions(histogram, sums)))


def _distributions(histogram: Histogram, sums: Mapping[Key, float]) -> Iterator[Sample]:
    counted: dict[tuple[str, ...], dict[str, float]] = {}
    for (name, (*labels, bucket)), value in sums.items():
        if name == histogram.name:
            counted.setdefault(tuple(labels), {})[bucket] = value
    for key, values in counted.items():
        seconds = values.pop(tally.SUM, 0.0)
        # Rows of another version may have other bounds: each counts in the buckets above it.
        buckets = (
            (bound, sum(number for of, number in values.items() if float(of) <= float(bound)))
            for bound in histogram.buckets
        )
        yield Sample(key, Distribution(tuple(buckets), seconds))


def _single(metric: Metric, value: float) -> Family:
    return Family(metric, (Sample((), value),))


def _family(metric: Metric, values: Iterable[tuple[str, float | datetime | None]]) -> Family:
    """Return what was measured by one label; None is nothing, a time is seconds since 1970."""
    return Family(
        metric,
        tuple(
            Sample((label,), value.timestamp() if isinstance(value, datetime) else float(value))
            for label, value in values
            if value is not None
        ),
    )


def _sorted(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda sample: sample.labels))
