"""What holds for every timetable and every moment."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler.domain.timetable import (
    MomentKind,
    Timetable,
    TimetableSpec,
    build_timetable,
    delay,
    parse_exclusion,
)

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Antarctica/Casey",
]
CRONS = [
    "*/7 * * * *",
    "30 2 * * *",
    "0,30 1-3 * * *",
    "15 */2 * * 0-4",
    "0 0 L * *",
    "5 0 13 * 5; 10 2 * * *",
    "H H(0-3) * * *",
    "* 2 * * *",
]
STARTS = [
    datetime(2026, 3, 28, tzinfo=UTC),
    datetime(2026, 4, 4, tzinfo=UTC),
    datetime(2026, 10, 24, tzinfo=UTC),
    datetime(2011, 12, 29, tzinfo=UTC),
]
LINES = [[], ["sat-sun"], ["01:00-02:30"], ["Mon-Fri 22:00-03:00"], ["03-29", "10-25", "fri"]]

timed = st.one_of(
    st.builds(
        TimetableSpec,
        cron=st.sampled_from(CRONS),
        dst_gap=st.sampled_from(["shift", "skip"]),
        dst_fold=st.sampled_from(["first", "both"]),
        timezone=st.sampled_from(ZONES),
        exclusions=st.sampled_from(LINES).map(lambda lines: (parse_exclusion("x", lines),)),
    ),
    st.builds(
        TimetableSpec,
        every=st.sampled_from(["7m", "1h", "36h", "1w"]),
        anchor=st.datetimes(
            datetime(1950, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
            datetime(2090, 1, 1),  # noqa: DTZ001
            timezones=st.just(UTC),
        ).map(lambda moment: moment.replace(microsecond=0)),
        timezone=st.sampled_from(ZONES),
        exclusions=st.sampled_from(LINES).map(lambda lines: (parse_exclusion("x", lines),)),
    ),
    st.builds(
        TimetableSpec,
        calendar_interval=st.sampled_from(
            ["day at 02:30", "2 weeks on sun at 02:15", "month on 29"]
        ),
        timezone=st.sampled_from(ZONES),
        dst_fold=st.sampled_from(["first", "both"]),
    ),
)
timetables = timed.map(lambda spec: build_timetable(spec, name="nightly"))
# Around both clock changes of 2026 more often than not.
moments = st.builds(
    lambda day, seconds, micros: day + timedelta(seconds=seconds, microseconds=micros),
    st.sampled_from(STARTS),
    st.integers(-200_000, 200_000),
    st.sampled_from([0, 1, 999_999]),
)


def first(timetable: Timetable, moment: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    following = timetable.next_after(moment)
    while following is not None and len(found) < count:
        found.append(following)
        following = timetable.next_after(following)
    return found


@settings(max_examples=150)
@given(timetables, moments)
def test_occurrences_strictly_increase_on_whole_seconds(
    timetable: Timetable, moment: datetime
) -> None:
    found = [moment, *first(timetable, moment, 30)]

    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(later.microsecond == 0 and later.tzinfo is UTC for later in found[1:])


@settings(max_examples=100)
@given(timetables, moments, st.integers(0, 250_000))
def test_two_passes_are_one_pass_wherever_it_is_split(
    timetable: Timetable, start: datetime, seconds: int
) -> None:
    end = start + timedelta(days=3)
    middle = start + timedelta(seconds=seconds)

    at_once = list(timetable.occurrences(start, end))

    in_two = [*timetable.occurrences(start, middle), *timetable.occurrences(middle, end)]
    assert in_two == at_once
    assert all(start < moment <= end for moment in at_once)


@settings(max_examples=100)
@given(timetables, moments)
def test_an_explanation_agrees_with_the_occurrences(timetable: Timetable, moment: datetime) -> None:
    following = timetable.next_after(moment)
    assume(following is not None)
    assert following is not None  # for mypy, which does not know assume

    explained = timetable.explain(following)

    assert explained.kind is MomentKind.OCCURRENCE
    assert explained.following == timetable.next_after(following)
    assert explained.previous is not None
    assert timetable.next_after(explained.previous) == following


@given(
    st.text(max_size=20),
    moments,
    st.integers(1, 10**7),
    st.integers(0, 10**7),
    st.integers(0, 10**7),
)
def test_a_delay_stays_before_the_next_slot_and_never_changes(
    name: str, slot: datetime, room: int, jitter: int, spread: int
) -> None:
    next_slot = slot + timedelta(seconds=room)
    lengths = (timedelta(seconds=jitter), timedelta(seconds=spread))

    delayed = delay(name, slot, next_slot, *lengths)

    assert timedelta(0) <= delayed < next_slot - slot
    assert delayed <= sum(lengths, timedelta(0))
    assert delay(name, slot, next_slot, *lengths) == delayed
