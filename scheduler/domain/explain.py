"""What became of an instant of a schedule, or will: a verdict, why, and the occurrences around."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.domain.explain_words import run_sentence, skip_sentence
from scheduler.domain.pauses import Freeze, stop_at
from scheduler.domain.records import Reason, Run, RunState, Schedule
from scheduler.domain.timetable import DstMark, Explanation, Standing, Timetable
from scheduler.domain.timetable.clock_changes import instant_of, wall_of

MOST_COUNTED: Final = 5_000
"""So many occurrences are counted against `max_runs` at most."""


class Verdict(StrEnum):
    """What an instant is to a schedule: a closed list, the same in JSON and for people."""

    # a row says so
    FIRED = "fired"  # a run was made for it; its state says what became of that
    SKIPPED = "skipped"  # decided and never sent; its reason says why
    # no row: what is to come
    OWED = "owed"  # due, and no daemon has decided it yet
    WILL_FIRE = "will_fire"
    WILL_BE_SKIPPED = "will_be_skipped"  # it comes due during a pause or a freeze
    EXHAUSTED = "exhausted"  # it comes after the last run of max_runs
    DISABLED = "disabled"
    SET_ASIDE = "set_aside"  # nothing fires until an error in the row is mended
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
class Facts:
    """
    What an answer rests on, read in one transaction.

    *runs* are the rows of the instant; *before* and *after* the nearest rows around it, and
    *sent_after* the nearest later one that was not skipped. *made* counts the runs of a schedule
    with `max_runs`. Without *timetable*, *problem* says why.
    """

    now: datetime
    schedule: Schedule
    timetable: Timetable | None
    problem: str | None
    freezes: Sequence[Freeze]
    runs: Sequence[Run]
    before: Run | None
    after: Run | None
    sent_after: Run | None
    made: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An occurrence near the instant, and its run if it has one."""

    at: datetime
    run: Run | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The answer for one instant. *reason* is that of the run, or what will stop it."""

    at: datetime
    verdict: Verdict
    reason: Reason | None
    sentence: str
    runs: tuple[Run, ...] = ()
    dst: DstMark | None = None
    previous: Neighbour | None = None
    following: Neighbour | None = None


@dataclass(frozen=True, slots=True)
class Instants:
    """What a person's time means: no instant twice; *note* says when it is not just one."""

    found: tuple[datetime, ...]
    note: str | None = None


def read_instants(moment: datetime, zone: ZoneInfo) -> Instants:
    """Return the instants of *moment*, which without an offset is wall-clock time in *zone*."""
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


def explain_instant(facts: Facts, instant: datetime) -> Explained:
    """Tell what *instant* is to the schedule: its rows know first, then its timetable."""
    seen = facts.timetable.explain(instant) if facts.timetable is not None else None
    answer = _of_runs(facts, instant) if facts.runs else _without_run(facts, instant, seen)
    timetable = facts.timetable
    is_occurrence = seen is not None and seen.standing is Standing.OCCURRENCE
    previous, following = _neighbours(facts, instant, seen)
    return replace(
        answer,
        dst=timetable.dst_mark(instant) if timetable is not None and is_occurrence else None,
        previous=previous,
        following=following,
    )


def _of_runs(facts: Facts, instant: datetime) -> Explained:
    found = sorted(facts.runs, key=lambda run: run.id)
    sent = [run for run in found if run.state is not RunState.SKIPPED]
    newest = (sent or found)[-1]
    sentence = run_sentence(newest) if sent else skip_sentence(newest, stand_in=facts.sent_after)
    skipped = [run for run in found if run.state is RunState.SKIPPED]
    if sent and skipped:
        sentence = f"{skip_sentence(skipped[0])}; sent afterwards: {sentence}"
    return Explained(
        at=instant,
        verdict=Verdict.FIRED if sent else Verdict.SKIPPED,
        reason=newest.reason,
        sentence=sentence,
        runs=tuple(found),
    )


def _without_run(facts: Facts, instant: datetime, seen: Explanation | None) -> Explained:
    verdict, reason, sentence = (
        _before_its_time(facts, instant, seen)
        or _never(facts, seen)
        or _decided(facts, instant)
        or _to_come(facts, instant)
    )
    return Explained(at=instant, verdict=verdict, reason=reason, sentence=sentence)


_Told = tuple[Verdict, Reason | None, str]


def _before_its_time(facts: Facts, instant: datetime, seen: Explanation | None) -> _Told | None:
    schedule = facts.schedule
    if instant <= schedule.created_at:
        since = _text(schedule.created_at)
        is_due = seen is not None and seen.standing is Standing.OCCURRENCE
        could = "; it is a time at which it is due now, and `backfill` can send it"
        sentence = f"the schedule was created later, at {since}{could if is_due else ''}"
        return Verdict.BEFORE_CREATED, None, sentence
    if schedule.edited_at is None or instant > schedule.edited_at:
        return None
    edited = _text(schedule.edited_at)
    is_owed = schedule.planned_at is None and schedule.next_fire_at == instant and schedule.enabled
    if is_owed and (schedule.fired_until is None or schedule.fired_until < instant):
        return Verdict.OWED, None, f"it was due before the edit at {edited}, and is still to come"
    sentence = (
        f"no run was made for it; the timetable was edited later, at {edited}, so what it said"
        " then is not known"
    )
    return Verdict.BEFORE_EDITED, None, sentence


