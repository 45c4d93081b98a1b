"""A schedule's row and what is known around it become its runs and its new mark."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from scheduler.domain.batch import (
    Asked,
    DueTime,
    Parts,
    Readings,
    change_problem,
    find_parts,
    list_unread,
    split_run,
)
from scheduler.domain.definition import (
    Fallbacks,
    check_definition,
    check_named,
    duration_of,
    misfire_grace_of,
    timetable_of,
)
from scheduler.domain.errors import InputsError, InvalidInput, SchedulerError
from scheduler.domain.firing import PROMPT, Owed, Plan, Timetable, plan_firing
from scheduler.domain.follow_up import Ended, FollowUp
from scheduler.domain.new_run import Occurrence, scheduled_run
from scheduler.domain.overlap import Standing, Unfinished, stand
from scheduler.domain.pauses import Freeze, stop_at
from scheduler.domain.records import (
    Batch,
    Calendar,
    Collector,
    NewRun,
    QueueOrder,
    Reason,
    RunState,
    Schedule,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """
    What deciding rests on besides the rows, read in one transaction.

    *sent* is how many inputs a batch had when it was last sent, where `max_change_percent`
    asks; *made* counts the runs of schedules that have `max_runs`; *after* has the schedules
    that others come after, each with the one before it.
    """

    now: datetime
    accounts: Collection[str]
    after: Mapping[str, str | None]
    calendars: Mapping[str, Calendar]
    orders: Mapping[str, QueueOrder]
    freezes: Sequence[Freeze]
    readings: Readings
    sent: Mapping[str, int]
    unfinished: Mapping[str, Sequence[Unfinished]]
    ends: Mapping[str, Sequence[Ended]]
    made: Mapping[str, int]
    fallbacks: Fallbacks
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What becomes of a schedule: its runs, its mark, or the *error* for which it is set aside.

    *supersedes* are waiting runs to skip, *cancels* collections to cancel, for its new runs.
    """

    schedule: str
    fired_until: datetime | None = None
    next_fire_at: datetime | None = None
    error: str | None = None
    runs: list[NewRun] = field(default_factory=list)
    supersedes: list[int] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)


def decide(
    schedule: Schedule, collector: Collector | None, batch: Batch | None, known: Known
) -> Decision | list[Asked]:
    """Decide what the schedule owes; or return what must be read before that."""
    try:
        collector, batch = check_definition(schedule, collector, batch)
        check_named(schedule, collector, accounts=known.accounts, after=known.after)
        _check_inputs(schedule, batch, known)
        timetable = _timetable(schedule, known)
        plan = _plan(schedule, timetable, known)
    except InvalidInput as error:
        # What it owes is kept for when it is mended.
        return Decision(
            schedule=schedule.name, next_fire_at=schedule.next_fire_at, error=str(error)
        )
    plan = _within_max_runs(schedule, plan, known)
    occurrences = _occurrences(schedule, timetable, plan, known)
    due = [_due_time(schedule, one) for one in occurrences if one.fate is Reason.DUE]
    if unread := list_unread(known.readings, batch.name, due):
        return unread
    decision = Decision(
        schedule=schedule.name, fired_until=plan.fired_until, next_fire_at=plan.next_fire_at
    )
    for occurrence in occurrences:
        parts = _parts_of(batch, _due_time(schedule, occurrence), known)
        if occurrence.fate is Reason.DUE and isinstance(parts, SchedulerError):
            occurrence = occurrence.with_fate(Reason.BAD_INPUTS, str(parts))
        sent = parts if isinstance(parts, tuple) else ()
        _add(decision, schedule, collector, batch, occurrence, sent, known)
    return decision


def asks_for_check(schedule: Schedule) -> bool:
    """Tell whether its row, or one that it names, was edited since it was decided, or is wrong."""
    return schedule.planned_at is None or schedule.error is not None


def _check_inputs(schedule: Schedule, batch: Batch, known: Known) -> None:
    """Raise InvalidInput for inputs that are wrong in the batch's own row: no file is read."""
    if batch.file is None and asks_for_check(schedule):
        reading = known.readings.get(Asked(batch.name))
        if isinstance(reading, SchedulerError):
            raise InvalidInput(str(reading))


def _timetable(schedule: Schedule, known: Known) -> Timetable:
    timetable = timetable_of(schedule, known.calendars)
    if schedule.after is not None:
        return FollowUp(known.ends.get(schedule.name, ()))
    return timetable


def _plan(schedule: Schedule, timetable: Timetable, known: Known) -> Plan:
    return plan_firing(
        timetable,
        fired_until=_decided_until(schedule),
        now=known.now,
        misfire_grace=misfire_grace_of(schedule),
        catch_up=schedule.catch_up,
        window=duration_of("catch_up_window", schedule.catch_up_window),
        keep=schedule.catch_up_max,
        also=_owed_before_the_edit(schedule),
        most=known.most,
    )


def _decided_until(schedule: Schedule) -> datetime:
    """Return the moment after which this timetable counts: a new or edited one, from then on."""
    marks = (schedule.created_at, schedule.edited_at, schedule.fired_until)
    return max(mark for mark in marks if mark is not None)


