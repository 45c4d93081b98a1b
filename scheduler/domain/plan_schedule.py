"""A schedule's row and its context become its runs and its new mark."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from scheduler.domain.batch import (
    Asked,
    Chunks,
    DueTime,
    Parked,
    Readings,
    change_problem,
    find_chunks,
    list_unread,
    split_run,
)
from scheduler.domain.definition import (
    RunDefaults,
    check_definition,
    check_named,
    duration_of,
    misfire_grace_of,
    timetable_of,
)
from scheduler.domain.errors import InputsError, InvalidInput, SchedulerError
from scheduler.domain.finish import finish_by
from scheduler.domain.firing import PROMPT, DueOccurrence, Plan, PlannableTimetable, plan_firing
from scheduler.domain.follow_up import EndedRun, FollowUp
from scheduler.domain.gap import Lateness, PassedOver, gap_text, pass_over
from scheduler.domain.in_vain import LastGood, why_in_vain
from scheduler.domain.new_run import Occurrence, scheduled_run
from scheduler.domain.other_jobs import name_others
from scheduler.domain.overlap import UNENDED, OverlapDecision, Unfinished, decide_overlap
from scheduler.domain.pauses import Freeze, stop_at, stops_change_at
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
from scheduler.domain.timetable import Timetable


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """
    What deciding rests on besides the rows, read in one transaction.

    *sent* is how many inputs a batch had when it was last sent, where `max_change_percent`
    asks; *made* counts the runs of schedules that have `max_runs`; *after* has the schedules
    that others come after, each with the one before it. *others* are jobs that run and that no run
    has, by account and collector, where that matters; *good* is what last succeeded, where
    `only_if_changed` asks, *parked* what is left out, where `park_after` does.
    """

    now: datetime
    accounts: Collection[str]
    readings: Readings
    defaults: RunDefaults
    limit: int
    after: Mapping[str, str | None] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    orders: Mapping[str, QueueOrder] = field(default_factory=dict)
    freezes: Sequence[Freeze] = ()
    sent: Mapping[str, int] = field(default_factory=dict)
    unfinished: Mapping[str, Sequence[Unfinished]] = field(default_factory=dict)
    others: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    ends: Mapping[str, Sequence[EndedRun]] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    good: Mapping[str, LastGood] = field(default_factory=dict)
    parked: Mapping[str, Parked] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What becomes of a schedule: its runs, its mark, or the *error* for which it is invalid.

    *supersedes* are waiting runs to skip, *cancels* collections to cancel, for its new runs.
    """

    schedule: str
    fired_until: datetime | None = None
    next_fire_at: datetime | None = None
    error: str | None = None
    runs: list[NewRun] = field(default_factory=list)
    supersedes: list[int] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)


def plan_schedule(
    schedule: Schedule, collector: Collector | None, batch: Batch | None, context: Context
) -> Decision | list[Asked]:
    """Decide what the schedule owes; or return what must be read before that."""
    try:
        collector, batch = check_definition(schedule, collector, batch)
        check_named(schedule, collector, accounts=context.accounts, after=context.after)
        _check_inputs(schedule, batch, context)
        timetable = _timetable(schedule, context)
        plan = _plan(schedule, timetable, context)
    except InvalidInput as error:
        # What it owes is kept for when it is mended.
        return Decision(
            schedule=schedule.name, next_fire_at=schedule.next_fire_at, error=str(error)
        )
    plan = _within_max_runs(schedule, plan, context)
    occurrences = _occurrences(schedule, timetable, plan, context)
    due = [
        _due_time(schedule, occurrence)
        for occurrence in occurrences
        if occurrence.reason is Reason.DUE
    ]
    parked = context.parked.get(schedule.name, frozenset())
    if unread := list_unread(context.readings, batch.name, due, parked):
        return unread
    decision = Decision(
        schedule=schedule.name, fired_until=plan.fired_until, next_fire_at=plan.next_fire_at
    )
    for occurrence in occurrences:
        chunks = _chunks_of(batch, _due_time(schedule, occurrence), parked, context)
        if occurrence.reason is Reason.DUE and isinstance(chunks, SchedulerError):
            occurrence = occurrence.with_reason(Reason.BAD_INPUTS, str(chunks))
        sent = chunks if isinstance(chunks, tuple) else ()
        if occurrence.reason is Reason.DUE:
            occurrence = _worth_it(schedule, collector, occurrence, sent, context)
        _add(decision, schedule, collector, batch, occurrence, sent, context)
    return decision


