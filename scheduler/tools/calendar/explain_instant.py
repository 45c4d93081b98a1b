"""What became of an instant of a schedule, or will: a verdict, why, and the occurrences around."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.domain.batch import canary_words
from scheduler.domain.durations import format_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.finish import LEAST_TIME, finish_by
from scheduler.domain.pauses import Freeze, stop_at
from scheduler.domain.records import Reason, Run, RunState, Schedule
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable import DstMark, Explanation, MomentKind, Timetable
from scheduler.domain.timetable.clock_changes import instant_of, wall_of
from scheduler.tools.calendar.explain_words import run_sentence, skip_sentence
from scheduler.views.allowance import Over
from scheduler.views.runs import RunView, run_view

MOST_COUNTED: Final = 5_000
"""So many occurrences are counted against `max_runs` at most."""


class ExplainedVerdict(StrEnum):
    """What an instant is to a schedule: a closed list, the same in JSON and for people."""

    # a row says so
    FIRED = "fired"  # a run was made for it; its state says what became of that
    SKIPPED = "skipped"  # decided and never sent; its reason says why
    # no row: what is to come
    OWED = "owed"  # due, and no daemon has decided it yet
    WILL_FIRE = "will_fire"
    WILL_WAIT = "will_wait"  # its queue or account is paused: a run is made, and not sent
    WILL_BE_SKIPPED = "will_be_skipped"  # during a pause or a freeze, or beyond a limit
    EXHAUSTED = "exhausted"  # it comes after the last run of max_runs
    DISABLED = "disabled"
    INVALID = "invalid"  # nothing fires until an error in the row is mended
    # no row, and none to come
    EXCLUDED = "excluded"  # by a calendar
    NOT_YET_VALID = "not_yet_valid"
    NO_LONGER_VALID = "no_longer_valid"
    BEFORE_CREATED = "before_created"
    BEFORE_EDITED = "before_edited"  # the timetable of then is not known any more
    NO_RECORD = "no_record"  # decided, and its row is not there
    NO_TIMES = "no_times"  # a manual schedule, or one that follows another
    NO_OCCURRENCE = "no_occurrence"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainContext:
    """
    What an answer rests on, read in one transaction.

    *runs* are the rows of the instant; *before* and *after* the nearest rows around it, and
    *sent_after* the nearest later one that was not skipped. *made* counts the runs of a schedule
    with `max_runs`. Without *timetable*, *problem* says why. *late* says how late the newest run
    was sent, or what it waits for, *waits* who paused the queue or the account, *over* which limit
    it would be beyond, *others* what others run on its collector, if that matters, *canary* how
    many of its inputs go first.
    """

    now: datetime
    schedule: Schedule
    timetable: Timetable | None
    zone: ZoneInfo
    problem: str | None
    freezes: Sequence[Freeze]
    runs: Sequence[Run]
    before: Run | None
    after: Run | None
    sent_after: Run | None
    made: int
    late: str | None = None
    waits: str | None = None
    over: Over | None = None
    others: str | None = None
    canary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An occurrence near the instant, and its run if it has one."""

    due_at: datetime
    run: RunView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """
    The answer for one instant; *instant_local* is it in the schedule's zone, as text.

    *reason* is that of the run, or what will stop it.
    """

    instant_at: datetime
    instant_local: str
    verdict: ExplainedVerdict
    reason: Reason | None
    sentence: str
    dst: DstMark | None
    runs: tuple[RunView, ...]
    previous: Neighbour | None
    following: Neighbour | None


@dataclass(frozen=True, slots=True)
class Instants:
    """What a person's time means: no instant twice; *note* says when it is not just one."""

    found: tuple[datetime, ...]
    note: str | None = None


def read_instants(moment: datetime, zone: ZoneInfo) -> Instants:
    """
    Return the instants of *moment*, which without an offset is wall-clock time in *zone*.

    Raises InvalidInput at the end of what a time can be.
    """
    if not MINYEAR < moment.year < MAXYEAR:
        raise InvalidInput(f"{moment.isoformat()} is at the end of all time: ask for one within")
    if moment.tzinfo is not None:
        return Instants((moment.astimezone(UTC),))
    first, second = (instant_of(zone, moment.replace(fold=fold)) for fold in (0, 1))
    if wall_of(zone, first) != moment:
        note = (
            f"{moment.isoformat()} does not exist in {zone.key}: the clock jumps over it,"
            f" to {first.astimezone(zone).isoformat()}, which is explained instead"
        )
        return Instants((first,), note)
    if first == second:
        return Instants((first,))
    note = f"{moment.isoformat()} comes twice in {zone.key}: the clock is set back over it"
    return Instants((first, second), note)


