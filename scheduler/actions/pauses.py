"""Pausing and resuming: a schedule, a queue, an account, or many schedules by a freeze."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from scheduler.domain.errors import Conflict, InvalidInput, NeedsConfirmation, NotFound
from scheduler.domain.pauses import ALL, Freeze, check_scope
from scheduler.domain.reasons import check_reason
from scheduler.domain.records import Schedule
from scheduler.domain.suggestions import did_you_mean
from scheduler.domain.timestamps import display_time
from scheduler.storage import accounts, definitions, freezes, holds, restores, runs, schedules
from scheduler.storage.audit import Columns, NewChange, record_change, record_changes
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce
from scheduler.views.accounts import AccountView, get_account
from scheduler.views.names import list_labels
from scheduler.views.queues import QueueView, list_queues
from scheduler.views.resuming import count_held, not_frozen
from scheduler.views.schedules import ScheduleView, get_schedule


def pause_schedule(
    conn: Connection,
    name: str,
    *,
    by: str,
    reason: str,
    until: datetime | None = None,
    now: datetime,
) -> ScheduleView:
    """Fire and send nothing of a schedule; what comes due is skipped, with this reason."""
    pause_schedules(conn, [name], by=by, reason=reason, until=until, now=now)
    return get_schedule(conn, name, now=now)


def resume_schedule(
    conn: Connection, name: str, *, by: str, now: datetime, confirmed: bool = False
) -> ScheduleView:
    """
    Lift a schedule's pause, whoever made it: it fires again, and what waits is sent.

    NeedsConfirmation where runs wait.
    """
    schedule = schedules.get_schedule(conn, name).schedule
    if schedule.paused_at is None:
        raise Conflict(f"schedule {name!r} is not paused")
    if not confirmed:
        waiting = runs.count_waiting_of_schedules(conn, [name])
        _ask_where_runs_wait(f"schedule {name} would fire again", waiting)
    _resume(conn, [schedule], by, now)
    return get_schedule(conn, name, now=now)


def pause_schedules(
    conn: Connection,
    names: Sequence[str],
    *,
    by: str,
    reason: str,
    until: datetime | None = None,
    now: datetime,
) -> None:
    """Pause several schedules, all or none."""
    reason = check_reason(reason)
    _check_until(until, now)
    schedules.check_names(conn, names)
    schedules.set_paused(conn, names, by=by, reason=reason, now=now, until=until)
    _record_paused(conn, [f"schedules.{name}" for name in names], reason, until, by, now)


def resume_schedules(
    conn: Connection, names: Sequence[str], *, by: str, now: datetime, confirmed: bool = False
) -> None:
    """
    Resume those of several schedules that are paused, all or none.

    NeedsConfirmation where runs wait.
    """
    schedules.check_names(conn, names)
    wanted = schedules.ScheduleFilter(names=names, paused=True)
    paused = schedules.list_page(conn, wanted, limit=len(names)) if names else []
    if not paused:
        raise Conflict("none of these schedules is paused")
    if not confirmed:
        waiting = runs.count_waiting_of_schedules(conn, [one.name for one in paused])
        _ask_where_runs_wait(f"{len(paused)} schedules would fire again", waiting)
    _resume(conn, paused, by, now)


def _resume(conn: Connection, paused: Sequence[Schedule], by: str, now: datetime) -> None:
    names = [schedule.name for schedule in paused]
    schedules.set_resumed(conn, names)
    holds.end(conn, *(f"schedule:{name}" for name in names), now=now)
    reasons = {f"schedules.{schedule.name}": schedule.paused_reason for schedule in paused}
    _record_resumed(conn, reasons, by, now)


def pause_queue(
    conn: Connection,
    name: str,
    *,
    by: str,
    reason: str,
    until: datetime | None = None,
    now: datetime,
) -> tuple[QueueView, ...]:
    """
    Send nothing of the queue until then, or until it is resumed; what comes due waits in it.

    Raises NotFound for a queue that nothing names and nothing is in.
    """
    definitions.check_queue(conn, name)
    reason = check_reason(reason)
    _check_until(until, now)
    definitions.set_queue_paused(conn, name, paused_at=now, by=by, reason=reason, until=until)
    _record_paused(conn, [f"queues.{name}"], reason, until, by, now)
    return list_queues(conn, name, now=now)


def resume_queue(
    conn: Connection, name: str, *, by: str, now: datetime, confirmed: bool = False
) -> tuple[QueueView, ...]:
    """Let a paused queue send again; NeedsConfirmation where runs wait in it."""
    queue = definitions.list_queues(conn).get(name)
    if queue is None or not queue.is_paused(now):
        raise Conflict(f"queue {name!r} is not paused")
    waiting = sum(row.waiting_count for row in list_queues(conn, name, now=now))
    if waiting and not confirmed:
        raise NeedsConfirmation(f"what waits in queue {name} would be sent: {waiting}", waiting)
    definitions.set_queue_paused(conn, name, paused_at=None, by=None, reason=None)
    holds.end(conn, f"queue:{name}", now=now)
    _record_resumed(conn, {f"queues.{name}": queue.paused_reason}, by, now)
    return list_queues(conn, name, now=now)


def pause_account(
    conn: Connection,
    name: str,
    *,
    by: str,
    reason: str,
    until: datetime | None = None,
    now: datetime,
) -> AccountView:
    """Send nothing for the account until then, or until a person resumes it."""
    accounts.get_account(conn, name)
    reason = check_reason(reason)
    _check_until(until, now)
    accounts.set_paused(conn, name, by=by, reason=reason, until=until, now=now)
    _record_paused(conn, [f"accounts.{name}"], reason, until, by, now)
    return get_account(conn, name, now=now)


def resume_account(
    conn: Connection, name: str, *, by: str, now: datetime, confirmed: bool = False
) -> AccountView:
    """Let the account send again, whoever paused it; NeedsConfirmation where its runs wait."""
    accounts.get_account(conn, name)
    brake = accounts.find_brake(conn, name)
    if not accounts.set_resumed(conn, name):
        raise Conflict(f"account {name!r} is not paused")
    if not confirmed:
        waiting = runs.count_waiting_of_account(conn, name)
        _ask_where_runs_wait(f"account {name} would send again", waiting)
    holds.end(conn, f"account:{name}", now=now)
    _record_resumed(conn, {f"accounts.{name}": brake.paused_reason if brake else None}, by, now)
    return get_account(conn, name, now=now)


def freeze(
    conn: Connection,
    scope: str,
    *,
    by: str,
    reason: str,
    until: datetime | None = None,
    now: datetime,
) -> int:
    """
    Pause everything, a collector's schedules or those with a label: see domain.pauses.

    Return how many schedules that are: none of a collector is no mistake, for one may come.
    Raises NotFound for a collector that there is not, and for a label that nothing has.
    """
    check_scope(scope)
    reason = check_reason(reason)
    _check_until(until, now)
    _check_known(conn, scope)
    frozen = {freeze.scope for freeze in freezes.list_freezes(conn)}
    if scope in frozen:
        raise Conflict(f"{scope} is frozen already: thaw it first")
    made = Freeze(scope=scope, frozen_at=now, frozen_by=by, reason=reason, until=until)
    freezes.insert_freeze(conn, made)
    columns = {"reason": (None, reason), "until": (None, until)}
    record_change(conn, by, "freeze", f"freezes.{scope}", columns, now=now)
    return sum(made.concerns(schedule) for schedule in schedules.list_schedules(conn))


def thaw(conn: Connection, scope: str, *, by: str, now: datetime, confirmed: bool = False) -> None:
    """
    End a freeze: that itself fires nothing, but runs that wait are sent.

    NeedsConfirmation where runs wait; Conflict for that of a restored backup while what waited in
    it is looked for.
    """
    check_restore(conn, scope == ALL)
    if not freezes.delete_freeze(conn, scope):
        raise not_frozen(conn, scope)
    if not confirmed:
        _ask_where_runs_wait(f"{scope} would be no longer frozen", count_held(conn, scope))
    if scope == ALL:
        restores.forget_jobs(conn)
    holds.end(conn, f"freeze:{scope}", now=now)
    record_change(conn, by, "thaw", f"freezes.{scope}", now=now)
    announce(conn)


def check_restore(conn: Connection, concerns_all: bool) -> None:
    """Raise Conflict where the freeze of all is that of a backup that is still looked into."""
    if concerns_all and restores.find_looked_into(conn) is not None:
        raise Conflict(
            "what waited in the restored backup is still looked for among the upstream's jobs:"
            " let a daemon run until that is done (some ten minutes), and thaw then"
        )


def _record_paused(
    conn: Connection,
    subjects: Sequence[str],
    reason: str,
    until: datetime | None,
    by: str,
    now: datetime,
) -> None:
    columns = {"paused_reason": (None, reason), "paused_until": (None, until)}
    _record(conn, "pause", dict.fromkeys(subjects, columns), by, now)


def _record(
    conn: Connection, action: str, told: Mapping[str, Columns], by: str, now: datetime
) -> None:
    new = [NewChange(by=by, action=action, subject=one, columns=told[one]) for one in told]
    record_changes(conn, new, now=now)


def _ask_where_runs_wait(what: str, waiting: int) -> None:
    if waiting:
        raise NeedsConfirmation(f"{what}; runs that wait and would be sent: {waiting}", waiting)


def _record_resumed(
    conn: Connection, reasons: Mapping[str, str | None], by: str, now: datetime
) -> None:
    told = {subject: {"paused_reason": (reason, None)} for subject, reason in reasons.items()}
    _record(conn, "resume", told, by, now)
    announce(conn)


def _check_known(conn: Connection, scope: str) -> None:
    kind, _, name = scope.partition(":")
    names = [collector.name for collector in definitions.list_collectors(conn)]
    if kind == "collector" and name not in names:
        raise NotFound(f"no collector is called {name!r}{did_you_mean(name, names)}")
    labels = list_labels(conn)
    if kind == "label" and name not in labels and not count_held(conn, scope):
        raise NotFound(f"no schedule has the label {name!r}{did_you_mean(name, labels)}")


def _check_until(until: datetime | None, now: datetime) -> None:
    if until is not None and until <= now:
        raise InvalidInput(f"until {display_time(until)} is in the past")