def _owed_before_the_edit(schedule: Schedule) -> datetime | None:
    """Return what the timetable before the edit still owed when it was edited: nothing is lost."""
    if schedule.edited_at is None or not asks_for_check(schedule):
        return None
    owed = schedule.next_fire_at
    if owed is None or owed > schedule.edited_at:
        return None
    return owed if schedule.fired_until is None or owed > schedule.fired_until else None


def _within_max_runs(schedule: Schedule, plan: Plan, known: Known) -> Plan:
    """Cut what comes after the last run that the schedule may make: it is no occurrence."""
    if schedule.max_runs is None:
        return plan
    left = schedule.max_runs - known.made.get(schedule.name, 0)
    kept: list[Owed] = []
    for owed in plan.owed:
        if left <= 0:
            break
        kept.append(owed)
        left -= owed.fate is Reason.DUE
    return Plan(
        owed=tuple(kept),
        fired_until=plan.fired_until,
        next_fire_at=plan.next_fire_at if left > 0 else None,
    )


def _occurrences(
    schedule: Schedule, timetable: Timetable, plan: Plan, known: Known
) -> list[Occurrence]:
    pace = duration_of("catch_up_pace", schedule.catch_up_pace)
    late = 0
    occurrences = []
    for owed in plan.owed:
        fate, detail = _fate(schedule, timetable, owed, known)
        not_before = owed.due_at + timetable.delay(owed.due_at)
        if pace is not None and fate is Reason.DUE and known.now - not_before > PROMPT:
            # What is caught up with goes out at its pace, not all at once.
            not_before = known.now + late * pace
            late += 1
        occurrences.append(
            Occurrence(due_at=owed.due_at, fate=fate, not_before=not_before, detail=detail)
        )
    return occurrences


def _fate(
    schedule: Schedule, timetable: Timetable, owed: Owed, known: Known
) -> tuple[Reason, str | None]:
    stop = stop_at(owed.due_at, schedule, known.freezes)
    if stop is not None:
        return stop.reason, stop.detail
    if isinstance(timetable, FollowUp):
        end = timetable.at(owed.due_at)
        if not end.satisfies(schedule.after_when):
            detail = f"run {end.run_id} of {schedule.after} ended {end.state}"
            return Reason.PREDECESSOR_FAILED, detail
    return owed.fate, None


def _due_time(schedule: Schedule, occurrence: Occurrence) -> DueTime:
    return DueTime(occurrence.due_at, schedule.timezone)


def _parts_of(batch: Batch, due: DueTime, known: Known) -> Parts | SchedulerError | None:
    """Return what the batch came to, or why it is not sent; None when it was not read."""
    parts = find_parts(known.readings, batch.name, due)
    if not isinstance(parts, tuple):
        return parts
    count = sum(part.row_count for part in parts)
    problem = change_problem(batch, count, known.sent.get(batch.name))
    return parts if problem is None else InputsError(problem)


def _add(
    decision: Decision,
    schedule: Schedule,
    collector: Collector,
    batch: Batch,
    occurrence: Occurrence,
    parts: Parts,
    known: Known,
) -> None:
    """Add the runs of *occurrence*, one for each of *parts*, as they stand to those before."""
    unfinished = [*known.unfinished.get(schedule.name, ())]
    standing = _FREE
    if occurrence.fate is Reason.DUE:
        ahead = [_PLANNED for run in decision.runs if run.state is RunState.QUEUED]
        standing = stand(schedule.overlap, [*unfinished, *ahead])
    if not standing.is_sent:
        occurrence = occurrence.with_fate(
            Reason.OVERLAPPED, "an earlier run of the schedule has not ended"
        )
    run = scheduled_run(
        schedule,
        collector,
        batch,
        occurrence,
        body=None,  # each part brings its own
        order=known.orders.get(schedule.queue or "", QueueOrder.STRICT),
        fallbacks=known.fallbacks,
        now=known.now,
    )
    if run.state is RunState.QUEUED and standing != _FREE:
        run = run.standing(standing.waits_for, replaces=standing.replaces)
        if standing.supersedes:
            _supersede(decision, standing.supersedes, known.now)
        if standing.replaces:
            decision.cancels.extend(
                one.collection_id
                for one in unfinished
                # Not only the last: those before it may be parts of the same occurrence.
                if one.collection_id is not None
            )
    decision.runs.extend(split_run(run, parts))


_FREE = Standing()

# Stands for a run that this very pass writes: it waits, and has no id yet.
_PLANNED = Unfinished(0, RunState.QUEUED, None)


def _supersede(decision: Decision, waiting: Sequence[int], now: datetime) -> None:
    decision.supersedes.extend(run_id for run_id in waiting if run_id != _PLANNED.run_id)
    decision.runs[:] = [
        run.refused(Reason.SUPERSEDED, "a later occurrence took its place", now)
        if run.state is RunState.QUEUED
        else run
        for run in decision.runs
    ]
