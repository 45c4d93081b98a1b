"""However the upstream behaves: never near the block, and back at work when it is over."""

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.brake import CEILING, WINDOW
from tests.engine.brake_world import Answer, Heard, Upstream, World
from tests.make import NINE, make_limits, minutes, seconds

LIMITS = make_limits(max_in_flight=32, requests_per_second=5.0)
OK = Heard(Answer.OK)
PAUSES = (
    None,
    timedelta(),
    seconds(-60),
    seconds(0.001),
    seconds(1),
    seconds(20),
    timedelta(days=9999),
)


def always_throttles(chance: Random, now: datetime, before_it: int) -> Heard:
    return Heard(Answer.THROTTLED)


def throttles_and_asks_for_nonsense(chance: Random, now: datetime, before_it: int) -> Heard:
    return Heard(Answer.THROTTLED, chance.choice(PAUSES))


def lets_every_probe_through(chance: Random, now: datetime, before_it: int) -> Heard:
    """Who tries alone is lured into trying with more."""
    return OK if before_it == 1 else Heard(Answer.THROTTLED, chance.choice(PAUSES))


def does_anything(chance: Random, now: datetime, before_it: int) -> Heard:
    return Heard(chance.choice(list(Answer)), chance.choice(PAUSES))


def has_bad_minutes(chance: Random, now: datetime, before_it: int) -> Heard:
    return OK if now.minute % 3 else Heard(Answer.THROTTLED, seconds(1))


upstreams = pytest.mark.parametrize(
    "upstream",
    [
        always_throttles,
        throttles_and_asks_for_nonsense,
        lets_every_probe_through,
        does_anything,
        has_bad_minutes,
    ],
)
chances = st.randoms(use_true_random=True)
simulated = settings(max_examples=6)


@upstreams
@pytest.mark.parametrize("crashes_every", [None, 4.0, 60.0])
@simulated
@given(chances, st.sampled_from([0.2, 5.0, 60.0]))
def test_no_five_minutes_ever_hold_more_than_the_ceiling(
    upstream: Upstream, crashes_every: float | None, chance: Random, slowest: float
) -> None:
    """Three daemons share the row, in the worst case each of them killed every few seconds."""
    world = World(chance, upstream, LIMITS, slowest=slowest, crashes_every=crashes_every)

    world.play(NINE + minutes(16))

    assert world.most_throttles_in_a_window() <= CEILING


@upstreams
@simulated
@given(chances, st.sampled_from([0.2, 60.0]))
def test_nobody_sends_while_a_pause_lasts(
    upstream: Upstream, chance: Random, slowest: float
) -> None:
    """Not even when another of the requests that were in flight succeeds meanwhile."""
    world = World(chance, upstream, LIMITS, slowest=slowest).play(NINE + minutes(6))

    assert world.sent_in_a_pause == []


@upstreams
@simulated
@given(chances, st.sampled_from([0.2, 60.0]), st.sampled_from([0.1, 0.7, 5.0, 20.0]))
def test_somebody_always_knows_when_to_go_on(
    upstream: Upstream, chance: Random, slowest: float, rate: float
) -> None:
    """What holds everybody back ends at a moment that was told, or with an answer to come."""
    limits = make_limits(requests_per_second=rate)

    world = World(chance, upstream, limits, slowest=slowest).play(NINE + minutes(6))

    assert world.stuck == []


@pytest.mark.parametrize("seed", range(3))
def test_a_brake_that_does_not_see_what_is_in_flight_breaks_the_ceiling(seed: int) -> None:
    """The control: without that rule the test above would be red."""
    chance = Random(seed)  # noqa: S311 - a simulation
    world = World(chance, always_throttles, LIMITS, slowest=60.0, sees_in_flight=False)

    world.play(NINE + minutes(6))

    assert world.most_throttles_in_a_window() > CEILING


@pytest.mark.parametrize("stops_at_once", [True, False])
def test_a_wire_that_goes_on_after_a_429_breaks_the_ceiling(stops_at_once: bool) -> None:
    """What is claimed ahead stays back at the first bad answer, not only at the next pass."""
    limits = make_limits(max_in_flight=64, requests_per_second=1000.0)
    worlds = [
        World(
            Random(seed),  # noqa: S311 - a simulation
            turns_bad,
            limits,
            slowest=0.1,
            stops_at_once=stops_at_once,
            passes_after=(0.5,),
        ).play(NINE + minutes(1))
        for seed in range(5)
    ]

    assert min(world.most_claimed for world in worlds) > 4 * CEILING
    most = max(world.most_throttles_in_a_window() for world in worlds)
    assert (most <= CEILING) == stops_at_once


def turns_bad(chance: Random, now: datetime, before_it: int) -> Heard:
    return OK if now < NINE + seconds(10) else Heard(Answer.THROTTLED)


STORM_ENDS = NINE + minutes(4)


def storms_at_first(chance: Random, now: datetime, before_it: int) -> Heard:
    return OK if now >= STORM_ENDS else Heard(Answer.THROTTLED, chance.choice(PAUSES[:-1]))


def loses_everything_at_first(chance: Random, now: datetime, before_it: int) -> Heard:
    return OK if now >= STORM_ENDS else Heard(chance.choice([Answer.LOST, Answer.UNREACHABLE]))


@simulated
@given(chances)
def test_after_a_storm_the_first_success_comes_as_soon_as_the_window_allows(
    chance: Random,
) -> None:
    world = World(chance, storms_at_first, LIMITS, slowest=0.5)

    world.play(STORM_ENDS + WINDOW + seconds(35))

    assert world.successes


@simulated
@given(chances)
def test_after_an_outage_the_first_success_comes_within_one_step_of_the_backoff(
    chance: Random,
) -> None:
    """A lost answer was no 429: there is no window to wait for."""
    world = World(chance, loses_everything_at_first, LIMITS, slowest=0.5)

    world.play(STORM_ENDS + seconds(35))

    assert world.successes


@simulated
@given(chances)
def test_when_a_storm_is_over_the_account_is_as_fast_as_before(chance: Random) -> None:
    world = World(chance, storms_at_first, LIMITS, slowest=0.5)
    calm_again = STORM_ENDS + 2 * WINDOW + seconds(60)

    world.play(calm_again + minutes(2))

    served = sum(at > calm_again for at in world.successes)
    assert served == pytest.approx(2 * 60 * LIMITS.requests_per_second, rel=0.05)
    assert (world.brake.trips, world.brake.slow_start) == (0, None)


@simulated
@given(chances, st.sampled_from([0.1, 0.5, 1.0, 1.5, 7.0]))
def test_the_rate_holds_over_all_daemons_and_is_used_up(chance: Random, rate: float) -> None:
    limits = make_limits(requests_per_second=rate)

    world = World(chance, lambda *_: OK, limits, daemons=4, slowest=0.1)
    world.play(NINE + minutes(4))

    allowed = 4 * 60 * rate + max(1.0, rate)
    assert 0.9 * (allowed - 2) <= len(world.sent) <= allowed
