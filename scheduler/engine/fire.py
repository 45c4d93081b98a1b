"""Due schedules become runs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from scheduler.domain.deciding import Bodies, Decision, Known, decide
from scheduler.domain.definition import Fallbacks
from scheduler.domain.firing import MOST_AT_ONCE, PROMPT
from scheduler.domain.records import (
    CatchUp,
    NewRun,
    Overlap,
    Reason,
    RunState,
    Schedule,
    StoredBody,
)
from scheduler.engine.bodies import BatchReader
from scheduler.engine.failures import pause_failing
from scheduler.engine.loop import Wake
from scheduler.storage import collections_, definitions, freezes, overrides, runs, schedules
from scheduler.storage.database import Connection, Database
from scheduler.storage.definitions import Queue
from scheduler.storage.dialect import announce
from scheduler.storage.schedules import Mark, WholeSchedule

log = structlog.get_logger()

_AT_ONCE = 500
_RUNS_AT_ONCE = 20_000
_SET_ASIDE_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class FireStep:
    """
    Decide every owed occurrence, write its run, and move the schedule's mark, in one transaction.

    UNIQUE (schedule, due_at, part) and a mark that only grows make a pass repeatable: one that
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
        found += schedules.list_followers(conn, limit=_AT_ONCE)
        if not self._set_aside_seen or now - self._set_aside_seen[-1] >= _SET_ASIDE_AGAIN:
            self._set_aside_seen[:] = [now]
            found += schedules.list_set_aside(conn, limit=_AT_ONCE)
        found = list({whole.schedule.name: whole for whole in found}.values())
        return overrides.lay_over(conn, found, now=now)

    def _read_batches(self, found: Sequence[WholeSchedule], now: datetime) -> Bodies:
        """Read each batch once, as it is now; only schedules that may owe something need theirs."""
        needed = {
            whole.batch.name: whole.batch
            for whole in found
            if whole.batch is not None and _may_owe(whole.schedule, now)
        }
        return {name: self.reader.read(batch) for name, batch in needed.items()}

    def _fire(
        self, conn: Connection, *, names: Sequence[str], bodies: Bodies, now: datetime
    ) -> list[NewRun]:
        held = overrides.lay_over(conn, schedules.claim(conn, names), now=now)
        queues = {queue.name: queue for queue in definitions.list_queues(conn)}
        known = self._known(conn, [whole.schedule for whole in held], queues, bodies, now)
        decisions = [
            decision
            for whole in held
            if (decision := decide(whole.schedule, whole.collector, whole.batch, known))
        ]
        fired = [run for decision in decisions for run in decision.runs]
        fired = _refuse_beyond_depth(conn, fired, queues, now)
        _carry_out(conn, decisions, now)
        _coalesce(conn, held, fired, now)
        _insert(conn, fired, bodies, now)
        _record_marks(conn, held, decisions, now)
        schedules.set_resumed(conn, schedules.list_lapsed_pauses(conn, now=now))
        failed = {run.schedule for run in fired if run.state is RunState.FAILED}
        pause_failing(conn, failed, now=now)
        return fired

    def _known(
        self,
        conn: Connection,
        held: Sequence[Schedule],
        queues: Mapping[str, Queue],
        bodies: Bodies,
        now: datetime,
    ) -> Known:
        overlapping = [one.name for one in held if one.overlap not in _NEVER_OVERLAPS]
        return Known(
            now=now,
            calendars=definitions.list_calendars(conn),
            orders={name: queue.queue_order for name, queue in queues.items()},
            freezes=freezes.list_freezes(conn),
            bodies=bodies,
            unfinished=runs.list_unfinished(conn, overlapping),
            ends=schedules.list_ends(conn, [one for one in held if one.after is not None]),
            made=runs.count_made(conn, [one.name for one in held if one.max_runs is not None]),
            fallbacks=self.fallbacks(),
            most=min(MOST_AT_ONCE, max(1, _RUNS_AT_ONCE // max(1, len(held)))),
        )


_NEVER_OVERLAPS = (Overlap.QUEUE, Overlap.ALLOW)


def _may_owe(schedule: Schedule, now: datetime) -> bool:
    return (
        schedule.planned_at is None
        or schedule.error is not None
        or schedule.after is not None
        or (schedule.next_fire_at is not None and schedule.next_fire_at <= now)
    )


def _carry_out(conn: Connection, decisions: Sequence[Decision], now: datetime) -> None:
    """Let waiting runs and running collections give way to those that replace them."""
    superseded = [run_id for decision in decisions for run_id in decision.supersedes]
    runs.supersede(conn, superseded, now=now)
    for decision in decisions:
        for collection_id in decision.cancels:
            collections_.request_cancel(
                conn, collection_id, now=now, note=collections_.REPLACED_NOTE
            )


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


def _insert(conn: Connection, fired: Sequence[NewRun], bodies: Bodies, now: datetime) -> None:
    used = {run.body for run in fired}
    read = [body for body in bodies.values() if isinstance(body, StoredBody)]
    definitions.insert_bodies(conn, [b for b in read if b.fingerprint in used], now=now)
    runs.insert_runs(conn, fired)
    if any(run.state is RunState.QUEUED for run in fired):
        announce(conn)


def _record_marks(
    conn: Connection, held: Sequence[WholeSchedule], decisions: Sequence[Decision], now: datetime
) -> None:
    stood = {whole.schedule.name: whole.schedule for whole in held}
    moved = [one for one in decisions if _moves(one, stood[one.schedule])]
    marks = [
        Mark(
            schedule=one.schedule,
            fired_until=one.fired_until,
            next_fire_at=one.next_fire_at,
            error=one.error,
        )
        for one in moved
    ]
    schedules.record_marks(conn, marks, now=now)
    for one in moved:
        _log_set_aside(one, stood[one.schedule])


def _moves(decision: Decision, schedule: Schedule) -> bool:
    return schedule.planned_at is None or (
        (decision.fired_until or schedule.fired_until, decision.next_fire_at, decision.error)
        != (schedule.fired_until, schedule.next_fire_at, schedule.error)
    )


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


def _log_set_aside(decision: Decision, schedule: Schedule) -> None:
    if decision.error is not None and decision.error != schedule.error:
        log.error("schedule_set_aside", schedule=schedule.name, error=decision.error)
    elif decision.error is None and schedule.error is not None:
        log.info("schedule_mended", schedule=schedule.name)
