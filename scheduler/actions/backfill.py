"""Sending after the fact: runs for occurrences of the past that have none, or failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.backfill import (
    ToSend,
    backfilled_runs,
    choose_backfill,
    take_occurrences,
)
from scheduler.domain.batch import DueTime, DueTimeNeeded, Part
from scheduler.domain.definition import Fallbacks, check_definition, timetable_of
from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.moments import moment_iso, moment_text
from scheduler.domain.new_run import Occurrence, scheduled_run
from scheduler.domain.records import (
    Batch,
    Collector,
    NewRun,
    QueueOrder,
    Reason,
    Run,
    Schedule,
)
from scheduler.domain.reprocess import Reprocess
from scheduler.inputs import iter_bodies
from scheduler.storage import (
    accounts,
    audit,
    definitions,
    occurrences,
    overrides,
    runs,
    schedules,
)
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a person asks for: a schedule's occurrences from *start* to *end*, both included."""

    schedule: str
    start: datetime
    end: datetime
    reprocess: Reprocess = Reprocess.NONE
    max_concurrent: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """What it comes to: *chosen* of *occurrences* are sent; *parts* hold what each sends."""

    ask: Ask
    schedule: Schedule
    collector: Collector
    batch: Batch
    occurrences: int
    chosen: tuple[ToSend, ...]
    parts: Mapping[datetime, Sequence[Part]]

    @property
    def runs(self) -> int:
        """How many runs are written."""
        return sum(1 if one.as_it_was else len(self.parts[one.due_at]) for one in self.chosen)


def prepare_backfill(conn: Connection, ask: Ask, *, now: datetime) -> Backfill:
    """
    Return what *ask* comes to, with the batch as it is now; nothing is written.

    Raises NotFound, InvalidInput, InputsError, and Conflict where it would do harm.
    """
    (whole,) = overrides.lay_over(conn, [schedules.get_schedule(conn, ask.schedule)], now=now)
    schedule = whole.schedule
    collector, batch = check_definition(schedule, whole.collector, whole.batch)
    accounts.get_account(conn, collector.account)
    due = _occurrences(conn, ask, schedule, now)
    chosen = choose_backfill(due, _known(conn, ask), ask.reprocess)
    _check_room(conn, schedule, collector, chosen)
    anew = [one.due_at for one in chosen if not one.as_it_was]
    return Backfill(
        ask=ask,
        schedule=schedule,
        collector=collector,
        batch=batch,
        occurrences=len(due),
        chosen=tuple(chosen),
        parts=_read_parts(batch, schedule, anew) if anew else {},
    )


def write_backfill(
    conn: Connection, backfill: Backfill, *, fallbacks: Fallbacks, by: str, now: datetime
) -> list[int]:
    """
    Write the runs of *backfill* and return their ids; what got its run meanwhile is left out.

    At most *max_concurrent* occurrences are under way at once: each waits for the end of the
    one that many before it.
    """
    ask = backfill.ask
    occurrences.hold_schedule(conn, ask.schedule)
    still = choose_backfill(
        [one.due_at for one in backfill.chosen], _known(conn, ask), ask.reprocess
    )
    owed = {(one.due_at, one.over.id if one.over else None) for one in still}
    groups = [
        _runs(backfill, one, fallbacks=fallbacks, by=by, now=now)
        for one in backfill.chosen
        if (one.due_at, one.over.id if one.over else None) in owed
    ]
    _insert_bodies(conn, backfill, now)
    new = [run for group in groups for run in group]
    written = occurrences.insert_backfilled(conn, ask.schedule, new)
    ids = [
        [written[key] for run in group if (key := (run.due_at, run.part, run.retry_of)) in written]
        for group in groups
    ]
    ids = [group for group in ids if group]
    occurrences.set_waits_for(conn, _chained(ids, ask.max_concurrent))
    count = sum(map(len, ids))
    _record(conn, ask, count, by, now)
    announce(conn)
    return [run_id for group in ids for run_id in group]


def _chained(groups: Sequence[Sequence[int]], at_once: int) -> dict[int, int]:
    """Let the runs of each occurrence wait for the last one of that *at_once* before it."""
    return {
        run_id: ahead[-1]
        for ahead, group in zip(groups, groups[at_once:], strict=False)
        for run_id in group
    }


