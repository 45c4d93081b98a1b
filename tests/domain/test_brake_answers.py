"""What each answer makes of a brake."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.brake import (
    BACKOFF,
    CEILING,
    CLOCK_DIFFERENCE,
    LONGEST_RETRY_AFTER,
    Brake,
    after_crash,
    after_credentials_refused,
    after_loss,
    after_success,
    after_throttle,
    after_unreachable,
    permits,
    refill,
)
from tests.make import NINE, make_brake, make_limits, minutes, seconds

FREE = make_brake()
LIMITS = make_limits()


def throttle(brake: Brake, now: datetime = NINE, retry_after: timedelta | None = None) -> Brake:
    return after_throttle(brake, now=now, retry_after=retry_after)


def may_leave(brake: Brake, *, in_flight: int = 0) -> int:
    return permits(brake, LIMITS, now=NINE, in_flight=in_flight, throttled_at=()).count


class TestThrottled:
    @pytest.mark.parametrize("strike", range(1, 8))
    def test_each_failed_probe_doubles_the_pause_as_documented(self, strike: int) -> None:
        brake = throttle(make_brake(trips=strike - 1, open_until=NINE - seconds(1)))

        assert brake.open_until == NINE + BACKOFF[min(strike, 5) - 1]
        assert (brake.trips, brake.slow_start) == (strike, 1)

    RETRY_AFTER = (
        (seconds(7), seconds(7)),
        (timedelta(), BACKOFF[0]),
        (seconds(-7), BACKOFF[0]),
        (LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER),
        (timedelta.max, LONGEST_RETRY_AFTER),
    )

    @pytest.mark.parametrize(("asked", "pause"), RETRY_AFTER)
    def test_retry_after_is_honoured_where_it_makes_sense(
        self, asked: timedelta, pause: timedelta
    ) -> None:
        assert throttle(FREE, retry_after=asked).open_until == NINE + pause

    def test_a_burst_is_one_strike_and_pauses_from_its_last_answer(self) -> None:
        brake = FREE
        for number in range(CEILING):
            brake = throttle(brake, NINE + seconds(number / 10))

        assert brake.trips == 1
        assert brake.open_until == NINE + seconds((CEILING - 1) / 10) + BACKOFF[0]

    def test_no_answer_of_a_burst_shortens_the_pause(self) -> None:
        brake = throttle(FREE, retry_after=minutes(5))

        brake = throttle(brake, NINE + seconds(1), retry_after=seconds(1))

        assert brake.open_until == NINE + minutes(5)

    def test_the_success_of_a_request_sent_before_it_does_not_end_a_pause(self) -> None:
        brake = throttle(FREE, retry_after=minutes(1))

        later = refill(brake, LIMITS, now=NINE + seconds(59))
        brake = after_success(later, LIMITS)

        assert brake == replace(later, consecutive_losses=0)


class TestRecovery:
    @pytest.mark.parametrize(
        ("max_in_flight", "steps"),
        [(1, [2, None]), (2, [2, None]), (3, [2, None]), (32, [2, 4, 8, 16, None])],
    )
    def test_a_probe_opens_the_slow_start_that_doubles_until_it_is_over(
        self, max_in_flight: int, steps: list[int | None]
    ) -> None:
        limits = make_limits(max_in_flight=max_in_flight)
        brake = refill(throttle(FREE), limits, now=NINE + minutes(1))

        seen = []
        for _ in steps:
            brake = after_success(brake, limits)
            seen.append(brake.slow_start)

        assert seen == steps
        assert (brake.trips, brake.open_until) == (0, None)
        assert permits(brake, limits, now=NINE, in_flight=0, throttled_at=()).count == min(
            max_in_flight, CEILING
        )

    def test_a_429_in_a_slow_start_begins_again_with_a_probe(self) -> None:
        brake = throttle(make_brake(slow_start=8))

        assert (brake.trips, brake.slow_start, brake.open_until) == (1, 1, NINE + BACKOFF[0])

    def test_a_success_of_a_free_brake_changes_nothing(self) -> None:
        assert after_success(FREE, LIMITS) == FREE


class TestLosses:
    def test_the_third_in_a_row_closes_the_brake(self) -> None:
        brake = after_loss(after_loss(FREE, now=NINE), now=NINE)
        assert brake == replace(FREE, consecutive_losses=2)

        brake = after_loss(brake, now=NINE)

        assert (brake.consecutive_losses, brake.trips, brake.open_until) == (
            3,
            1,
            NINE + BACKOFF[0],
        )

    def test_a_success_between_them_begins_the_count_anew(self) -> None:
        brake = after_loss(after_loss(FREE, now=NINE), now=NINE)

        assert after_success(brake, LIMITS).consecutive_losses == 0

    def test_a_failed_connection_closes_the_brake_like_a_429(self) -> None:
        assert after_unreachable(FREE, now=NINE) == throttle(FREE)


class TestCrash:
    def test_what_comes_after_it_is_a_probe(self) -> None:
        brake = after_crash(FREE)

        assert brake == replace(FREE, trips=1, slow_start=1)
        assert may_leave(brake) == 1
        assert may_leave(brake, in_flight=1) == 0

    def test_it_keeps_a_pause_and_its_strikes(self) -> None:
        brake = make_brake(trips=4, open_until=NINE + seconds(9), slow_start=1)

        assert after_crash(brake) == brake


class TestCredentials:
    def test_nothing_is_sent_after_they_were_refused(self) -> None:
        brake = after_credentials_refused(
            FREE, now=NINE, detail="token revoked", token_fingerprint="abc"
        )

        assert brake == replace(
            FREE, paused_at=NINE, paused_reason="token revoked", paused_token="abc"
        )
        assert may_leave(brake) == 0

    def test_a_person_s_pause_is_not_made_one_that_a_new_token_lifts(self) -> None:
        by_hand = make_brake(paused_at=NINE, paused_reason="holidays", paused_token=None)

        brake = after_credentials_refused(by_hand, now=NINE, detail="401", token_fingerprint="abc")

        assert brake == by_hand


steps: dict[str, Callable[[Brake, datetime], Brake]] = {
    "429": throttle,
    "429, wait": lambda brake, now: throttle(brake, now, seconds(40)),
    "lost": lambda brake, now: after_loss(brake, now=now),
    "unreachable": lambda brake, now: after_unreachable(brake, now=now),
    "success": lambda brake, now: after_success(brake, LIMITS),
    "crash": lambda brake, now: after_crash(brake),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(steps)), st.integers(-4000, 60)), max_size=40))
def test_a_pause_belongs_to_a_strike_and_is_never_longer_than_an_hour(
    history: list[tuple[str, int]],
) -> None:
    """Whatever the answers are, and however often the clock is set back."""
    brake, now = FREE, NINE
    for step, passed in history:
        now += seconds(passed)
        brake = steps[step](refill(brake, LIMITS, now=now), now)

        assert brake.trips > 0 or brake.open_until is None
        assert brake.slow_start is None or brake.slow_start >= 1
        assert brake.open_until is None or (
            brake.open_until <= now + LONGEST_RETRY_AFTER + CLOCK_DIFFERENCE
        )