def explain_instant(context: ExplainContext, instant: datetime) -> Explained:
    """Tell what *instant* is to the schedule: its rows know first, then its timetable."""
    timetable = context.timetable
    seen = timetable.explain(instant) if timetable is not None else None
    verdict, reason, sentence = (
        _of_runs(context)
        or _before_its_time(context, instant, seen)
        or _never(context, seen)
        or _decided(context, instant)
        or _to_come(context, instant)
    )
    is_occurrence = seen is not None and seen.kind is MomentKind.OCCURRENCE
    previous, following = _neighbours(context, instant, seen)
    return Explained(
        instant_local=instant.astimezone(context.zone).isoformat(),
        instant_at=instant,
        verdict=verdict,
        reason=reason,
        sentence=sentence,
        dst=timetable.dst_mark(instant) if timetable is not None and is_occurrence else None,
        runs=tuple(run_view(run) for run in sorted(context.runs, key=lambda run: run.id)),
        previous=previous,
        following=following,
    )


def newest_of(rows: Sequence[Run]) -> Run:
    """Return the newest of the runs of an instant that was not skipped, or else the newest."""
    return max(rows, key=lambda run: (run.state is not RunState.SKIPPED, run.id))


_Answer = tuple[ExplainedVerdict, Reason | None, str]


def _of_runs(context: ExplainContext) -> _Answer | None:
    """Tell what the newest run that was sent says, or the newest if none was."""
    runs = sorted(context.runs, key=lambda run: run.id)
    sent = [run for run in runs if run.state is not RunState.SKIPPED]
    skipped = [run for run in runs if run.state is RunState.SKIPPED]
    if not runs:
        return None
    if not sent:
        sentence = skip_sentence(skipped[-1], stand_in=context.sent_after)
        return ExplainedVerdict.SKIPPED, skipped[-1].reason, sentence
    sentence = run_sentence(sent[-1])
    if context.late is not None:
        sentence += f"; {context.late}"
    if skipped:
        sentence = f"{skip_sentence(skipped[0])}; sent afterwards: {sentence}"
    return ExplainedVerdict.FIRED, sent[-1].reason, sentence


def _before_its_time(
    context: ExplainContext, instant: datetime, seen: Explanation | None
) -> _Answer | None:
    schedule = context.schedule
    if instant <= schedule.created_at:
        since = display_time(schedule.created_at)
        is_due = seen is not None and seen.kind is MomentKind.OCCURRENCE
        could = "; it is a time at which it is due now, and `backfill` can send it"
        sentence = f"the schedule was created later, at {since}{could if is_due else ''}"
        return ExplainedVerdict.BEFORE_CREATED, None, sentence
    if schedule.edited_at is None or instant > schedule.edited_at:
        return None
    edited = display_time(schedule.edited_at)
    is_owed = schedule.planned_at is None and schedule.next_fire_at == instant and schedule.enabled
    if is_owed and (schedule.fired_until is None or schedule.fired_until < instant):
        return (
            ExplainedVerdict.OWED,
            None,
            f"it was due before the edit at {edited}, and is still to come",
        )
    sentence = (
        f"no run was made for it; the timetable was edited later, at {edited}, so what it said"
        " then is not known"
    )
    return ExplainedVerdict.BEFORE_EDITED, None, sentence


def _never(context: ExplainContext, seen: Explanation | None) -> _Answer | None:
    schedule = context.schedule
    if schedule.after is not None:
        after = f"it has no times of its own: it is due when a run of {schedule.after!r} ends"
        return ExplainedVerdict.NO_TIMES, None, after
    if schedule.manual:
        return ExplainedVerdict.NO_TIMES, None, "it has no times of its own: it is run by hand"
    if seen is None:
        return ExplainedVerdict.INVALID, None, f"its timetable cannot be read: {context.problem}"
    match seen.kind:
        case MomentKind.OCCURRENCE:
            return None
        case MomentKind.EXCLUDED:
            sentence = f"it would be due, but is excluded by calendar {seen.excluded_by}"
            return ExplainedVerdict.EXCLUDED, None, sentence
        case MomentKind.NOT_YET_VALID:
            sentence = f"it would be due, but comes before valid_from = {schedule.valid_from}"
            return ExplainedVerdict.NOT_YET_VALID, None, sentence
        case MomentKind.NO_LONGER_VALID:
            sentence = f"it would be due, but comes after valid_until = {schedule.valid_until}"
            return ExplainedVerdict.NO_LONGER_VALID, None, sentence
        case MomentKind.NO_OCCURRENCE:
            return ExplainedVerdict.NO_OCCURRENCE, None, "the schedule is not due then"


def _decided(context: ExplainContext, instant: datetime) -> _Answer | None:
    schedule = context.schedule
    if schedule.max_runs is not None and _is_exhausted(context, schedule.max_runs, instant):
        sentence = f"it comes after the last of max_runs = {schedule.max_runs}"
        return ExplainedVerdict.EXHAUSTED, None, sentence
    if schedule.fired_until is None or instant > schedule.fired_until:
        return None
    sentence = (
        f"all up to {display_time(schedule.fired_until)} is decided, and it has no run: what the"
        " schedule excludes was changed since, or the run was deleted"
    )
    return ExplainedVerdict.NO_RECORD, None, sentence


