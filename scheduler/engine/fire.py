"""Due schedules become runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Self

import structlog

from scheduler.domain.batch import Asked, Reading, Readings
from scheduler.domain.definition import RunDefaults
from scheduler.domain.firing import MOST_AT_ONCE, PROMPT
from scheduler.domain.foresight import Foreseen
from scheduler.domain.other_jobs import BESIDE_NOTHING
from scheduler.domain.pauses import Freeze
from scheduler.domain.plan_schedule import Context, Decision, asks_for_check, plan_schedule
from scheduler.domain.records import Batch, CatchUp, NewRun, Reason, RunState, Schedule, StoredBody
from scheduler.engine.bodies import BatchReader
from scheduler.engine.failures import pause_failing
from scheduler.engine.fired import CarryOut, Fired, Firing, log_invalid, log_standing
from scheduler.engine.foresight import MANY, Ahead, Foresight
from scheduler.engine.on_time import LONGEST_LEAD, NotYet, OnTime
from scheduler.engine.tuning import CLAIMED_WITH_FIRING
from scheduler.storage import (
    collections_,
    definitions,
    freezes,
    other_jobs,
    overrides,
    parked_inputs,
    runs,
    schedule_claims,
    schedules,
)
from scheduler.storage.body_parts import DatabaseSpool
from scheduler.storage.database import Connection, Database
from scheduler.storage.definitions import Queue
from scheduler.storage.dialect import announce
from scheduler.storage.runs import end_queued, sent
from scheduler.storage.schedules import HighWaterMark, ScheduleWithRefs

log = structlog.get_logger()

_AT_ONCE: Final = 500
_AT_FIRST: Final = CLAIMED_WITH_FIRING
"""So many in the first pass of many: what is fired is sent while the next pass goes on."""

_PLANNED_AT_ONCE: Final = 128
_PLANNED_BESIDE: Final = 16
"""So many that are new are planned in a pass; beside what is due, so many."""

LOOK_AHEAD: Final = 2 * LONGEST_LEAD
"""So long before schedules are due it is found out which."""

_RUNS_AT_ONCE = 20_000
_INVALID_AGAIN = timedelta(seconds=5)
_SOON = timedelta(seconds=1)
"""For what is still being read, or held locked by another client."""

_MOST_READINGS = 3
"""In one pass: what is due, its due time if the batch asks for it, and an edit in between."""


@dataclass(frozen=True, slots=True)
class _Work:
    """
    Schedules to look at, when the first of them is due, and whether there may be more.

    What was decided *ahead* is only fired if it is as it was.
    """

    due: list[ScheduleWithRefs]
    is_full: bool
    due_at: datetime
    ahead: Sequence[Ahead] = ()

    def due_by(self, now: datetime) -> Self:
        """Return it without what is not due at *now*: that is found again."""
        due = [one for one in self.due if _is_due(one, now)]
        return self if len(due) == len(self.due) else replace(self, due=due)

    @property
    def foreseen(self) -> dict[str, Foreseen]:
        """Return what was decided ahead, by schedule."""
        return {one.whole.schedule.name: one.foreseen for one in self.ahead}


@dataclass(slots=True, kw_only=True)
class FireStep:
    """
    Decide every owed occurrence, write its run, and move the schedule's mark, in one transaction.

    1. Schedules are found a moment before they are due, and waited for. Where there will be many,
       they are found and decided earlier: `Foresight`.
    2. Their batches are read, outside of any transaction.
    3. One transaction locks the schedules, compares them, and decides what is owed.
    4. It writes the runs, ends what they replace, and moves the marks. Where nothing else waits
       it begins a moment before they are due, and is committed when they are: `OnTime`.
    5. What it asks for and was not read is read, and the transaction made again.

    UNIQUE (schedule, due_at, chunk) and a mark that only grows make a pass repeatable: one that
    crashed, or another daemon's, or a clock that went back writes nothing twice. What was found
    ahead is compared with its row by that transaction: until then, every edit and pause counts.
    """

    db: Database
    reader: BatchReader
    defaults: Callable[[], RunDefaults]
    carry_out: CarryOut
    on_time: OnTime
    is_free: Callable[[], bool]
    _invalid_seen: tuple[datetime, str] | None = None
    _limit: int = _AT_FIRST
    _locked: int = 0
    _ahead: _Work | None = None
    _foresight: Foresight = field(init=False)

    def __post_init__(self) -> None:
        self._foresight = Foresight(db=self.db, read=self._read, defaults=self.defaults)

    async def run(self, now: datetime) -> datetime | None:
        """Fire what is due at *now*; return when to look at what is due next."""
        work = await self._find_work(now)
        if not work.due:
            return await self._look_forward(now)
        if work.due_at > now:
            begin_at = self.on_time.begin_at(work.due_at)
            if now < begin_at or not self.is_free():
                self._ahead = work
                return begin_at if now < begin_at else work.due_at
        work = work.due_by(max(now, work.due_at))
        try:
            fired = await self._read_and_fire(work, began_at=now)
        except NotYet:
            return now
        now = max(now, work.due_at)
        if work.ahead:
            return now
        self._locked = fired.locked
        if work.is_full:
            return now
        # Asked when what was fired leaves already, not before.
        following = await self._look_forward(now, after=now if fired.locked else None)
        if fired.locked:
            return min(following or _soon(now), _soon(now))
        if following is not None and self.reader.is_busy:
            return max(following, _soon(now))
        return following

    async def _look_forward(
        self, now: datetime, *, after: datetime | None = None
    ) -> datetime | None:
        """Decide some of what will be due if that is much; return when there is more to do."""
        following, many_at = await self.db.read(
            partial(
                schedules.find_next_fires,
                after=after,
                many=MANY,
                many_after=self._foresight.looks_from(now),
            )
        )
        go_on_at = await self._foresight.go_on(now, next_due_at=following, many_at=many_at)
        moments = [moment for moment in (_wake_at(following), go_on_at) if moment is not None]
        return min(moments, default=None)

    async def _find_work(self, now: datetime) -> _Work:
        """Return what is to be looked at: what was found ahead, once that is due."""
        work, self._ahead = self._ahead, None
        if work is not None and self.on_time.begin_at(work.due_at) <= now:
            return work
        if work is not None:
            self._foresight.put_back(work.ahead)
        if ahead := self._foresight.take(now, look_ahead=LOOK_AHEAD, most=self._limit):
            self._limit = min(2 * self._limit, _AT_ONCE)
            wholes, due_at = [one.whole for one in ahead], ahead[0].foreseen.due_at
            return _Work(wholes, is_full=True, due_at=due_at, ahead=ahead)
        return await self.db.read(partial(self._list_work, now=now))

    def _list_work(self, conn: Connection, *, now: datetime) -> _Work:
        until = now + LOOK_AHEAD
        # Those that somebody holds locked shall not take up the room of the others.
        most = self._limit + self._locked
        due = schedules.list_due(conn, now=until, limit=most)
        to_plan = (_PLANNED_BESIDE if due else _PLANNED_AT_ONCE) + self._locked
        unplanned = schedules.list_unplanned(conn, limit=to_plan)
        followers = schedules.list_followers(conn, limit=most)
        is_full = max(len(due), len(followers)) == most
        self._limit = min(2 * self._limit, _AT_ONCE) if is_full else _AT_FIRST
        is_full = is_full or len(unplanned) == to_plan
        found = [*due, *unplanned, *followers, *self._list_invalid(conn, until)]
        wholes = list({whole.schedule.name: whole for whole in found}.values())
        wholes = overrides.apply_overrides(conn, wholes, now=until)
        return _Work(wholes, is_full=is_full, due_at=_due_at(wholes, now))

    def _list_invalid(self, conn: Connection, now: datetime) -> list[ScheduleWithRefs]:
        """Return, once in a while, those after the ones of last time: some may only need time."""
        seen_at, after = self._invalid_seen or (None, "")
        if seen_at is not None and now - seen_at < _INVALID_AGAIN:
            return []
        invalid = schedules.list_invalid(conn, after=after, limit=_AT_ONCE)
        last = invalid[-1].schedule.name if len(invalid) == _AT_ONCE else ""
        self._invalid_seen = (now, last)
        return invalid

    async def _read_and_fire(self, work: _Work, *, began_at: datetime) -> Fired:
        """Read what is asked for, each batch once, and decide; then for due times, if one asks."""
        due, now = work.due, max(work.due_at, began_at)
        batches = {whole.batch.name: whole.batch for whole in due if whole.batch is not None}
        readings: dict[Asked, Reading] = {}
        asked: Collection[Asked] = _asked_at_first(due, now)
        fired = Fired(runs=[], locked=0)
        for _ in range(_MOST_READINGS):
            wanted = {ask: batches[ask.batch] for ask in asked if ask.batch in batches}
            readings |= await self._read(wanted, now)
            write = partial(self._fire, work=work, read=batches, readings=readings, now=now)
            hold = partial(self.on_time.hold, work.due_at, began_at=began_at)
            firing = Firing(number=len(due), now=now, write=write, hold=hold)
            last, asked = await self.carry_out(firing)
            fired = Fired([*fired.runs, *last.runs], last.locked)
            if not asked:
                break
        return fired

    async def _read(self, wanted: Mapping[Asked, Batch], now: datetime) -> Mapping[Asked, Reading]:
        store, spool = partial(self._store, now=now), DatabaseSpool(self.db, now)
        return await self.reader.read_all(wanted, store=store, spool=spool)

    def _store(self, body: StoredBody, *, now: datetime) -> None:
        """Keep a body before its run is written: many such would not fit into memory."""
        with self.db.writing() as conn:
            definitions.insert_bodies(conn, [body], now=now)

    def _fire(
        self,
        conn: Connection,
        *,
        work: _Work,
        read: dict[str, Batch],
        readings: dict[Asked, Reading],
        now: datetime,
    ) -> tuple[Fired, list[Asked]]:
        """Decide what can be held of *work*; return what is to be read for more, too."""
        found = {whole.schedule.name: whole for whole in work.due}
        held = schedule_claims.claim(conn, list(found), found, only_same=bool(work.ahead))
        claimed = held.wholes
        if held.has_overrides:
            claimed = overrides.apply_overrides(conn, claimed, now=now)
        _forget_edited(claimed, read, readings)
        # Many schedules name neither a queue nor a calendar: each question costs a lone one time.
        has_queues = any(whole.schedule.queue is not None for whole in claimed)
        queues = definitions.list_queues(conn) if has_queues else {}
        stops = freezes.list_freezes(conn) if held.has_freezes else []
        context = self._context(conn, claimed, queues, stops, readings, now)
        foreseen = work.foreseen
        answers = [_decide(whole, foreseen.get(whole.schedule.name), context) for whole in claimed]
        decisions = [answer for answer in answers if isinstance(answer, Decision)]
        unread = [
            asked for answer in answers if not isinstance(answer, Decision) for asked in answer
        ]
        fired = [run for decision in decisions for run in decision.runs]
        fired = _refuse_beyond_depth(conn, fired, queues, now)
        _carry_out(conn, decisions, now)
        _coalesce(conn, [one for one in claimed if one.schedule.name in held.waiting], fired, now)
        fired = _insert(conn, fired, readings, now)
        _record_marks(conn, claimed, decisions, now)
        failed = {run.schedule for run in fired if run.state is RunState.FAILED}
        pause_failing(conn, failed, now=now)
        return Fired(fired, locked=len(found) - len(claimed)), unread

    def _context(
        self,
        conn: Connection,
        wholes: Sequence[ScheduleWithRefs],
        queues: Mapping[str, Queue],
        stops: Sequence[Freeze],
        readings: Readings,
        now: datetime,
    ) -> Context:
        claimed = [whole.schedule for whole in wholes]
        has_calendars = any(schedule.exclude is not None for schedule in claimed)
        beside_nothing = [whole for whole in wholes if whole.schedule.overlap in BESIDE_NOTHING]
        return Context(
            now=now,
            accounts=frozenset(whole.account for whole in wholes if whole.account is not None),
            after=schedules.list_before(
                conn, {schedule.after for schedule in claimed if schedule.after is not None}
            ),
            calendars=definitions.list_calendars(conn) if has_calendars else {},
            orders={name: queue.queue_order for name, queue in queues.items()},
            freezes=stops,
            readings=readings,
            sent=sent.count_last_sent(conn, _guarded(wholes)),
            unfinished=runs.list_unfinished(
                conn, [whole.schedule.name for whole in beside_nothing]
            ),
            others=_list_others(conn, beside_nothing, now),
            parked=parked_inputs.read_digests(
                conn, [schedule.name for schedule in claimed if schedule.park_after is not None]
            ),
            good=sent.list_last_good(
                conn, [schedule.name for schedule in claimed if schedule.only_if_changed]
            ),
            ends=schedules.list_ends(
                conn, [schedule for schedule in claimed if schedule.after is not None]
            ),
            made=runs.count_made(
                conn, [schedule.name for schedule in claimed if schedule.max_runs is not None]
            ),
            defaults=self.defaults(),
            limit=min(MOST_AT_ONCE, max(1, _RUNS_AT_ONCE // max(1, len(claimed)))),
        )


def _soon(now: datetime) -> datetime:
    return now + _SOON


def _wake_at(due_at: datetime | None) -> datetime | None:
    return None if due_at is None else due_at - LOOK_AHEAD


def _due_at(due: Sequence[ScheduleWithRefs], now: datetime) -> datetime:
    """Return when the first of *due* is due; *now* if one is here for another reason."""
    moments = [_next_moment(whole.schedule) or now for whole in due]
    return min(moments, default=now)


def _is_due(whole: ScheduleWithRefs, now: datetime) -> bool:
    moment = _next_moment(whole.schedule)
    return moment is None or moment <= now


def _next_moment(schedule: Schedule) -> datetime | None:
    """Return when it is due; None if it is here for another reason."""
    return None if asks_for_check(schedule) else schedule.next_fire_at


def _list_others(
    conn: Connection, wholes: Sequence[ScheduleWithRefs], now: datetime
) -> dict[tuple[str, str], list[str]]:
    """Return what others run on the collectors of these, the longest running first."""
    ids = {whole.collector.collector_id for whole in wholes if whole.collector is not None}
    others: dict[tuple[str, str], list[str]] = {}
    for job in other_jobs.list_counted(conn, ids, now=now):
        others.setdefault((job.account, job.collector_id), []).append(job.id)
    return others


def _decide(
    whole: ScheduleWithRefs, foreseen: Foreseen | None, context: Context
) -> Decision | list[Asked]:
    """Decide one schedule; whatever is wrong with it, the others go on."""
    schedule = whole.schedule
    is_overridden = not whole.as_text
    if foreseen is not None and not is_overridden and (decided := foreseen.at(context)):
        return decided
    try:
        return plan_schedule(schedule, whole.collector, whole.batch, context)
    except Exception as error:
        text = f"cannot be decided: {type(error).__name__}: {error}: mend its row, or see the log"
        if text != schedule.error:
            log.exception("schedule_not_decided", schedule=schedule.name)
        return Decision(schedule=schedule.name, next_fire_at=schedule.next_fire_at, error=text)


def _asked_at_first(due: Sequence[ScheduleWithRefs], now: datetime) -> set[Asked]:
    """Return what is surely needed: batches that are due, and to be checked without a file."""
    return {
        Asked(whole.batch.name)
        for whole in due
        if whole.batch is not None
        and (
            (_may_owe(whole.schedule, now) and whole.schedule.park_after is None)
            or (whole.batch.file is None and asks_for_check(whole.schedule))
        )
    }


def _forget_edited(
    claimed: Sequence[ScheduleWithRefs], read: dict[str, Batch], readings: dict[Asked, Reading]
) -> None:
    """Forget what was *read* of batches that were edited since, so that it is asked for anew."""
    now_named = {whole.batch.name: whole.batch for whole in claimed if whole.batch is not None}
    edited = {name for name, batch in now_named.items() if read.get(name) != batch}
    for asked in [asked for asked in readings if asked.batch in edited]:
        del readings[asked]
    read |= now_named


def _guarded(claimed: Sequence[ScheduleWithRefs]) -> set[str]:
    batches = (whole.batch for whole in claimed if whole.batch is not None)
    return {batch.name for batch in batches if batch.max_change_percent is not None}


def _may_owe(schedule: Schedule, now: datetime) -> bool:
    is_due = schedule.next_fire_at is not None and schedule.next_fire_at <= now
    return schedule.after is not None or (is_due and schedule.error is None)


def _carry_out(conn: Connection, decisions: Sequence[Decision], now: datetime) -> None:
    """Let waiting runs and running collections give way to those that replace them."""
    superseded = [run_id for decision in decisions for run_id in decision.supersedes]
    end_queued.supersede(conn, superseded, now=now)
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
    conn: Connection, claimed: Sequence[ScheduleWithRefs], fired: Sequence[NewRun], now: datetime
) -> None:
    """Let what still waits to be sent give way to the newer occurrence, as `catch_up` says."""
    newly_due = {run.schedule for run in fired if run.state is RunState.QUEUED}
    for catch_up, reason in ((CatchUp.LATEST, Reason.COALESCED), (CatchUp.NONE, Reason.MISSED)):
        names = [
            whole.schedule.name
            for whole in claimed
            if whole.schedule.catch_up is catch_up and whole.schedule.name in newly_due
        ]
        if names:
            end_queued.coalesce_waiting(
                conn, names, due_before=now - PROMPT, reason=reason, now=now
            )


def _insert(
    conn: Connection, fired: Sequence[NewRun], readings: Readings, now: datetime
) -> list[NewRun]:
    """Write the runs that are not there yet, and return them."""
    used = {run.body for run in fired if run.body is not None}
    chunks = [chunk for read in readings.values() if isinstance(read, tuple) for chunk in read]
    read = {chunk.fingerprint: chunk.body for chunk in chunks if chunk.body is not None}
    definitions.insert_bodies(conn, [read[name] for name in used & read.keys()], now=now)
    written = runs.insert_runs(conn, fired)
    log_standing(fired, written)
    if sum(run.state is RunState.QUEUED for run in written) > 1:
        announce(conn)  # a single one is sent from here: the others need not wake up for it
    return written


def _record_marks(
    conn: Connection,
    claimed: Sequence[ScheduleWithRefs],
    decisions: Sequence[Decision],
    now: datetime,
) -> None:
    stood = {whole.schedule.name: whole.schedule for whole in claimed}
    moved = [decision for decision in decisions if _moves(decision, stood[decision.schedule])]
    marks = [
        HighWaterMark(
            schedule=decision.schedule,
            fired_until=decision.fired_until,
            next_fire_at=decision.next_fire_at,
            error=decision.error,
        )
        for decision in moved
    ]
    schedules.record_marks(conn, marks, now=now)
    for decision in moved:
        log_invalid(decision, stood[decision.schedule])


def _moves(decision: Decision, schedule: Schedule) -> bool:
    return schedule.planned_at is None or (
        (decision.fired_until or schedule.fired_until, decision.next_fire_at, decision.error)
        != (schedule.fired_until, schedule.next_fire_at, schedule.error)
    )