def asks_for_check(schedule: Schedule) -> bool:
    """Tell whether its row, or one that it names, was edited since it was decided, or is wrong."""
    return schedule.planned_at is None or schedule.error is not None


def _check_inputs(schedule: Schedule, batch: Batch, context: Context) -> None:
    """Raise InvalidInput for inputs that are wrong in the batch's own row: no file is read."""
    if batch.file is None and asks_for_check(schedule):
        reading = context.readings.get(Asked(batch.name))
        if isinstance(reading, SchedulerError):
            raise InvalidInput(str(reading))


def _timetable(schedule: Schedule, context: Context) -> PlannableTimetable:
    timetable = timetable_of(schedule, context.calendars)
    if schedule.after is not None:
        return FollowUp(context.ends.get(schedule.name, ()))
    return timetable


def _plan(schedule: Schedule, timetable: PlannableTimetable, context: Context) -> Plan:
    window = duration_of("catch_up_window", schedule.catch_up_window)
    grace = misfire_grace_of(schedule)
    leftover = _owed_before_the_edit(schedule)
    passed = PassedOver([], _decided_until(schedule))
    if isinstance(timetable, Timetable) and leftover is None and _is_late(schedule, context.now):
        rules = Lateness(
            now=context.now,
            late_until=window or grace,
            catch_up=schedule.catch_up,
            catch_up_limit=schedule.catch_up_max,
            limit=context.limit,
        )
        passed = pass_over(
            timetable, passed.mark, rules, stops_change_at(schedule, context.freezes)
        )
    if passed.goes_on_at is not None:
        return Plan(
            owed=tuple(passed.owed), fired_until=passed.mark, next_fire_at=passed.goes_on_at
        )
    plan = plan_firing(
        timetable,
        fired_until=passed.mark,
        now=context.now,
        misfire_grace=grace,
        catch_up=schedule.catch_up,
        window=window,
        catch_up_limit=schedule.catch_up_max,
        leftover=leftover,
        # What comes after it may be a gap: the next pass decides that.
        limit=context.limit if leftover is None else 1,
    )
    return replace(plan, owed=(*passed.owed, *plan.owed))


def _is_late(schedule: Schedule, now: datetime) -> bool:
    # One that was never planned may be due since it was made: a clock that was behind was set.
    return now - (schedule.next_fire_at or _decided_until(schedule)) > PROMPT


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


def _within_max_runs(schedule: Schedule, plan: Plan, context: Context) -> Plan:
    """Cut what comes after the last run that the schedule may make: it is no occurrence."""
    if schedule.max_runs is None:
        return plan
    left = schedule.max_runs - context.made.get(schedule.name, 0)
    kept: list[DueOccurrence] = []
    for owed in plan.owed:
        if left <= 0:
            break
        kept.append(owed)
        left -= owed.reason is Reason.DUE
    return Plan(
        owed=tuple(kept),
        fired_until=plan.fired_until,
        next_fire_at=plan.next_fire_at if left > 0 else None,
    )


def _occurrences(
    schedule: Schedule, timetable: PlannableTimetable, plan: Plan, context: Context
) -> list[Occurrence]:
    pace = duration_of("catch_up_pace", schedule.catch_up_pace)
    late = 0
    occurrences = []
    for owed in plan.owed:
        reason, detail = _reason(schedule, timetable, owed, context)
        not_before = owed.due_at + timetable.delay(owed.due_at)
        if pace is not None and reason is Reason.DUE and context.now - not_before > PROMPT:
            # What is caught up with goes out at its pace, not all at once.
            not_before = context.now + late * pace
            late += 1
        occurrences.append(
            Occurrence(
                due_at=owed.due_at,
                reason=reason,
                not_before=not_before,
                detail=_detail(owed, detail),
                due_until=owed.until,
                count=owed.count,
            )
        )
    return occurrences


def _detail(owed: DueOccurrence, detail: str | None) -> str | None:
    if owed.until is None:
        return detail
    return gap_text(owed.due_at, owed.until, owed.count) + (f"; {detail}" if detail else "")


def _reason(
    schedule: Schedule, timetable: PlannableTimetable, owed: DueOccurrence, context: Context
) -> tuple[Reason, str | None]:
    stop = stop_at(owed.due_at, schedule, context.freezes)
    if stop is not None:
        return stop.reason, stop.detail
    if isinstance(timetable, FollowUp):
        end = timetable.at(owed.due_at)
        if not end.satisfies(schedule.after_when):
            detail = f"run {end.run_id} of {schedule.after} ended {end.state}"
            return Reason.PREDECESSOR_FAILED, detail
    return owed.reason, None