def _is_exhausted(context: ExplainContext, max_runs: int, instant: datetime) -> bool:
    if context.timetable is None:
        return False
    left = max_runs - context.made
    coming = context.timetable.occurrences(_decided_until(context.schedule), instant)
    return sum(1 for _ in islice(coming, min(max(left, 0) + 1, MOST_COUNTED))) > left


def _to_come(context: ExplainContext, instant: datetime) -> _Answer:
    schedule = context.schedule
    problem = schedule.error or context.problem
    if problem is not None:
        sentence = f"it is due, but the schedule is invalid until this is mended: {problem}"
        return ExplainedVerdict.INVALID, None, sentence
    if not schedule.enabled:
        return ExplainedVerdict.DISABLED, None, "it would be due, but the schedule is disabled"
    stop = stop_at(instant, schedule, context.freezes)
    if stop is not None:
        verdict = (
            ExplainedVerdict.OWED if instant <= context.now else ExplainedVerdict.WILL_BE_SKIPPED
        )
        return verdict, stop.reason, f"it is due, and will be skipped: {stop.detail}"
    if context.over is not None:
        sentence = f"it is due, and will be skipped: {context.over.detail}"
        return ExplainedVerdict.WILL_BE_SKIPPED, context.over.reason, sentence
    if instant <= context.now:
        sentence = (
            "it was due, and no daemon has decided it yet: the next one that runs will,"
            f" as misfire_grace = {schedule.misfire_grace} and catch_up = {schedule.catch_up} say"
            f"{f'; {context.waits}' if context.waits else ''}"
        )
        return ExplainedVerdict.OWED, None, sentence
    if context.waits is not None:
        sentence = (
            f"it is due then, and its run waits: {context.waits}; it is sent once that ends,"
            f" and missed after misfire_grace = {schedule.misfire_grace}"
        )
        return ExplainedVerdict.WILL_WAIT, Reason.DUE, sentence
    return ExplainedVerdict.WILL_FIRE, Reason.DUE, _when_it_starts(context, instant)


def _when_it_starts(context: ExplainContext, instant: datetime) -> str:
    delay = context.timetable.delay(instant) if context.timetable is not None else None
    later = f" {delay.total_seconds():g} s later (jitter, spread)" if delay else ""
    others = f"; {context.others}" if context.others is not None else ""
    starts = f"it is due then, and its run starts{later or ' at once'}"
    canary = f"; {canary_words(context.canary)}" if context.canary else ""
    return f"{starts}{_finish(context, instant)}{_in_vain(context.schedule)}{canary}{others}"


def _in_vain(schedule: Schedule) -> str:
    """Say when it is skipped by what its batch is then, which nobody can know yet."""
    words = ""
    if schedule.batch_max_age is not None:
        words += (
            "; it is skipped if its batch is older then than batch_max_age ="
            f" {schedule.batch_max_age}"
        )
    if schedule.only_if_changed:
        words += "; it is skipped if its inputs are those of its last good run (only_if_changed)"
    return words


def _finish(context: ExplainContext, instant: datetime) -> str:
    schedule = context.schedule
    if schedule.finish_before is None:
        return ""
    ends = finish_by(schedule.finish_before, timezone=schedule.timezone, due_at=instant)
    least = format_duration(LEAST_TIME)
    return (
        f"; its deadline is what is left until {display_time(ends)} (finish_before ="
        f" {schedule.finish_before}) when it is sent; with less than {least} left it is skipped"
    )


def _neighbours(
    context: ExplainContext, instant: datetime, seen: Explanation | None
) -> tuple[Neighbour | None, Neighbour | None]:
    """Return what came before and comes after: rows, and what the present timetable says."""
    since = max(
        context.schedule.created_at, context.schedule.edited_at or context.schedule.created_at
    )
    earlier = [] if context.before is None else [_neighbour(context.before)]
    later = [] if context.after is None else [_neighbour(context.after)]
    if seen is not None and seen.previous is not None and seen.previous > since:
        earlier.append(_occurrence(context, seen.previous))
    if seen is not None and context.timetable is not None:
        following = seen.following if instant >= since else context.timetable.next_after(since)
        later += [] if following is None else [_occurrence(context, following)]
    # Of the same time, the one with a run stands first.
    return (
        max(earlier, key=lambda near: near.due_at, default=None),
        min(later, key=lambda near: near.due_at, default=None),
    )


def _neighbour(run: Run) -> Neighbour:
    return Neighbour(due_at=run.due_at, run=run_view(run))


def _occurrence(context: ExplainContext, at: datetime) -> Neighbour:
    gap = context.before
    is_in_gap = gap is not None and gap.due_until is not None and at <= gap.due_until
    return Neighbour(due_at=at, run=run_view(gap) if gap is not None and is_in_gap else None)


def _decided_until(schedule: Schedule) -> datetime:
    marks = (schedule.created_at, schedule.edited_at, schedule.fired_until)
    return max(mark for mark in marks if mark is not None)
