"""Why a run that waits is not sent, in words."""

from datetime import datetime

from scheduler.domain.brake import Brake
from scheduler.domain.moments import moment_text
from scheduler.domain.records import Run, RunState, Schedule
from scheduler.storage import accounts, definitions, freezes, schedules
from scheduler.storage.database import Connection
from scheduler.storage.definitions import Queue


def why_waits(conn: Connection, run: Run, *, now: datetime) -> str | None:
    """Return what holds *run* up, the first thing that must change; None while it is sent."""
    if run.state is RunState.DISPATCHING:
        return None
    if run.state is RunState.NEEDS_ATTENTION:
        return f"run {run.id} needs attention: {run.detail or run.reason}"
    if run.state is RunState.UNCONFIRMED:
        return f"run {run.id} may have been accepted: it is looked for ({run.reason})"
    held = why_held(conn, run, now=now)
    if held is not None:
        return held
    if run.not_before > now:
        return f"not before {moment_text(run.not_before)} ({run.reason})"
    return _why_braked(run.account, accounts.find_brake(conn, run.account), now) or (
        "its turn: another run of its collector is unsettled, or a daemon takes it next"
    )


def why_held(conn: Connection, run: Run, *, now: datetime) -> str | None:
    """Return which pause or freeze by a person holds *run* up; None if nobody's does."""
    queue = _queue(conn, run.queue)
    if queue is not None and queue.paused_at is not None:
        return f"queue {queue.name} is paused by {queue.paused_by}: {queue.paused_reason}"
    schedule = schedules.find_schedule(conn, run.schedule) if run.schedule else None
    if schedule is not None and (paused := why_paused(schedule, now=now)):
        return paused
    for freeze in freezes.list_freezes(conn):
        if freeze.holds(run.collector, run.labels) and (freeze.until is None or freeze.until > now):
            return f"{freeze.scope} is frozen by {freeze.frozen_by}{_until(freeze.until)}: " + (
                freeze.reason
            )
    brake = accounts.find_brake(conn, run.account)
    if brake is not None and brake.paused_at is not None:
        return f"account {run.account} is paused: {brake.paused_reason}"
    return None


def why_paused(schedule: Schedule, *, now: datetime) -> str | None:
    """Return by whom the schedule is paused at *now*, until when and why; None if it is not."""
    if schedule.paused_at is None:
        return None
    if schedule.paused_until is not None and schedule.paused_until <= now:
        return None
    until = _until(schedule.paused_until)
    return f"schedule {schedule.name} is paused by {schedule.paused_by}{until}: " + (
        schedule.paused_reason or "no reason given"
    )


def _queue(conn: Connection, name: str | None) -> Queue | None:
    return definitions.list_queues(conn).get(name) if name else None


def _why_braked(account: str, brake: Brake | None, now: datetime) -> str | None:
    if brake is not None and brake.open_until is not None and brake.open_until > now:
        return f"account {account} pauses until {moment_text(brake.open_until)}"
    return None


def _until(end: datetime | None) -> str:
    return f" until {moment_text(end)}" if end is not None else ""
