"""Due schedules become runs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from scheduler.domain.definition import (
    Fallbacks,
    check_definition,
    misfire_grace_of,
    timetable_of,
)
from scheduler.domain.errors import InvalidInput, SchedulerError
from scheduler.domain.firing import MOST_AT_ONCE, PROMPT, Plan, plan_firing
from scheduler.domain.new_run import Occurrence, scheduled_run
from scheduler.domain.records import (
    Calendar,
    CatchUp,
    NewRun,
    QueueOrder,
    Reason,
    RunState,
    Schedule,
    StoredBody,
)
from scheduler.engine.bodies import BatchReader
from scheduler.engine.loop import Wake
from scheduler.storage import definitions, runs, schedules
from scheduler.storage.database import Connection, Database
from scheduler.storage.definitions import Queue
from scheduler.storage.schedules import Mark, WholeSchedule

log = structlog.get_logger()

_AT_ONCE = 500
_RUNS_AT_ONCE = 20_000
_SET_ASIDE_AGAIN = timedelta(seconds=5)

Bodies = Mapping[str, StoredBody | SchedulerError]


@dataclass(frozen=True, slots=True, kw_only=True)
class FireStep:
    """
    Decide every owed occurrence, write its run, and move the schedule's mark, in one transaction.

    UNIQUE (schedule, due_at) and a mark that only grows make a pass repeatable: one that
    crashed, or another daemon's, or a clock that went back writes nothing twice.
    """

    db: Database
    reader: BatchReader
    fallbacks: Callable[[], Fallbacks]
    wake_dispatch: Wake
    _set_aside_seen: list[datetime] = field(default_factory=list)

    async def run(self, now: datetime) -> datetime | None:
        """Fire what is due at *now*; return when the next schedule is due."""
        found = await self.db.read(partial(self._list_work, now=now))
        if not found:
            return await self.db.read(schedules.find_next_fire)
        bodies = await asyncio.to_thread(self._read_batches, found, now)
        names = [whole.schedule.name for whole in found]
        fired = await self.db.write(partial(self._fire, names=names, bodies=bodies, now=now))
        if any(run.state is RunState.QUEUED for run in fired):
            self.wake_dispatch()
        for run in fired:
            _log_fired(run, now)
        return now if len(found) >= _AT_ONCE else await self.db.read(schedules.find_next_fire)

    def _list_work(self, conn: Connection, *, now: datetime) -> list[WholeSchedule]:
        found = schedules.list_due(conn, now=now, limit=_AT_ONCE)
        found += schedules.list_unplanned(conn, limit=_AT_ONCE)
        if not self._set_aside_seen or now - self._set_aside_seen[-1] >= _SET_ASIDE_AGAIN:
            self._set_aside_seen[:] = [now]
            found += schedules.list_set_aside(conn, limit=_AT_ONCE)
        return list({whole.schedule.name: whole for whole in found}.values())

    def _read_batches(self, found: Sequence[WholeSchedule], now: datetime) -> Bodies:
        """Read each batch once, as it is now; only schedules that owe something need theirs."""
        needed = {
            whole.batch.name: whole.batch
            for whole in found
            if whole.batch is not None and _owes(whole.schedule, now)
        }
        return {name: self.reader.read(batch) for name, batch in needed.items()}

    def _fire(
        self, conn: Connection, *, names: Sequence[str], bodies: Bodies, now: datetime
    ) -> list[NewRun]:
        held = schedules.claim(conn, names)
        context = _Context(
            calendars=definitions.list_calendars(conn),
            queues={queue.name: queue for queue in definitions.list_queues(conn)},
            bodies=bodies,
            fallbacks=self.fallbacks(),
            now=now,
            most=min(MOST_AT_ONCE, max(1, _RUNS_AT_ONCE // max(1, len(held)))),
        )
        fired: list[NewRun] = []
        marks: list[Mark] = []
        for whole in held:
            decided = context.decide(whole)
            if decided is not None:
                mark, new = decided
                fired += new
                marks += [mark] if _moves(mark, whole.schedule) else []
                _log_set_aside(mark, whole.schedule)
        fired = _refuse_beyond_depth(conn, fired, context.queues, now)
        used = {run.body for run in fired}
        read = [body for body in bodies.values() if isinstance(body, StoredBody)]
        definitions.insert_bodies(conn, [b for b in read if b.fingerprint in used], now=now)
        _coalesce(conn, held, fired, now)
        runs.insert_runs(conn, fired)
        schedules.record_marks(conn, marks, now=now)
        return fired


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What deciding a schedule rests on, besides its row."""

    calendars: Mapping[str, Calendar]
    queues: Mapping[str, Queue]
    bodies: Bodies
    fallbacks: Fallbacks
    now: datetime
    most: int

    def decide(self, whole: WholeSchedule) -> tuple[Mark, list[NewRun]] | None:
        """Return the schedule's mark and runs; None to decide it in the next pass."""
        schedule = whole.schedule
        try:
            collector, batch = check_definition(schedule, whole.collector, whole.batch)
            timetable = timetable_of(schedule, self.calendars)
            plan = plan_firing(
                timetable,
                fired_until=_decided_until(schedule),
                now=self.now,
                misfire_grace=misfire_grace_of(schedule),
                catch_up=schedule.catch_up,
                also=_owed_before_the_edit(schedule),
                most=self.most,
            )
        except InvalidInput as error:
            return Mark(
                schedule=schedule.name, fired_until=None, next_fire_at=None, error=str(error)
            ), []
        if plan.owed and batch.name not in self.bodies:
            return None  # it became due, or was edited, since its batch was read
        new = [
            scheduled_run(
                schedule,
                collector,
                batch,
                self._with_inputs(
                    Occurrence(
                        due_at=owed.due_at,
                        fate=owed.fate,
                        not_before=owed.due_at + timetable.delay(owed.due_at),
                    ),
                    batch.name,
                ),
                body=_body_of(self.bodies.get(batch.name)),
                order=self._order_of(schedule.queue),
                fallbacks=self.fallbacks,
                now=self.now,
            )
            for owed in plan.owed
        ]
        return _mark(schedule, plan), new

    def _with_inputs(self, occurrence: Occurrence, batch: str) -> Occurrence:
        problem = self.bodies[batch]
        if occurrence.fate is not Reason.DUE or isinstance(problem, StoredBody):
            return occurrence
        return Occurrence(
            due_at=occurrence.due_at,
            fate=Reason.BAD_INPUTS,
            not_before=occurrence.not_before,
            detail=str(problem),
        )

    def _order_of(self, queue: str | None) -> QueueOrder:
        known = self.queues.get(queue) if queue is not None else None
        return known.queue_order if known is not None else QueueOrder.STRICT


