"""Sending after the fact: runs for occurrences of the past that have none, or failed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.actions.guards import MOST_AT_ONCE, check_secrets, edited_meanwhile
from scheduler.actions.limits import within_limits
from scheduler.actions.past_pauses import Told, go_past_pauses
from scheduler.actions.run_defaults import run_defaults_of
from scheduler.config import Config
from scheduler.domain.batch import Chunk, DueTime, DueTimeNeeded, Parked, all_parked
from scheduler.domain.definition import check_definition, timetable_of
from scheduler.domain.errors import Conflict, InvalidInput, NeedsConfirmation
from scheduler.domain.new_run import Occurrence, scheduled_run
from scheduler.domain.records import Batch, Collector, NewRun, QueueOrder, Reason, Run, Schedule
from scheduler.domain.timestamps import display_time, iso_time
from scheduler.inputs import ANY_FILE, InputFiles, LeaveOut, iter_bodies
from scheduler.storage import accounts, definitions, overrides, runs, schedules
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce
from scheduler.storage.parked_inputs import parked_of
from scheduler.storage.retention import pruned_until
from scheduler.storage.runs import occurrences
from scheduler.storage.runs.canaries import let_wait
from scheduler.tools.calendar.choose_backfill import (
    Reprocess,
    ToSend,
    backfilled_runs,
    choose_backfill,
    take_occurrences,
)
from scheduler.views.decoding import view


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """
    What a person asks for: a schedule's occurrences from *start* to *end*, both included.

    *past_pauses* sends them in spite of pauses and freezes.
    """

    schedule: str
    start: datetime
    end: datetime
    reprocess: Reprocess = Reprocess.NONE
    max_concurrent: int = 1
    past_pauses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """
    What it comes to: *chosen* of *occurrences* are sent; *chunks* hold what each sends.

    *refusals* are why it cannot be written: what would not be sent, or would do harm.
    """

    ask: Ask
    schedule: Schedule
    collector: Collector
    batch: Batch
    occurrences: int
    chosen: tuple[ToSend, ...]
    chunks: Mapping[datetime, Sequence[Chunk]]
    refusals: tuple[str, ...] = ()

    @property
    def runs(self) -> int:
        """How many runs are written."""
        return sum(
            1 if to_send.as_it_was else len(self.chunks[to_send.due_at]) for to_send in self.chosen
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenView:
    """One occurrence that is sent, and the run that it retries."""

    due_at: datetime
    retry_of: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillView:
    """A backfill as it is shown; *run_ids* are those that were written."""

    schedule: str
    since: datetime
    until: datetime
    reprocess: Reprocess
    max_concurrent: int
    occurrence_count: int
    run_count: int
    chosen: tuple[ChosenView, ...]
    refusals: tuple[str, ...]
    run_ids: tuple[int, ...]


def backfill_view(backfill: Backfill, written: Sequence[int]) -> BackfillView:
    """Return what is shown of a backfill."""
    chosen = tuple(
        ChosenView(due_at=to_send.due_at, retry_of=to_send.over.id if to_send.over else None)
        for to_send in backfill.chosen
    )
    return view(
        BackfillView,
        backfill.ask,
        since=backfill.ask.start,
        until=backfill.ask.end,
        occurrence_count=backfill.occurrences,
        run_count=backfill.runs,
        chosen=chosen,
        refusals=backfill.refusals,
        run_ids=tuple(written),
    )


def prepare_backfill(
    conn: Connection, ask: Ask, *, now: datetime, files: InputFiles = ANY_FILE
) -> Backfill:
    """
    Return what *ask* comes to, with the batch as it is now; nothing is written.

    Raises NotFound, InvalidInput and InputsError.
    """
    (whole,) = overrides.apply_overrides(
        conn, [schedules.get_schedule(conn, ask.schedule)], now=now
    )
    schedule = whole.schedule
    collector, batch = check_definition(schedule, whole.collector, whole.batch)
    accounts.get_account(conn, collector.account)
    _refuse_forgotten(conn, ask)
    due = _occurrences(conn, ask, schedule, now)
    chosen = choose_backfill(due, _known(conn, ask), ask.reprocess)
    refusals = tuple(_refusals(conn, schedule, collector, chosen))
    anew = [to_send.due_at for to_send in chosen if not to_send.as_it_was]
    parked = parked_of(conn, schedule)
    return Backfill(
        ask=ask,
        schedule=schedule,
        collector=collector,
        batch=batch,
        occurrences=len(due),
        chosen=tuple(chosen),
        chunks=_read_chunks(batch, schedule, anew, files, parked) if anew else {},
        refusals=refusals,
    )


def _refuse_forgotten(conn: Connection, ask: Ask) -> None:
    until = pruned_until(conn, ask.schedule)
    if until is not None and ask.start <= until:
        raise Conflict(
            f"runs of {ask.schedule} that were due up to {display_time(until)} are forgotten"
            " ([retention]), so what of that time was sent is not known any more, and would be"
            " billed again: begin after it"
        )


def write_backfill(
    conn: Connection,
    backfill: Backfill,
    *,
    config: Config,
    by: str,
    now: datetime,
    confirmed: bool = False,
) -> list[int]:
    """
    Write the runs of *backfill* and return their ids; what got its run meanwhile is left out.

    NeedsConfirmation for very many, for what is beyond a limit or goes past a pause; Conflict
    where it has refusals, or where its batch was edited since it was prepared.

    At most *max_concurrent* occurrences are under way at once: each waits for the end of the
    one that many before it.
    """
    ask = backfill.ask
    if backfill.refusals:
        raise Conflict("; ".join(backfill.refusals))
    if backfill.runs > MOST_AT_ONCE and not confirmed:
        what = f"these are {backfill.runs} runs, more than {MOST_AT_ONCE} at once"
        raise NeedsConfirmation(what, backfill.runs)
    occurrences.hold_schedule(conn, ask.schedule)
    if definitions.get_batch(conn, backfill.batch.name) != backfill.batch:
        raise edited_meanwhile(backfill.batch.name)
    still = choose_backfill(
        [to_send.due_at for to_send in backfill.chosen], _known(conn, ask), ask.reprocess
    )
    owed = {(to_send.due_at, to_send.over.id if to_send.over else None) for to_send in still}
    groups = [
        _runs(backfill, to_send, config=config, by=by, now=now)
        for to_send in backfill.chosen
        if (to_send.due_at, to_send.over.id if to_send.over else None) in owed
    ]
    _insert_bodies(conn, backfill, now)
    new = [run for group in groups for run in group]
    new = within_limits(conn, new, now=now, confirmed=confirmed)
    told: Told = {}
    if ask.past_pauses:
        new, told = go_past_pauses(conn, new, now=now, confirmed=confirmed)
    written = occurrences.insert_backfilled(conn, ask.schedule, new, by=by)
    ids = [
        [written[key] for run in group if (key := (run.due_at, run.chunk, run.retry_of)) in written]
        for group in groups
    ]
    ids = [group for group in ids if group]
    occurrences.set_waits_for(conn, _chained(ids, ask.max_concurrent))
    let_wait(conn, new)
    count = sum(map(len, ids))
    _record(conn, ask, count, told, by, now)
    announce(conn)
    return [run_id for group in ids for run_id in group]


def backfill_counted(
    conn: Connection,
    backfill: Backfill,
    *,
    config: Config,
    by: str,
    now: datetime,
    confirmed: bool,
) -> BackfillView:
    """Do as write_backfill, and return what is shown; NeedsConfirmation while it makes any run."""
    if backfill.runs and not confirmed:
        raise NeedsConfirmation(f"these are {backfill.runs} runs", backfill.runs)
    written = write_backfill(conn, backfill, config=config, by=by, now=now, confirmed=True)
    return backfill_view(backfill, written)


def _chained(groups: Sequence[Sequence[int]], at_once: int) -> dict[int, int]:
    """Let the runs of each occurrence wait for the last one of that *at_once* before it."""
    return {
        run_id: ahead[-1]
        for ahead, group in zip(groups, groups[at_once:], strict=False)
        for run_id in group
    }


def _occurrences(conn: Connection, ask: Ask, schedule: Schedule, now: datetime) -> list[datetime]:
    if ask.end < ask.start:
        raise InvalidInput(
            f"its end {display_time(ask.end)} is before its start {display_time(ask.start)}"
        )
    if ask.end > now:
        raise InvalidInput(
            f"its end {display_time(ask.end)} is still to come: the schedule fires that by itself"
        )
    timetable = timetable_of(schedule, definitions.list_calendars(conn))
    if not timetable.triggers:
        raise InvalidInput(f"schedule {schedule.name!r} has no times of its own")
    return take_occurrences(timetable.occurrences(ask.start - timedelta.resolution, ask.end))


def _known(conn: Connection, ask: Ask) -> dict[datetime, list[Run]]:
    by_due_time: dict[datetime, list[Run]] = {}
    for run in occurrences.list_between(conn, ask.schedule, ask.start, ask.end):
        by_due_time.setdefault(run.due_at, []).append(run)
    return by_due_time


def _refusals(
    conn: Connection, schedule: Schedule, collector: Collector, chosen: Sequence[ToSend]
) -> Iterator[str]:
    """Yield why the runs would not be sent, or would keep the schedule from firing."""
    if schedule.confirm_cancel and len(chosen) > 1:
        yield (
            f"schedule {schedule.name!r} sends confirm_cancel: each run would end the one before,"
            " and only the newest would be left; backfill one occurrence at a time"
        )
    if schedule.max_runs is not None:
        left = schedule.max_runs - runs.count_made(conn, [schedule.name]).get(schedule.name, 0)
        new = sum(to_send.over is None for to_send in chosen)
        if new > left:
            yield f"{new} runs are more than the {left} that max_runs leaves"
    queues = definitions.list_queues(conn)
    queue = queues.get(schedule.queue) if schedule.queue is not None else None
    if queue is not None and queue.max_depth is not None:
        waiting = runs.count_waiting(conn, collector.account, collector.collector_id, queue.name)
        if waiting + len(chosen) > queue.max_depth:
            yield (
                f"{len(chosen)} runs are more than queue {queue.name!r} has room for:"
                f" its max_depth is {queue.max_depth}, and {waiting} wait; choose a shorter stretch"
            )


def _runs(
    backfill: Backfill, to_send: ToSend, *, config: Config, by: str, now: datetime
) -> list[NewRun]:
    base = scheduled_run(
        backfill.schedule,
        backfill.collector,
        backfill.batch,
        Occurrence(due_at=to_send.due_at, reason=Reason.DUE, not_before=now),
        body=None,
        order=QueueOrder.RELAXED,
        defaults=run_defaults_of(config),
        now=now,
    )
    check_secrets(base.query, config)
    chunks = backfill.chunks.get(to_send.due_at, ())
    return backfilled_runs(base, to_send, chunks, backfill.batch, by=by)


def _insert_bodies(conn: Connection, backfill: Backfill, now: datetime) -> None:
    bodies = {
        chunk.fingerprint: chunk.body
        for chunks in backfill.chunks.values()
        for chunk in chunks
        if chunk.body is not None
    }
    for start in range(0, len(bodies), _BODIES_AT_ONCE):
        few = list(bodies.values())[start : start + _BODIES_AT_ONCE]
        definitions.insert_bodies(conn, few, now=now)


_BODIES_AT_ONCE: Final = 500


def _record(conn: Connection, ask: Ask, count: int, told: Told, by: str, now: datetime) -> None:
    columns: Told = {
        "from": (None, iso_time(ask.start)),
        "to": (None, iso_time(ask.end)),
        "reprocess": (None, ask.reprocess.value),
        "runs": (None, count),
        **told,
    }
    record_change(conn, by, "backfill", f"schedules.{ask.schedule}", columns, now=now)


def _read_chunks(
    batch: Batch,
    schedule: Schedule,
    dues: Sequence[datetime],
    files: InputFiles,
    parked: Parked,
) -> dict[datetime, Sequence[Chunk]]:
    """Render the batch once, or once for each due time that its inputs name."""
    try:
        same = _render(batch, None, files, parked)
        if not same:
            raise Conflict(all_parked(batch.name, schedule.name))
        return dict.fromkeys(dues, same)
    except DueTimeNeeded:
        chunks: dict[datetime, Sequence[Chunk]] = {}
        byte_count = 0
        for due_at in dues:
            chunks[due_at] = _render(batch, DueTime(due_at, schedule.timezone), files, parked)
            byte_count += sum(one.body.byte_count for one in chunks[due_at] if one.body)
            if byte_count > _MOST_HELD_BYTES:
                raise InvalidInput(
                    f"batch {batch.name!r} is another one for each of these occurrences, which is"
                    " too much at once: choose a shorter stretch"
                ) from None
        return chunks


_MOST_HELD_BYTES: Final = 512 * 1024**2


def _render(batch: Batch, due: DueTime | None, files: InputFiles, parked: Parked) -> list[Chunk]:
    bodies = iter_bodies(batch, due, files=files, leave_out=LeaveOut(parked))
    return [
        Chunk(fingerprint=body.fingerprint, row_count=body.row_count, body=body) for body in bodies
    ]
