"""What a person can do with schedules: switch them on and off, and fire them now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scheduler.actions.guards import MOST_AT_ONCE, check_secrets, edited_meanwhile
from scheduler.actions.limits import within_limits
from scheduler.actions.past_pauses import go_past_pauses
from scheduler.actions.run_defaults import run_defaults_of
from scheduler.config import Config
from scheduler.domain.batch import Chunk, DueTime, all_parked, split_run
from scheduler.domain.definition import check_definition
from scheduler.domain.errors import Conflict, NeedsConfirmation
from scheduler.domain.new_run import Occurrence, scheduled_run
from scheduler.domain.records import Batch, NewRun, QueueOrder, Reason, StoredBody
from scheduler.inputs import ANY_FILE, InputFiles, LeaveOut, iter_bodies
from scheduler.storage import accounts, definitions, overrides, runs, schedules
from scheduler.storage.audit import record_change
from scheduler.storage.body_parts import DatabaseSpool
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import announce
from scheduler.storage.parked_inputs import parked_of
from scheduler.storage.runs.canaries import let_wait
from scheduler.storage.schedules import ScheduleWithRefs
from scheduler.views.runs import RunView, get_runs
from scheduler.views.schedules import ScheduleView, get_schedule


def set_enabled(
    conn: Connection, name: str, *, enabled: bool, by: str, now: datetime
) -> ScheduleView:
    """
    Switch a schedule on or off; what it has fired goes on either way.

    Of one that came from a file, the file's `enabled` holds again at the next apply: a pause
    is the operator's own.
    """
    before = schedules.get_schedule(conn, name).schedule.enabled
    if before != enabled:
        schedules.set_enabled(conn, name, enabled=enabled)
        action = "enable" if enabled else "disable"
        columns = {"enabled": (before, enabled)}
        record_change(conn, by, action, f"schedules.{name}", columns, now=now)
        announce(conn)
    return get_schedule(conn, name, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """A schedule as it was read, and the bodies that its batch made then."""

    whole: ScheduleWithRefs
    batch: Batch
    bodies: Sequence[StoredBody]


def prepare_fire(db: Database, name: str, *, now: datetime, files: InputFiles = ANY_FILE) -> Fire:
    """Read what the schedule would send now, outside of any transaction: on SQLite all wait."""
    with db.reading() as conn:
        whole = _whole(conn, name, now)
        leave_out = LeaveOut(parked_of(conn, whole.schedule))
    _, batch = check_definition(whole.schedule, whole.collector, whole.batch)
    due, spool = DueTime(now, whole.schedule.timezone), DatabaseSpool(db, now)
    bodies = list(iter_bodies(batch, due, files=files, spool=spool, leave_out=leave_out))
    if not bodies:
        raise Conflict(all_parked(batch.name, name))
    return Fire(whole=whole, batch=batch, bodies=bodies)


def write_fire(
    conn: Connection,
    fire: Fire,
    *,
    config: Config,
    by: str,
    now: datetime,
    confirmed: bool = False,
    past_pauses: bool = False,
) -> tuple[RunView, ...]:
    """
    Write the runs of what was prepared; Conflict where it was edited meanwhile.

    With *past_pauses* they are sent in spite of pauses and freezes: see `go_past_pauses`.
    """
    name, batch = fire.whole.schedule.name, fire.batch
    if len(fire.bodies) > MOST_AT_ONCE and not confirmed:
        count = len(fire.bodies)
        raise NeedsConfirmation(f"batch {batch.name!r} makes {count} runs", count)
    whole = _whole(conn, name, now)
    if (whole.batch, whole.schedule.timezone) != (batch, fire.whole.schedule.timezone):
        raise edited_meanwhile(batch.name)
    definitions.insert_bodies(conn, fire.bodies, now=now)
    asked = _asked(conn, whole, fire.bodies, config=config, by=by, now=now)
    asked = within_limits(conn, asked, now=now, confirmed=confirmed)
    told: dict[str, tuple[object, object]] = {}
    if past_pauses:
        asked, told = go_past_pauses(conn, asked, now=now, confirmed=confirmed)
    written = [runs.insert_run(conn, chunk, by=by) for chunk in asked]
    let_wait(conn, asked)
    told = {"runs": (None, written), **told}
    record_change(conn, by, "fire", f"schedules.{name}", told, now=now)
    announce(conn)
    return get_runs(conn, written)


def fire_schedule(
    db: Database,
    name: str,
    *,
    config: Config,
    by: str,
    now: datetime,
    files: InputFiles = ANY_FILE,
    confirmed: bool = False,
    past_pauses: bool = False,
) -> tuple[RunView, ...]:
    """
    Write a run of the schedule for this moment, on a person's word; return it, or its chunks.

    It is sent however late, and beside what the timetable says. Raises NotFound, InvalidInput,
    InputsError, Conflict where the batch is edited while it is read, and NeedsConfirmation for
    very many chunks, for what is beyond a limit and for what goes past a pause.
    """
    fire = prepare_fire(db, name, now=now, files=files)
    with db.writing() as conn:
        return write_fire(
            conn,
            fire,
            config=config,
            by=by,
            now=now,
            confirmed=confirmed,
            past_pauses=past_pauses,
        )


def _whole(conn: Connection, name: str, now: datetime) -> ScheduleWithRefs:
    (whole,) = overrides.apply_overrides(conn, [schedules.get_schedule(conn, name)], now=now)
    return whole


def _asked(
    conn: Connection,
    whole: ScheduleWithRefs,
    bodies: Sequence[StoredBody],
    *,
    config: Config,
    by: str,
    now: datetime,
) -> list[NewRun]:
    collector, batch = check_definition(whole.schedule, whole.collector, whole.batch)
    accounts.get_account(conn, collector.account)
    queue = definitions.list_queues(conn).get(whole.schedule.queue or "")
    run = scheduled_run(
        whole.schedule,
        collector,
        batch,
        Occurrence(due_at=now, reason=Reason.DUE, not_before=now),
        body=None,
        order=QueueOrder.STRICT if queue is None else queue.queue_order,
        defaults=run_defaults_of(config),
        now=now,
    )
    check_secrets(run.query, config)
    asked = replace(run, reason=Reason.REQUESTED, detail=f"asked for by {by}", send_before=None)
    chunks = [
        Chunk(fingerprint=body.fingerprint, row_count=body.row_count, body=body) for body in bodies
    ]
    return split_run(asked, chunks, has_canary=batch.canary is not None)
