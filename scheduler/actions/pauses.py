"""Pausing and resuming: one schedule, or many by a freeze; and what will fire afterwards."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import Conflict, InvalidInput, NotFound
from scheduler.domain.moments import moment_text
from scheduler.domain.nearest import did_you_mean
from scheduler.domain.pauses import Freeze, check_scope
from scheduler.storage import audit, definitions, freezes, runs, schedules
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


@dataclass(frozen=True, slots=True, kw_only=True)
class WillFire:
    """What a schedule does once it is resumed: its waiting runs at once, its next occurrence."""

    schedule: str
    waiting: int
    next_fire_at: datetime | None


def pause_schedule(
    conn: Connection, name: str, *, by: str, reason: str, until: datetime | None, now: datetime
) -> None:
    """Fire and send nothing of a schedule; what comes due is skipped, with this reason."""
    schedules.get_schedule(conn, name)
    _check_until(until, now)
    schedules.set_paused(conn, name, by=by, reason=reason, now=now, until=until)
    columns = {"paused_reason": (None, reason), "paused_until": (None, until)}
    _record(conn, "pause", f"schedules.{name}", columns, by, now)


def resume_schedule(conn: Connection, name: str, *, by: str, now: datetime) -> None:
    """Lift a schedule's pause, whoever made it."""
    schedule = schedules.get_schedule(conn, name).schedule
    if schedule.paused_at is None:
        raise Conflict(f"schedule {name!r} is not paused")
    schedules.set_resumed(conn, [name])
    columns = {"paused_reason": (schedule.paused_reason, None)}
    _record(conn, "resume", f"schedules.{name}", columns, by, now)
    announce(conn)


def preview_resume(conn: Connection, name: str, *, now: datetime) -> WillFire:
    """Return what resuming a schedule comes to."""
    schedule = schedules.get_schedule(conn, name).schedule
    timetable = timetable_of(schedule, definitions.list_calendars(conn))
    unfinished = runs.list_unfinished(conn, [name]).get(name, [])
    return WillFire(
        schedule=name,
        waiting=sum(one.state == "queued" for one in unfinished),
        next_fire_at=timetable.next_after(now),
    )


def freeze(
    conn: Connection, scope: str, *, by: str, reason: str, until: datetime | None, now: datetime
) -> int:
    """
    Pause everything, a collector's schedules or those with a label: see domain.pauses.

    Return how many schedules that are: none is no mistake, for one may come. Raises NotFound for
    a collector that there is not.
    """
    _check_until(until, now)
    _check_collector(conn, scope)
    frozen = {one.scope for one in freezes.list_freezes(conn)}
    if check_scope(scope) in frozen:
        raise Conflict(f"{scope} is frozen already: thaw it first")
    made = Freeze(scope=scope, frozen_at=now, frozen_by=by, reason=reason, until=until)
    freezes.insert_freeze(conn, made)
    columns = {"reason": (None, reason), "until": (None, until)}
    _record(conn, "freeze", f"freezes.{scope}", columns, by, now)
    return sum(made.concerns(schedule) for schedule in schedules.list_schedules(conn))


def thaw(conn: Connection, scope: str, *, by: str, now: datetime) -> None:
    """End a freeze."""
    if not freezes.delete_freeze(conn, scope):
        raise Conflict(f"{scope} is not frozen")
    _record(conn, "thaw", f"freezes.{scope}", {}, by, now)
    announce(conn)


def preview_thaw(conn: Connection, scope: str, *, now: datetime) -> list[WillFire]:
    """Return what thawing comes to, for every schedule of the scope that is enabled."""
    concerned = [one for one in freezes.list_freezes(conn) if one.scope == scope]
    return [
        preview_resume(conn, schedule.name, now=now)
        for schedule in schedules.list_schedules(conn)
        if schedule.enabled
        and schedule.error is None
        and any(freeze.concerns(schedule) for freeze in concerned)
    ]


def _check_collector(conn: Connection, scope: str) -> None:
    kind, _, name = scope.partition(":")
    known = [collector.name for collector in definitions.list_collectors(conn)]
    if kind == "collector" and name not in known:
        raise NotFound(f"no collector is called {name!r}{did_you_mean(name, known)}")


def _check_until(until: datetime | None, now: datetime) -> None:
    if until is not None and until <= now:
        raise InvalidInput(f"until {moment_text(until)} is in the past")


def _record(
    conn: Connection, action: str, subject: str, columns: audit.Columns, by: str, now: datetime
) -> None:
    audit.record_change(conn, who=by, action=action, subject=subject, columns=columns, now=now)