def _never(facts: Facts, seen: Explanation | None) -> _Told | None:
    schedule = facts.schedule
    if schedule.after is not None:
        after = f"it has no times of its own: it is due when a run of {schedule.after!r} ends"
        return Verdict.NO_TIMES, None, after
    if schedule.manual:
        return Verdict.NO_TIMES, None, "it has no times of its own: it is run by hand"
    if seen is None:
        return Verdict.SET_ASIDE, None, f"its timetable cannot be read: {facts.problem}"
    match seen.standing:
        case Standing.OCCURRENCE:
            return None
        case Standing.EXCLUDED:
            sentence = f"it would be due, but is excluded by calendar {seen.excluded_by}"
            return Verdict.EXCLUDED, None, sentence
        case Standing.NOT_YET_VALID:
            sentence = f"it would be due, but comes before valid_from = {schedule.valid_from}"
            return Verdict.NOT_YET_VALID, None, sentence
        case Standing.NO_LONGER_VALID:
            sentence = f"it would be due, but comes after valid_until = {schedule.valid_until}"
            return Verdict.NO_LONGER_VALID, None, sentence
        case Standing.NO_OCCURRENCE:
            return Verdict.NO_OCCURRENCE, None, "the schedule is not due then"


def _decided(facts: Facts, instant: datetime) -> _Told | None:
    schedule = facts.schedule
    if schedule.max_runs is not None and _is_exhausted(facts, schedule.max_runs, instant):
        sentence = f"it comes after the last of max_runs = {schedule.max_runs}"
        return Verdict.EXHAUSTED, None, sentence
    if schedule.fired_until is None or instant > schedule.fired_until:
        return None
    sentence = (
        f"all up to {_text(schedule.fired_until)} is decided, and it has no run: what the"
        " schedule excludes was changed since, or the run was deleted"
    )
    return Verdict.NO_RECORD, None, sentence


def _is_exhausted(facts: Facts, max_runs: int, instant: datetime) -> bool:
    if facts.timetable is None:
        return False
    left = max_runs - facts.made
    coming = facts.timetable.occurrences(_decided_until(facts.schedule), instant)
    return sum(1 for _ in islice(coming, min(max(left, 0) + 1, MOST_COUNTED))) > left


def _to_come(facts: Facts, instant: datetime) -> _Told:
    schedule = facts.schedule
    problem = schedule.error or facts.problem
    if problem is not None:
        sentence = f"it is due, but the schedule is set aside until this is mended: {problem}"
        return Verdict.SET_ASIDE, None, sentence
    if not schedule.enabled:
        return Verdict.DISABLED, None, "it would be due, but the schedule is disabled"
    stop = stop_at(instant, schedule, facts.freezes)
    if stop is not None:
        verdict = Verdict.OWED if instant <= facts.now else Verdict.WILL_BE_SKIPPED
        return verdict, stop.reason, f"it is due, and will be skipped: {stop.detail}"
    if instant <= facts.now:
        sentence = (
            "it was due, and no daemon has decided it yet: the next one that runs will,"
            f" as misfire_grace = {schedule.misfire_grace} and catch_up = {schedule.catch_up} say"
        )
        return Verdict.OWED, None, sentence
    return Verdict.WILL_FIRE, Reason.DUE, _when_it_starts(facts, instant)


def _when_it_starts(facts: Facts, instant: datetime) -> str:
    delay = facts.timetable.delay(instant) if facts.timetable is not None else None
    later = f" {delay.total_seconds():g} s later (jitter, spread)" if delay else ""
    return f"it is due then, and its run starts{later or ' at once'}"


def _neighbours(
    facts: Facts, instant: datetime, seen: Explanation | None
) -> tuple[Neighbour | None, Neighbour | None]:
    """Return what came before and comes after: rows, and what the present timetable says."""
    since = max(facts.schedule.created_at, facts.schedule.edited_at or facts.schedule.created_at)
    earlier = [] if facts.before is None else [Neighbour(facts.before.due_at, facts.before)]
    later = [] if facts.after is None else [Neighbour(facts.after.due_at, facts.after)]
    if seen is not None and seen.previous is not None and seen.previous > since:
        earlier.append(Neighbour(seen.previous, None))
    if seen is not None and facts.timetable is not None:
        following = seen.following if instant >= since else facts.timetable.next_after(since)
        later += [] if following is None else [Neighbour(following, None)]
    # Of the same time, the one with a run stands first.
    return (
        max(earlier, key=lambda one: one.at, default=None),
        min(later, key=lambda one: one.at, default=None),
    )


def _decided_until(schedule: Schedule) -> datetime:
    marks = (schedule.created_at, schedule.edited_at, schedule.fired_until)
    return max(mark for mark in marks if mark is not None)


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
