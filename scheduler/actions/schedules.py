"""What a person can do with schedules: switch them on and off, and fire them now."""

from dataclasses import replace
from datetime import datetime

from scheduler.domain.batch import DueTime, Part, split_run
from scheduler.domain.definition import Fallbacks, check_definition
from scheduler.domain.new_run import Occurrence, scheduled_run
from scheduler.domain.records import QueueOrder, Reason
from scheduler.inputs import iter_bodies
from scheduler.storage import accounts, audit, definitions, overrides, runs, schedules
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


def set_enabled(conn: Connection, name: str, *, enabled: bool, by: str, now: datetime) -> None:
    """
    Switch a schedule on or off; what it has fired goes on either way.

    Of one that came from a file, the file's `enabled` holds again at the next apply: a pause
    is the operator's own.
    """
    before = schedules.get_schedule(conn, name).schedule.enabled
    if before == enabled:
        return
    schedules.set_enabled(conn, name, enabled=enabled)
    audit.record_change(
        conn,
        who=by,
        action="enable" if enabled else "disable",
        subject=f"schedules.{name}",
        columns={"enabled": (before, enabled)},
        now=now,
    )
    announce(conn)


def fire_schedule(
    conn: Connection, name: str, *, fallbacks: Fallbacks, by: str, now: datetime
) -> list[int]:
    """
    Write a run of the schedule for this moment, on a person's word; return its id, or its parts'.

    It is sent however late, and beside what the timetable says. Raises NotFound, InvalidInput
    or InputsError.
    """
    [whole] = overrides.lay_over(conn, [schedules.get_schedule(conn, name)], now=now)
    collector, batch = check_definition(whole.schedule, whole.collector, whole.batch)
    accounts.get_account(conn, collector.account)
    bodies = list(iter_bodies(batch, DueTime(now, whole.schedule.timezone)))
    queues = definitions.list_queues(conn)
    orders = {name: queue.queue_order for name, queue in queues.items()}
    run = scheduled_run(
        whole.schedule,
        collector,
        batch,
        Occurrence(due_at=now, fate=Reason.DUE, not_before=now),
        body=None,
        order=orders.get(whole.schedule.queue or "", QueueOrder.STRICT),
        fallbacks=fallbacks,
        now=now,
    )
    asked = replace(run, reason=Reason.REQUESTED, detail=f"asked for by {by}", send_before=None)
    parts = [Part(fingerprint=one.fingerprint, row_count=one.row_count, body=one) for one in bodies]
    definitions.insert_bodies(conn, bodies, now=now)
    written = [runs.insert_run(conn, part) for part in split_run(asked, parts)]
    audit.record_change(
        conn,
        who=by,
        action="fire",
        subject=f"schedules.{name}",
        columns={"runs": (None, written)},
        now=now,
    )
    announce(conn)
    return written