def _owes(schedule: Schedule, now: datetime) -> bool:
    return (
        schedule.planned_at is None
        or (schedule.next_fire_at is not None and schedule.next_fire_at <= now)
        or schedule.error is not None
    )


def _decided_until(schedule: Schedule) -> datetime:
    """Return the moment after which this timetable counts: a new or edited one, from then on."""
    marks = [schedule.created_at]
    if schedule.planned_at is None and schedule.edited_at is not None:
        marks.append(schedule.edited_at)
    if schedule.fired_until is not None:
        marks.append(schedule.fired_until)
    return max(marks)


def _owed_before_the_edit(schedule: Schedule) -> datetime | None:
    """Return what the timetable before the edit still owed when it was edited: nothing is lost."""
    if schedule.planned_at is not None or schedule.edited_at is None:
        return None
    owed = schedule.next_fire_at
    if owed is None or owed > schedule.edited_at:
        return None
    return owed if schedule.fired_until is None or owed > schedule.fired_until else None


def _mark(schedule: Schedule, plan: Plan) -> Mark:
    return Mark(
        schedule=schedule.name, fired_until=plan.fired_until, next_fire_at=plan.next_fire_at
    )


def _moves(mark: Mark, schedule: Schedule) -> bool:
    return schedule.planned_at is None or (
        mark.fired_until or schedule.fired_until,
        mark.next_fire_at,
        mark.error,
    ) != (schedule.fired_until, schedule.next_fire_at, schedule.error)


def _body_of(read: StoredBody | SchedulerError | None) -> StoredBody | None:
    return read if isinstance(read, StoredBody) else None


def _refuse_beyond_depth(
    conn: Connection, fired: list[NewRun], queues: Mapping[str, Queue], now: datetime
) -> list[NewRun]:
    """Skip what a queue with `max_depth` has no room for, with that reason."""
    kept: list[NewRun] = []
    room: dict[tuple[str, str, str], int] = {}
    for run in fired:
        queue = queues.get(run.queue or "")
        limit = queue.max_depth if queue is not None else None
        if run.queue is None or limit is None or run.state is not RunState.QUEUED:
            kept.append(run)
            continue
        key = (run.account, run.collector_id, run.queue)
        if key not in room:
            room[key] = limit - runs.count_waiting(conn, *key)
        room[key] -= 1
        full = f"{limit} runs wait in queue {run.queue!r}, its max_depth"
        kept.append(run if room[key] >= 0 else run.refused(Reason.QUEUE_FULL, full, now))
    return kept


def _coalesce(
    conn: Connection, held: Sequence[WholeSchedule], fired: Sequence[NewRun], now: datetime
) -> None:
    """Let what still waits to be sent give way to the newer occurrence, as `catch_up` says."""
    newly_due = {run.schedule for run in fired if run.state is RunState.QUEUED}
    for catch_up, reason in (
        (CatchUp.LATEST, Reason.COALESCED),
        (CatchUp.NONE, Reason.MISSED),
    ):
        names = [
            whole.schedule.name
            for whole in held
            if whole.schedule.catch_up is catch_up and whole.schedule.name in newly_due
        ]
        if names:
            runs.coalesce_waiting(conn, names, due_before=now - PROMPT, reason=reason, now=now)


def _log_fired(run: NewRun, now: datetime) -> None:
    log.info(
        "run_fired",
        schedule=run.schedule,
        collector=run.collector,
        due_at=run.due_at.isoformat(),
        late_seconds=round((now - run.due_at).total_seconds(), 3),
        state=run.state.value,
        reason=run.reason.value,
        **({"detail": run.detail} if run.detail else {}),
    )


def _log_set_aside(mark: Mark, schedule: Schedule) -> None:
    if mark.error is not None and mark.error != schedule.error:
        log.error("schedule_set_aside", schedule=schedule.name, error=mark.error)
    elif mark.error is None and schedule.error is not None:
        log.info("schedule_mended", schedule=schedule.name)
