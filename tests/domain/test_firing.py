"""What a schedule owes: each occurrence once, with one reason, whatever the clock does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.firing import PROMPT, DueOccurrence, Plan, plan_firing
from scheduler.domain.records import CatchUp, Reason
from tests.make import NINE, minutes, seconds

GRACE = minutes(30)
LONG_AGO = NINE - minutes(600)
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Listed:
    """A timetable with these occurrences and no other."""

    moments: Sequence[datetime]
    delays: dict[datetime, timedelta] = field(default_factory=dict)

    def next_after(self, moment: datetime) -> datetime | None:
        return min((one for one in self.moments if one > moment), default=None)

    def delay(self, slot: datetime) -> timedelta:
        return self.delays.get(slot, timedelta())


def plan(
    timetable: Listed,
    now: datetime,
    *,
    since: datetime = LONG_AGO,
    catch_up: CatchUp = CatchUp.LATEST,
    grace: timedelta = GRACE,
    window: timedelta | None = None,
    catch_up_limit: int | None = None,
    leftover: datetime | None = None,
    limit: int = 1000,
) -> Plan:
    return plan_firing(
        timetable,
        fired_until=since,
        now=now,
        misfire_grace=grace,
        catch_up=catch_up,
        window=window,
        catch_up_limit=catch_up_limit,
        leftover=leftover,
        limit=limit,
    )


def fates(planned: Plan) -> list[Reason]:
    return [owed.reason for owed in planned.owed]


D, C, M = Reason.DUE, Reason.COALESCED, Reason.MISSED
# How late an occurrence is, and what becomes of it by policy: if it is the newest, and if not.
FATES = {
    "at its moment": (TICK, {"all": (D, D), "latest": (D, D), "none": (D, D)}),
    "as late as is prompt": (PROMPT, {"all": (D, D), "latest": (D, D), "none": (D, D)}),
    "no longer prompt": (PROMPT + TICK, {"all": (D, D), "latest": (D, C), "none": (M, M)}),
    "at the end of the grace": (GRACE, {"all": (D, D), "latest": (D, C), "none": (M, M)}),
    "past the grace": (GRACE + TICK, {"all": (M, M), "latest": (M, M), "none": (M, M)}),
}


@pytest.mark.parametrize("case", FATES.values(), ids=list(FATES))
@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_lateness_and_policy_decide_the_fate_of_the_newest_and_of_the_others(
    catch_up: CatchUp, case: tuple[timedelta, dict[str, tuple[Reason, Reason]]]
) -> None:
    late, expected = case
    now = NINE + late

    alone = plan(Listed([NINE]), now, catch_up=catch_up)
    with_a_newer = plan(Listed([NINE, now]), now, catch_up=catch_up)

    assert (fates(alone)[0], fates(with_a_newer)[0]) == expected[catch_up]


def test_what_is_past_a_grace_shorter_than_prompt_is_missed() -> None:
    planned = plan(Listed([NINE]), NINE + seconds(5), grace=seconds(1), catch_up=CatchUp.ALL)

    assert planned.owed == (DueOccurrence(NINE, Reason.MISSED),)


def test_a_delayed_occurrence_is_late_only_after_its_delay() -> None:
    """Its run is sent from then on, and until the grace after then."""
    timetable = Listed([NINE], {NINE: minutes(45)})

    planned = plan(timetable, NINE + minutes(40), catch_up=CatchUp.NONE)

    assert planned.owed == (DueOccurrence(NINE, Reason.DUE),)


def test_a_delayed_occurrence_is_missed_when_its_grace_after_the_delay_is_over() -> None:
    timetable = Listed([NINE], {NINE: minutes(45)})

    planned = plan(timetable, NINE + minutes(75) + TICK, catch_up=CatchUp.ALL)

    assert planned.owed == (DueOccurrence(NINE, Reason.MISSED),)


def test_nothing_owed_moves_no_mark() -> None:
    planned = plan(Listed([NINE]), NINE - TICK)

    assert planned == Plan(owed=(), fired_until=LONG_AGO, next_fire_at=NINE)


def test_a_timetable_without_a_future_is_never_looked_at_again() -> None:
    planned = plan(Listed([NINE]), NINE)

    assert planned == Plan(
        owed=(DueOccurrence(NINE, Reason.DUE),), fired_until=NINE, next_fire_at=None
    )


def test_an_occurrence_at_the_mark_is_decided_already() -> None:
    planned = plan(Listed([NINE]), NINE + minutes(1), since=NINE)

    assert planned.owed == ()


def test_a_clock_that_goes_back_and_comes_again_fires_once() -> None:
    """The test of graphile-worker: nine, eight, nine once more."""
    hourly = Listed([NINE + timedelta(hours=hour) for hour in range(-3, 3)])
    fired: list[DueOccurrence] = []
    mark = NINE - timedelta(hours=1)

    for now in (NINE, NINE - timedelta(hours=1), NINE, NINE + seconds(1)):
        planned = plan(hourly, now, since=mark, catch_up=CatchUp.ALL)
        fired += planned.owed
        mark = planned.fired_until

    assert fired == [DueOccurrence(NINE, Reason.DUE)]


def test_a_chunk_that_is_full_says_that_more_is_owed_now() -> None:
    hours = [NINE + timedelta(hours=hour) for hour in range(3)]

    planned = plan(Listed(hours), hours[-1], grace=timedelta(days=1), limit=2)

    assert fates(planned) == [Reason.COALESCED, Reason.COALESCED]
    assert (planned.fired_until, planned.next_fire_at) == (hours[1], hours[2])


def test_a_window_says_how_far_back_to_catch_up_in_place_of_the_grace() -> None:
    hours = [NINE + timedelta(hours=hour) for hour in range(4)]

    planned = plan(Listed(hours), hours[-1], catch_up=CatchUp.ALL, window=timedelta(hours=2))

    assert fates(planned) == [Reason.MISSED, Reason.DUE, Reason.DUE, Reason.DUE]


def test_a_limit_keeps_the_newest() -> None:
    hours = [NINE + timedelta(hours=hour) for hour in range(4)]

    planned = plan(
        Listed(hours), hours[-1], catch_up=CatchUp.ALL, window=timedelta(hours=2), catch_up_limit=2
    )

    assert fates(planned) == [Reason.MISSED, Reason.COALESCED, Reason.DUE, Reason.DUE]


class TestWhatAnEarlierTimetableStillOwed:
    """The edit came at nine; the old timetable was due at ten to, the new one is from nine on."""

    OWED = NINE - minutes(10)

    def test_it_is_the_newest_when_the_new_timetable_owes_nothing_yet(self) -> None:
        planned = plan(Listed([]), NINE + minutes(1), since=NINE, leftover=self.OWED)

        assert planned == Plan(
            owed=(DueOccurrence(self.OWED, Reason.DUE),), fired_until=NINE, next_fire_at=None
        )

    def test_it_gives_way_to_what_the_new_timetable_owes(self) -> None:
        new = NINE + minutes(1)

        planned = plan(Listed([new]), new, since=NINE, leftover=self.OWED)

        assert planned.owed == (
            DueOccurrence(self.OWED, Reason.COALESCED),
            DueOccurrence(new, Reason.DUE),
        )

    def test_it_does_not_delay_a_plan_in_single_steps(self) -> None:
        new = NINE + minutes(1)

        first = plan(Listed([new]), new, since=NINE, leftover=self.OWED, limit=1)
        second = plan(Listed([new]), new, since=first.fired_until, limit=1)

        assert first.owed + second.owed == (
            DueOccurrence(self.OWED, Reason.COALESCED),
            DueOccurrence(new, Reason.DUE),
        )

    def test_it_is_missed_when_it_is_past_the_grace(self) -> None:
        planned = plan(Listed([]), self.OWED + GRACE + TICK, since=NINE, leftover=self.OWED)

        assert planned.owed == (DueOccurrence(self.OWED, Reason.MISSED),)

    def test_it_is_decided_even_if_the_clock_was_set_back_since(self) -> None:
        """It is asked about once only: not to decide it now is to lose it."""
        planned = plan(Listed([]), NINE - minutes(60), since=NINE, leftover=self.OWED)

        assert planned.owed == (DueOccurrence(self.OWED, Reason.DUE),)
        assert planned.fired_until == NINE


timetables = st.lists(st.integers(0, 4000), max_size=25, unique=True).map(
    lambda offsets: Listed([NINE + seconds(offset) for offset in sorted(offsets)])
)
moments = st.integers(-500, 5000).map(lambda offset: NINE + seconds(offset))
graces = st.integers(1, 3000).map(seconds)
policies = st.sampled_from(CatchUp)


@given(
    timetables,
    moments,
    st.tuples(graces, st.none() | graces),
    policies,
    st.none() | st.integers(1, 5),
    st.integers(1, 7),
    st.booleans(),
)
def test_planning_in_chunks_decides_the_same_as_planning_at_once(
    timetable: Listed,
    now: datetime,
    limits: tuple[timedelta, timedelta | None],
    catch_up: CatchUp,
    catch_up_limit: int | None,
    limit: int,
    was_edited: bool,
) -> None:
    grace, window = limits
    mark = NINE - minutes(1)
    leftover = mark - seconds(30) if was_edited else None

    def plan_on(since: datetime, leftover: datetime | None, limit: int) -> Plan:
        return plan(
            timetable,
            now,
            since=since,
            catch_up=catch_up,
            grace=grace,
            window=window,
            catch_up_limit=catch_up_limit,
            leftover=leftover,
            limit=limit,
        )

    whole = plan_on(mark, leftover, 1000)
    parts = [plan_on(mark, leftover, limit)]
    while parts[-1].next_fire_at is not None and parts[-1].next_fire_at <= now:
        assert parts[-1].owed  # else it would go on for ever
        parts.append(plan_on(parts[-1].fired_until, None, limit))

    assert tuple(owed for part in parts for owed in part.owed) == whole.owed
    assert parts[-1].fired_until == whole.fired_until
    assert parts[-1].next_fire_at == whole.next_fire_at


@given(timetables, st.lists(moments, max_size=15), graces, policies, st.integers(1, 5))
def test_whatever_the_clock_shows_each_occurrence_has_one_fate_and_the_mark_never_goes_back(
    timetable: Listed,
    clock: list[datetime],
    grace: timedelta,
    catch_up: CatchUp,
    limit: int,
) -> None:
    marks = [NINE - minutes(10)]
    owed: list[DueOccurrence] = []
    for now in clock:
        planned = plan(timetable, now, since=marks[-1], grace=grace, catch_up=catch_up, limit=limit)
        owed += planned.owed
        marks.append(planned.fired_until)

    assert all(earlier <= later for earlier, later in pairwise(marks))
    assert [one.due_at for one in owed] == [at for at in timetable.moments if at <= marks[-1]]


@given(timetables, moments, moments, graces, policies)
def test_a_clock_behind_the_mark_owes_nothing(
    timetable: Listed, mark: datetime, now: datetime, grace: timedelta, catch_up: CatchUp
) -> None:
    now = min(now, mark)

    planned = plan(timetable, now, since=mark, grace=grace, catch_up=catch_up)

    assert planned == Plan(owed=(), fired_until=mark, next_fire_at=timetable.next_after(mark))


@given(timetables, moments, graces, policies)
def test_the_next_look_is_never_at_something_decided(
    timetable: Listed, now: datetime, grace: timedelta, catch_up: CatchUp
) -> None:
    planned = plan(timetable, now, grace=grace, catch_up=catch_up)

    assert planned.next_fire_at is None or planned.next_fire_at > now
    assert all(one.due_at <= planned.fired_until for one in planned.owed)


@given(timetables, moments, graces)
def test_at_most_one_late_occurrence_becomes_a_run_under_latest(
    timetable: Listed, now: datetime, grace: timedelta
) -> None:
    planned = plan(timetable, now, grace=grace, catch_up=CatchUp.LATEST)

    late = [one for one in planned.owed if now - one.due_at > PROMPT]
    assert [one for one in late if one.reason is Reason.DUE] in ([], late[-1:])
