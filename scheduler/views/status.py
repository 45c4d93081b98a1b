"""How everything is doing, in one answer, and in sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from scheduler.domain.notices import AlertKind
from scheduler.domain.pauses import why_skipped
from scheduler.domain.records import RunState
from scheduler.processes import is_gone
from scheduler.storage import (
    alerts,
    course,
    daemons,
    definitions,
    freezes,
    held_daemons,
    parked_inputs,
    readiness,
    restores,
    results,
    runs,
    schedules,
    standing,
)
from scheduler.storage.ahead import AheadRun, AheadSchedule, list_ahead, list_ahead_runs
from scheduler.storage.daemons import SEEN_WITHIN, Daemon
from scheduler.storage.database import Connection
from scheduler.storage.definitions import Queue
from scheduler.storage.held_daemons import HeldDaemon
from scheduler.storage.last_seen import find_put_back
from scheduler.storage.origin import find_brought
from scheduler.storage.parked_inputs import ParkedCount
from scheduler.storage.restores import UnknownJob
from scheduler.storage.runs import failing, followed, troubles
from scheduler.storage.runs.failing import LOOKED_AT, MOST_FOUND
from scheduler.storage.runs.followed import Unheard
from scheduler.storage.runs.troubles import Backlog, Late, Lost
from scheduler.storage.schedules import InvalidSchedule, PausedSchedule
from scheduler.storage.weaknesses import why_unwritable
from scheduler.views.accounts import AccountView, list_accounts
from scheduler.views.alerts import OutboxView, list_untold
from scheduler.views.api_tokens import TokenView, list_expiring
from scheduler.views.budgets import list_worn
from scheduler.views.decoding import view
from scheduler.views.other_jobs import OtherJobView, UnreadListView, list_other_jobs, list_unread
from scheduler.views.runs import RunView, run_view
from scheduler.views.schedules import FreezeView, list_freezes, list_overrides

SILENT_AFTER: Final = timedelta(seconds=35)
"""A daemon that has missed three heartbeats hangs, or cannot write."""

UNHEARD_AFTER: Final = timedelta(minutes=10)
"""A collection of which nothing could be read for so long after it was accepted is told."""

LATE_AFTER: Final = timedelta(minutes=1)
"""What was due for so long and is not decided is late."""

_MOST_SKIPPED: Final = 1000
"""Where more than so many are paused or frozen before the next that fires, none is told."""

LOST_WITHIN: Final = timedelta(hours=24)
"""What failed or was missed within this time is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonView(Daemon):
    """One start of a daemon, as it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDaemonView(HeldDaemon):
    """A daemon that is up and decides nothing, and why, as it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingView:
    """A schedule of which the last *in_a_row* runs failed; *run* is the last of them."""

    schedule: str
    in_a_row: int
    run: RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class LostView:
    """So many runs failed or were missed of late; *newest* is the last of them."""

    count: int
    newest: RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleView:
    """A schedule whose last good result is older than its `fresh_within`, *since* then."""

    schedule: str
    since: datetime
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AstrayView:
    """A run, or a schedule's runs, that go against what was promised or is usual; *kind* how."""

    kind: AlertKind
    subject: str
    schedule: str | None
    run_id: int | None
    since: datetime
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadyView(StaleView):
    """A schedule whose `ready_by` will not hold (`at_risk`), or has not (`not_ready`)."""

    kind: AlertKind


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsavedView:
    """How many results wait to be saved, are given up, and are soon forgotten by the upstream."""

    waiting_count: int
    failed_count: int
    expiring_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedView:
    """How many inputs a schedule leaves out, since the first of them was parked."""

    schedule: str
    count: int
    since: datetime