def _due_time(schedule: Schedule, occurrence: Occurrence) -> DueTime:
    return DueTime(occurrence.due_at, schedule.timezone)


def _worth_it(
    schedule: Schedule,
    collector: Collector,
    occurrence: Occurrence,
    chunks: Chunks,
    context: Context,
) -> Occurrence:
    """Return a due occurrence with why it is not sent, if it would be paid for in vain."""
    last_good = context.good.get(schedule.name)
    in_vain = why_in_vain(schedule, collector, chunks, last_good, context.now)
    if in_vain is not None:
        return occurrence.with_reason(*in_vain)
    parked = chunks[0].parked_count
    if not parked:
        return occurrence
    left_out = f"{parked} parked input{' is' if parked == 1 else 's are'} left out"
    return occurrence.with_reason(Reason.DUE, left_out)


def _chunks_of(
    batch: Batch, due: DueTime, parked: Parked, context: Context
) -> Chunks | SchedulerError | None:
    """Return what the batch came to, or why it is not sent; None when it was not read."""
    chunks = find_chunks(context.readings, batch.name, due, parked)
    if not chunks or not isinstance(chunks, tuple):
        return chunks
    count = sum(chunk.row_count for chunk in chunks)
    last = context.sent.get(batch.name)
    problem = change_problem(batch, count, last)
    if chunks[0].parked_count and not change_problem(batch, count + chunks[0].parked_count, last):
        return chunks  # it was sent with what is parked since
    return chunks if problem is None else InputsError(problem)


def _add(
    decision: Decision,
    schedule: Schedule,
    collector: Collector,
    batch: Batch,
    occurrence: Occurrence,
    chunks: Chunks,
    context: Context,
) -> None:
    """Add the runs of *occurrence*, one for each of *chunks*, as they stand to those before."""
    unfinished = [*context.unfinished.get(schedule.name, ())]
    others = context.others.get((collector.account, collector.collector_id), ())
    overlap = _FREE
    if occurrence.reason is Reason.DUE:
        ahead = [_PLANNED for run in decision.runs if run.state is RunState.QUEUED]
        unended = [*unfinished, *ahead]
        overlap = decide_overlap(schedule.overlap, unended, others_run=bool(others))
    if not overlap.is_sent:
        occurrence = occurrence.with_reason(Reason.OVERLAPPED, _why_overlapped(overlap, others))
    run = scheduled_run(
        schedule,
        collector,
        batch,
        occurrence,
        body=None,  # each chunk brings its own
        order=context.orders.get(schedule.queue or "", QueueOrder.STRICT),
        defaults=context.defaults,
        now=context.now,
    )
    if schedule.finish_before is not None and run.state is RunState.QUEUED:
        ends = finish_by(
            schedule.finish_before, timezone=schedule.timezone, due_at=occurrence.due_at
        )
        run = replace(run, finish_by_at=ends)
    if run.state is RunState.QUEUED and overlap != _FREE:
        run = run.waiting_for(
            overlap.waits_for, replaces=overlap.replaces, others=overlap.waits_for_others
        )
        if overlap.supersedes:
            _supersede(decision, overlap.supersedes, context.now)
        if overlap.replaces:
            decision.cancels.extend(
                run.collection_id
                for run in unfinished
                # Not only the last: those before it may be chunks of the same occurrence.
                if run.collection_id is not None
            )
    decision.runs.extend(split_run(run, chunks, has_canary=batch.canary is not None))


_FREE = OverlapDecision()


# Stands for a run that this very pass writes: it waits, and has no id yet.
def _why_overlapped(overlap: OverlapDecision, others: Sequence[str]) -> str:
    """Name the run that has not ended, and what others run: it may be what that one waits for."""
    parts = []
    if overlap.held_by == _PLANNED.run_id:
        parts.append(UNENDED)
    elif overlap.held_by is not None:
        parts.append(f"run {overlap.held_by} of the schedule had not ended")
    if others:
        parts.append(name_others(others))
    return "; ".join(parts)


_PLANNED = Unfinished(0, RunState.QUEUED, None)


def _supersede(decision: Decision, waiting: Sequence[int], now: datetime) -> None:
    decision.supersedes.extend(run_id for run_id in waiting if run_id != _PLANNED.run_id)
    decision.runs[:] = [
        run.refused(Reason.SUPERSEDED, "a later occurrence took its place", now)
        if run.state is RunState.QUEUED
        else run
        for run in decision.runs
    ]