def _occurrences(conn: Connection, ask: Ask, schedule: Schedule, now: datetime) -> list[datetime]:
    if ask.end < ask.start:
        raise InvalidInput(f"--to {moment_text(ask.end)} is before --from {moment_text(ask.start)}")
    if ask.end > now:
        raise InvalidInput(
            f"--to {moment_text(ask.end)} is still to come: the schedule fires that by itself"
        )
    timetable = timetable_of(schedule, definitions.list_calendars(conn))
    if not timetable.triggers:
        raise InvalidInput(f"schedule {schedule.name!r} has no times of its own")
    return take_occurrences(timetable.occurrences(ask.start - timedelta.resolution, ask.end))


def _known(conn: Connection, ask: Ask) -> dict[datetime, list[Run]]:
    known: dict[datetime, list[Run]] = {}
    for run in occurrences.list_between(conn, ask.schedule, ask.start, ask.end):
        known.setdefault(run.due_at, []).append(run)
    return known


def _check_room(
    conn: Connection, schedule: Schedule, collector: Collector, chosen: Sequence[ToSend]
) -> None:
    """Raise Conflict where the runs would not be sent, or keep the schedule from firing."""
    if schedule.confirm_cancel and len(chosen) > 1:
        raise Conflict(
            f"schedule {schedule.name!r} sends confirm_cancel: each run would end the one before,"
            " and only the newest would be left; backfill one occurrence at a time"
        )
    if schedule.max_runs is not None:
        left = schedule.max_runs - runs.count_made(conn, [schedule.name]).get(schedule.name, 0)
        new = sum(one.over is None for one in chosen)
        if new > left:
            raise Conflict(f"{new} runs are more than the {left} that max_runs leaves")
    known = definitions.list_queues(conn)
    queue = known.get(schedule.queue) if schedule.queue is not None else None
    if queue is not None and queue.max_depth is not None:
        waiting = runs.count_waiting(conn, collector.account, collector.collector_id, queue.name)
        if waiting + len(chosen) > queue.max_depth:
            raise Conflict(
                f"{len(chosen)} runs are more than queue {queue.name!r} has room for:"
                f" its max_depth is {queue.max_depth}, and {waiting} wait; choose a shorter stretch"
            )


def _runs(
    backfill: Backfill, one: ToSend, *, fallbacks: Fallbacks, by: str, now: datetime
) -> list[NewRun]:
    base = scheduled_run(
        backfill.schedule,
        backfill.collector,
        backfill.batch,
        Occurrence(due_at=one.due_at, fate=Reason.DUE, not_before=now),
        body=None,
        order=QueueOrder.RELAXED,
        fallbacks=fallbacks,
        now=now,
    )
    return backfilled_runs(base, one, backfill.parts.get(one.due_at, ()), by=by)


def _insert_bodies(conn: Connection, backfill: Backfill, now: datetime) -> None:
    bodies = {
        part.fingerprint: part.body
        for parts in backfill.parts.values()
        for part in parts
        if part.body is not None
    }
    for start in range(0, len(bodies), _BODIES_AT_ONCE):
        few = list(bodies.values())[start : start + _BODIES_AT_ONCE]
        definitions.insert_bodies(conn, few, now=now)


_BODIES_AT_ONCE: Final = 500


def _record(conn: Connection, ask: Ask, count: int, by: str, now: datetime) -> None:
    columns = {
        "from": (None, moment_iso(ask.start)),
        "to": (None, moment_iso(ask.end)),
        "reprocess": (None, ask.reprocess.value),
        "runs": (None, count),
    }
    audit.record_change(
        conn,
        who=by,
        action="backfill",
        subject=f"schedules.{ask.schedule}",
        columns=columns,
        now=now,
    )


def _read_parts(
    batch: Batch, schedule: Schedule, due_times: Sequence[datetime]
) -> dict[datetime, Sequence[Part]]:
    """Render the batch once, or once for each due time that its inputs name."""
    try:
        same = _render(batch, None)
        return dict.fromkeys(due_times, same)
    except DueTimeNeeded:
        parts: dict[datetime, Sequence[Part]] = {}
        held = 0
        for due_at in due_times:
            parts[due_at] = _render(batch, DueTime(due_at, schedule.timezone))
            held += sum(part.body.byte_count for part in parts[due_at] if part.body is not None)
            if held > _MOST_HELD_BYTES:
                raise InvalidInput(
                    f"batch {batch.name!r} is another one for each of these occurrences, which is"
                    " too much at once: choose a shorter stretch"
                ) from None
        return parts


_MOST_HELD_BYTES: Final = 512 * 1024**2


def _render(batch: Batch, due: DueTime | None) -> list[Part]:
    bodies = iter_bodies(batch, due)
    return [Part(fingerprint=one.fingerprint, row_count=one.row_count, body=one) for one in bodies]