def parked_view(parked: ParkedCount) -> ParkedView:
    """Show how many inputs a schedule leaves out."""
    return ParkedView(schedule=parked.schedule, count=parked.count, since=parked.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """
    What a person wants to know first.

    *next_fire_at* is when the first one is due that no pause and no freeze skips.
    *is_all_that_fails* tells whether *failing* is whole: not where there are too many to look at.
    *unowned* are schedules that fire though they are in no file any more: MOST_FOUND at most.
    *last_daemon* is the one that was there last, where none is; *restored_from_at* is the moment
    of the backup that the database was taken from, if none has worked on it since; *put_back* says
    that its SQLite file is an older one, or its tables come from a dump. *late* are schedules that
    were due and did not fire; *failed* and *missed* count what ended so after *lost_since*;
    *backlogs* are schedules that are due faster than their runs begin. *expiring_tokens* of the
    HTTP surface end within two weeks, or ended lately. *unsettled_backup_at* is the moment of the
    backup that the database was taken from, until somebody has said how to go on: no daemon works
    on it. *stale* are schedules without a good result for too long; *alerts* counts what is wrong
    by kind, and *untold* are channels that do not get through. *worn_budgets* says of which
    budgets most is used. *unready* are broken promises of `ready_by`, and those about to break;
    *unsaved_results* counts what `save_to` asks for and is not there; *parked* the inputs that
    schedules leave out.
    *other_jobs* run on our collectors and are in no run here;
    *unread_lists* are collectors of which that is not known. *astray* are runs
    that start late, overrun, or outlast their interval. *unwritable* is why nothing can be written,
    as far as the disk of an SQLite file tells. *unheard* are collections of which no answer told
    anything.
    """

    read_at: datetime
    unwritable: str | None
    daemons: tuple[DaemonView, ...]
    held_daemons: tuple[HeldDaemonView, ...]
    accounts: tuple[AccountView, ...]
    open_runs: Mapping[RunState, int]
    enabled_schedule_count: int
    next_fire_at: datetime | None
    invalid: tuple[InvalidSchedule, ...]
    overdue: tuple[RunView, ...]
    unheard: Unheard | None
    astray: tuple[AstrayView, ...]
    failing: tuple[FailingView, ...]
    is_all_that_fails: bool
    paused: tuple[PausedSchedule, ...]
    freezes: tuple[FreezeView, ...]
    ahead: tuple[AheadSchedule, ...]
    ahead_runs: tuple[AheadRun, ...]
    unowned: tuple[str, ...]
    last_daemon: DaemonView | None
    restored_from_at: datetime | None
    put_back: str | None
    late: Late | None
    failed: LostView | None
    missed: LostView | None
    lost_since: datetime
    backlogs: tuple[Backlog, ...]
    paused_queues: tuple[Queue, ...]
    unsettled_backup_at: datetime | None
    unknown_jobs: tuple[UnknownJob, ...]
    expiring_tokens: tuple[TokenView, ...]
    worn_budgets: tuple[str, ...]
    stale: tuple[StaleView, ...]
    unready: tuple[UnreadyView, ...]
    unsaved_results: UnsavedView
    parked: tuple[ParkedView, ...]
    alerts: Mapping[AlertKind, int]
    untold: tuple[OutboxView, ...]
    other_jobs: tuple[OtherJobView, ...]
    unread_lists: tuple[UnreadListView, ...]


def read_status(
    conn: Connection, *, now: datetime, with_schedules: bool = True, since: datetime | None = None
) -> StatusView:
    """
    Read it all as of one moment; looking through a million schedules takes a moment longer.

    What failed and was missed is told *since* then: for a day, unless said.
    """
    since = since or now - LOST_WITHIN
    living = list_daemons(conn, now=now)
    last = None if living else _last_daemon(conn)
    enabled = schedules.count_enabled(conn) if with_schedules else 0
    failures = failing.list_failing(conn) if with_schedules else []
    return StatusView(
        read_at=now,
        unwritable=why_unwritable(conn),
        daemons=living,
        held_daemons=list_held_daemons(conn),
        accounts=list_accounts(conn, now=now),
        open_runs=runs.count_open(conn),
        enabled_schedule_count=enabled,
        next_fire_at=_find_next_fire(conn),
        invalid=tuple(schedules.list_errors(conn)),
        overdue=tuple(map(run_view, followed.list_overdue(conn))),
        unheard=followed.find_unheard(conn, before=now - UNHEARD_AFTER),
        astray=_list_astray(conn, now),
        failing=tuple(map(_failing, failures)),
        is_all_that_fails=len(failures) < MOST_FOUND
        and (enabled <= LOOKED_AT or not troubles.has_failed(conn)),
        paused=tuple(schedules.list_paused(conn, now=now)),
        freezes=list_freezes(conn, now=now),
        ahead=tuple(list_ahead(conn, now=now)) if with_schedules else (),
        ahead_runs=tuple(list_ahead_runs(conn, now=now)),
        unowned=tuple(schedules.list_unowned(conn, now=now, limit=MOST_FOUND)),
        last_daemon=last,
        restored_from_at=_restored_from(conn, last),
        put_back=None if living else _find_put_back(conn, now),
        late=troubles.find_late(conn, before=now - LATE_AFTER),
        failed=_lost(troubles.find_failed(conn, since=since)) if with_schedules else None,
        missed=_lost(troubles.find_missed(conn, since=since)) if with_schedules else None,
        lost_since=since,
        backlogs=tuple(troubles.list_backlogs(conn, now=now)) if with_schedules else (),
        paused_queues=tuple(
            queue for queue in definitions.list_queues(conn).values() if queue.is_paused(now)
        ),
        unsettled_backup_at=restores.find_unsettled(conn),
        unknown_jobs=tuple(restores.list_unknown_jobs(conn)),
        expiring_tokens=list_expiring(conn, now=now),
        worn_budgets=list_worn(conn, now=now),
        stale=_stale(conn, now) if with_schedules else (),
        unready=_unready(conn, now) if with_schedules else (),
        unsaved_results=_unsaved(conn, now),
        parked=tuple(map(parked_view, parked_inputs.count_parked(conn))),
        alerts=alerts.count_open(conn),
        untold=list_untold(conn, now=now),
        other_jobs=list_other_jobs(conn, now=now),
        unread_lists=list_unread(conn, now=now),
    )


def _stale(conn: Connection, now: datetime) -> tuple[StaleView, ...]:
    return tuple(
        StaleView(schedule=seen.schedule, since=seen.since, detail=seen.detail)
        for seen in standing.list_stale(conn, now=now)
        if seen.schedule is not None and seen.detail is not None
    )


_MOST_ASTRAY: Final = 20


def _list_astray(conn: Connection, now: datetime) -> tuple[AstrayView, ...]:
    lost = [alert for alert in alerts.list_open(conn) if alert.kind is AlertKind.CADENCE]
    found = [*lost, *course.list_astray(conn, now=now)]
    return tuple(view(AstrayView, seen) for seen in found[:_MOST_ASTRAY])


def _unready(conn: Connection, now: datetime) -> tuple[UnreadyView, ...]:
    return tuple(
        UnreadyView(schedule=seen.schedule, since=seen.since, detail=seen.detail, kind=seen.kind)
        for seen in readiness.list_unready(conn, now=now)
        if seen.schedule is not None and seen.detail is not None
    )


def _unsaved(conn: Connection, now: datetime) -> UnsavedView:
    counts = results.count_unsaved(conn, now=now)
    return UnsavedView(**{f"{name}_count": count for name, count in counts.items()})


def _failing(row: failing.Failing) -> FailingView:
    return FailingView(schedule=row.schedule, in_a_row=row.in_a_row, run=run_view(row.newest))


def _lost(lost: Lost | None) -> LostView | None:
    return None if lost is None else LostView(count=lost.count, newest=run_view(lost.newest))


def _last_daemon(conn: Connection) -> DaemonView | None:
    daemon = daemons.find_last(conn)
    return None if daemon is None else view(DaemonView, daemon)


def _restored_from(conn: Connection, last: DaemonView | None) -> datetime | None:
    backup_at = restores.find_newest(conn)
    if backup_at is None or last is None or last.seen_at > backup_at:
        return None
    return backup_at


def _find_next_fire(conn: Connection) -> datetime | None:
    frozen = freezes.list_freezes(conn)
    for limit in (1, _MOST_SKIPPED):
        for schedule in schedules.list_next_due(conn, limit=limit):
            if why_skipped(schedule.next_fire_at, schedule, frozen) is None:
                return schedule.next_fire_at
    return None


def _find_put_back(conn: Connection, now: datetime) -> str | None:
    file = conn.engine.url.database if conn.dialect.name == "sqlite" else None
    return find_put_back(conn, Path(file), now=now) if file else find_brought(conn, now=now)


def count_open(conn: Connection) -> dict[RunState, int]:
    """Return how many runs stand in each state that is not an end."""
    return runs.count_open(conn)


def list_daemons(conn: Connection, *, now: datetime) -> tuple[DaemonView, ...]:
    """Return the daemons that live, the oldest first; one of this machine is looked for here."""
    seen = daemons.list_daemons(conn, seen_since=now - SEEN_WITHIN)
    backup_at = restores.find_newest(conn)
    return tuple(
        view(DaemonView, daemon)
        for daemon in seen
        if not is_gone(daemon.process) and (backup_at is None or daemon.seen_at > backup_at)
    )


def list_held_daemons(conn: Connection) -> tuple[HeldDaemonView, ...]:
    """Return the daemons that are up and decide nothing, for their clock is in doubt."""
    held = held_daemons.list_held(conn)
    return tuple(view(HeldDaemonView, daemon) for daemon in held if not is_gone(daemon.process))


def why_held(conn: Connection, *, now: datetime) -> str | None:
    """Say why nothing is sent from this database: a restore, or no daemon trusts its clock."""
    backup_at = restores.find_unsettled(conn)
    if backup_at is not None:
        return restores.unsettled_sentence(backup_at)
    if list_daemons(conn, now=now):
        return None
    held = list_held_daemons(conn)
    return held[0].why if held else _find_put_back(conn, now)


def list_unexported(conn: Connection, *, now: datetime) -> list[str]:
    """Return what an export leaves behind, as operators have it: `2 paused schedules`."""
    counts = {
        "paused schedule": len(schedules.list_paused(conn, now=now)),
        "paused queue": sum(row.is_paused(now) for row in definitions.list_queues(conn).values()),
        "paused account": sum(bool(row.paused_at) for row in list_accounts(conn, now=now)),
        "override": len(list_overrides(conn, now=now)),
        "freeze": len(list_freezes(conn, now=now)),
        "open run": sum(runs.count_open(conn).values()),
    }
    return [f"{count} {what}{'s' * (count != 1)}" for what, count in counts.items() if count]
