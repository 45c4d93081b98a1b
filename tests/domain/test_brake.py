"""What a brake allows, and what each answer makes of it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.brake import (
    CEILING,
    CLOCK_DIFFERENCE,
    WINDOW,
    Brake,
    Limits,
    Permits,
    after_throttle,
    permits,
    refill,
)
from tests.make import NINE, make_brake, make_limits, minutes, seconds

FREE = make_brake()
LIMITS = make_limits()
TICK = timedelta(microseconds=1)


def ask(
    brake: Brake = FREE,
    limits: Limits = LIMITS,
    *,
    in_flight: int = 0,
    throttled: tuple[float, ...] = (),
) -> Permits:
    """Ask at nine; *throttled* are the seconds since each answer of 429."""
    at = [NINE - seconds(ago) for ago in throttled]
    return permits(brake, limits, now=NINE, in_flight=in_flight, throttled_at=at)


def throttle(brake: Brake, now: datetime = NINE, retry_after: timedelta | None = None) -> Brake:
    return after_throttle(brake, now=now, retry_after=retry_after)


PAUSED = "account paused: token revoked"
PAUSING = "pausing after 429 or a failed connection"
TOO_MANY = "too many 429 in five minutes"
ALLOWED = {
    "free": (ask(), Permits(CEILING)),
    "a lower max_in_flight": (ask(limits=make_limits(max_in_flight=3)), Permits(3)),
    "few tokens": (ask(make_brake(tokens=2.9)), Permits(2)),
    "some in flight": (ask(in_flight=CEILING - 1), Permits(1)),
    "all in flight": (ask(in_flight=CEILING), Permits(0, "in flight")),
    "more in flight than is allowed now": (
        ask(limits=make_limits(max_in_flight=3), in_flight=5),
        Permits(0, "in flight"),
    ),
    "a 429 counts until it is five minutes old": (
        ask(throttled=(299.9, 1)),
        Permits(CEILING - 2),
    ),
    "a 429 that is five minutes old does not": (ask(throttled=(300, 1)), Permits(CEILING - 1)),
    "a 429 takes the place of one in flight": (ask(throttled=(1,), in_flight=5), Permits(2)),
    "as many 429 as may be": (
        ask(throttled=(290, 280, 9, 8, 7, 6, 5, 4)),
        Permits(0, TOO_MANY, NINE + seconds(10)),
    ),
    "as many 429 and in flight as may be": (
        ask(throttled=(290, 280), in_flight=CEILING - 2),
        Permits(0, TOO_MANY, NINE + seconds(10)),
    ),
    "429 of a clock that is ahead": (
        ask(throttled=(-5,) * CEILING),
        Permits(0, TOO_MANY, NINE + seconds(305)),
    ),
    "pausing": (
        ask(make_brake(open_until=NINE + TICK, trips=1)),
        Permits(0, PAUSING, NINE + TICK),
    ),
    "the pause is over": (ask(make_brake(open_until=NINE, trips=1, slow_start=1)), Permits(1)),
    "probing": (ask(make_brake(trips=1), in_flight=1), Permits(0, "probing")),
    "slow start": (ask(make_brake(slow_start=4), in_flight=1), Permits(3)),
    "slow start, all on their way": (
        ask(make_brake(slow_start=4), in_flight=4),
        Permits(0, "slow start"),
    ),
    "a probe needs a token, too": (
        ask(make_brake(trips=1, tokens=0.5), make_limits(requests_per_second=0.1)),
        Permits(0, "requests per second", NINE + seconds(5)),
    ),
    "no token at one in a thousand seconds": (
        ask(make_brake(tokens=0.0), make_limits(requests_per_second=0.001)),
        Permits(0, "requests per second", NINE + WINDOW),
    ),
    "no token at a rate that is hardly one": (
        ask(make_brake(tokens=0.0), make_limits(requests_per_second=5e-324)),
        Permits(0, "requests per second", NINE + WINDOW),
    ),
    "all but a hair of a token": (
        ask(make_brake(tokens=1 - 2**-53)),
        Permits(0, "requests per second", NINE + timedelta(milliseconds=1)),
    ),
    "paused": (
        ask(make_brake(paused_at=NINE, paused_reason="token revoked", open_until=NINE + TICK)),
        Permits(0, PAUSED),
    ),
}


@pytest.mark.parametrize(("allowed", "expected"), ALLOWED.values(), ids=list(ALLOWED))
def test_the_tightest_limit_decides_and_says_when_to_ask_again(
    allowed: Permits, expected: Permits
) -> None:
    assert allowed == expected


counts = st.integers(0, 40)


@given(
    st.builds(
        make_brake,
        tokens=st.floats(0, 50),
        open_until=st.none() | st.integers(-400, 4000).map(lambda s: NINE + seconds(s)),
        trips=st.integers(0, 9),
        slow_start=st.none() | st.integers(1, 64),
    ),
    st.builds(
        make_limits,
        max_in_flight=st.integers(1, 100),
        requests_per_second=st.floats(1e-9, 1e6),
    ),
    counts,
    st.lists(st.floats(-100, 400), max_size=20),
)
def test_whoever_may_send_nothing_waits_for_an_answer_or_for_a_later_moment(
    brake: Brake, limits: Limits, in_flight: int, throttled: list[float]
) -> None:
    allowed = ask(brake, limits, in_flight=in_flight, throttled=tuple(throttled))

    assert 0 <= allowed.count <= min(CEILING, limits.max_in_flight)
    assert (allowed.count == 0) == (allowed.waits_for is not None)
    if allowed.count == 0:
        assert in_flight > 0 or allowed.ask_again_at is not None
        assert allowed.ask_again_at is None or allowed.ask_again_at > NINE


class TestTokens:
    def test_a_new_account_has_a_second_s_worth(self) -> None:
        brake = refill(make_brake(tokens=0.0, refilled_at=None), LIMITS, now=NINE)

        assert (brake.tokens, brake.refilled_at) == (20.0, NINE)

    @pytest.mark.parametrize(
        ("rate", "elapsed", "tokens"),
        [(20, 0.1, 2.0), (20, 60, 20.0), (0.1, 5, 0.5), (0.1, 10, 1.0), (0.1, 3600, 1.0)],
    )
    def test_time_earns_at_most_a_second_s_worth_or_one(
        self, rate: float, elapsed: float, tokens: float
    ) -> None:
        limits = make_limits(requests_per_second=rate)

        brake = refill(make_brake(tokens=0.0), limits, now=NINE + seconds(elapsed))

        assert brake.tokens == pytest.approx(tokens)

    @given(st.floats(0.01, 0.99), st.lists(st.floats(0.001, 5), min_size=1, max_size=30))
    def test_below_one_a_second_looking_often_earns_no_less(
        self, rate: float, steps: list[float]
    ) -> None:
        limits = make_limits(requests_per_second=rate)
        often = make_brake(tokens=0.0)
        now = NINE
        for step in steps:
            now += seconds(step)
            often = refill(often, limits, now=now)

        once = refill(make_brake(tokens=0.0), limits, now=now)

        assert often.tokens == pytest.approx(once.tokens)

    def test_after_the_told_moment_there_is_a_token(self) -> None:
        limits = make_limits(requests_per_second=0.7)
        waits = ask(make_brake(tokens=0.3), limits)
        assert waits.ask_again_at is not None

        later = waits.ask_again_at + TICK
        brake = refill(make_brake(tokens=0.3), limits, now=later)

        assert permits(brake, limits, now=later, in_flight=0, throttled_at=()).count == 1

    def test_clocks_that_are_apart_earn_no_moment_twice(self) -> None:
        """Two daemons take turns, the clock of one of them two seconds ahead."""
        brake = make_brake(tokens=0.0)
        for _ in range(10):
            brake = refill(brake, LIMITS, now=NINE + seconds(2))
            brake = replace(brake, tokens=0.0)
            brake = refill(brake, LIMITS, now=NINE)

        assert brake.tokens == 0.0

    def test_a_clock_that_was_set_back_earns_from_where_it_is_now(self) -> None:
        brake = refill(make_brake(tokens=1.0), LIMITS, now=NINE - minutes(60))
        assert brake.tokens == 1.0

        brake = refill(brake, LIMITS, now=NINE - minutes(60) + seconds(0.1))

        assert brake.tokens == pytest.approx(3.0)

    def test_a_pause_stays_as_long_as_it_was_when_the_clock_is_set_back(self) -> None:
        brake = make_brake(open_until=NINE + seconds(30), trips=1)

        brake = refill(brake, LIMITS, now=NINE - timedelta(days=400))

        assert brake.open_until == NINE - timedelta(days=400) + seconds(30)

    def test_clocks_that_are_a_little_apart_do_not_shorten_a_pause(self) -> None:
        brake = make_brake(open_until=NINE + seconds(30), trips=1)

        assert refill(brake, LIMITS, now=NINE - CLOCK_DIFFERENCE) == brake
