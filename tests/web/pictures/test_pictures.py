"""Each picture as text: what is drawn of given values, and what is said of it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.domain.records import RunState
from scheduler.web.pictures import svg
from scheduler.web.pictures.frame import Picture
from scheduler.web.pictures.gantt import Moment, Span, SpanKind, draw_gantt
from scheduler.web.pictures.looks import WORST_FIRST, mark, state_keys
from scheduler.web.pictures.minutes import draw_minutes
from scheduler.web.pictures.plots import Point, draw_durations, draw_lateness, draw_rows, usual_of
from scheduler.web.pictures.shares import Share, draw_shares
from scheduler.web.pictures.spark import Ended, draw_lags, draw_spark, draw_trend
from scheduler.web.pictures.strip import Bar, Planned, StripRow, draw_strip
from scheduler.web.pictures.week import HourCount, Limit, draw_load, draw_week
from scheduler.web.pictures.year import draw_year
from scheduler.web.pictures.year_hours import draw_year_hours
from tests.web.pictures.checks import SVG, check, classes, having, parsed, texts, titles

UTC_ZONE = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NASTY = """<script>alert('1')</script> & "quotes" \x00\x0b\ud800 ]]> 漢字 ‮"""


def points(values: list[float], state: RunState = RunState.SUCCEEDED) -> list[Point]:
    return [
        Point(at=NOON + MINUTE * place, value=value, state=state, name=f"run {place}")
        for place, value in enumerate(values)
    ]


def strip(*rows: StripRow, now: datetime = NOON, zone: ZoneInfo = UTC_ZONE) -> Picture:
    return draw_strip(rows, begin=now - 12 * HOUR, now=now, finish=now + 12 * HOUR, zone=zone)


# Markup.


def test_words_are_escaped_and_what_xml_cannot_say_is_replaced() -> None:
    escaped = svg.escape(NASTY)

    assert "<" not in escaped.replace("&lt;", "")
    assert not {"\x00", "\x0b", "\ud800"} & set(escaped)
    assert "漢字" in escaped


def test_a_name_that_is_markup_is_only_ever_text() -> None:
    pictures = (
        strip(StripRow(name=NASTY, note=NASTY, planned=[Planned(at=NOON + HOUR)])),
        draw_gantt(
            [Span(says=NASTY, kind=SpanKind.WAITING, start=NOON, end=None)],
            [Moment(says=NASTY, at=NOON)],
            now=NOON + HOUR,
            zone=UTC_ZONE,
        ),
        draw_rows([Point(at=NOON, value=1, state=RunState.FAILED, name=NASTY)], zone=UTC_ZONE),
        draw_load(
            [HourCount(start=NOON, count=3)],
            limits=[Limit(per_hour=2, says=NASTY)],
            zone=UTC_ZONE,
        ),
    )

    for picture in pictures:
        check(picture)
        assert "<script" not in picture.svg + "".join(entry.svg for entry in picture.legend)


def test_coordinates_are_short() -> None:
    assert svg.tag("rect", x=1 / 3, y=-0.04, width=20.0) == '<rect x="0.3" y="0" width="20"/>'
    assert svg.fit("a-long-name-of-a-schedule", 60) == "a-long-n…"


def test_each_state_has_a_mark_of_its_own() -> None:
    assert set(WORST_FIRST) == set(RunState)
    assert len({mark(state, 0, 0, 10) for state in RunState}) == len(RunState)
    assert [entry.means for entry in state_keys([RunState.FAILED, RunState.SUCCEEDED])] == [
        "succeeded",
        "failed",
    ]


# Without values.


def test_a_picture_of_nothing_says_what_would_be_there() -> None:
    pictures = (
        strip(),
        draw_week([], zone=BERLIN),
        draw_load([], zone=BERLIN),
        draw_year(
            {}, {}, begin=date(2026, 1, 1), finish=date(2026, 12, 31), today=date(2026, 3, 1)
        ),
        draw_lateness([], grace=60, zone=BERLIN),
        draw_durations([], zone=BERLIN),
        draw_rows([], zone=BERLIN),
        draw_gantt([], [], now=NOON, zone=BERLIN),
    )

    for picture in pictures:
        check(picture)
        assert picture.is_empty
        assert picture.table.rows == ()
        assert texts(parsed(picture.svg)) == [picture.says]
    assert draw_minutes([], [], per_minute=60, now=NOON, zone=BERLIN).is_empty
    assert titles(parsed(draw_spark([]))) == ["no run yet"]


# The strip.


def test_runs_are_bars_left_of_now_and_planned_ones_outlines_right_of_it() -> None:
    bar = Bar(start=NOON - 3 * HOUR, end=NOON - 2 * HOUR, state=RunState.FAILED)
    picture = strip(StripRow(name="nightly", bars=[bar], planned=[Planned(at=NOON + 3 * HOUR)]))

    root = check(picture)
    (failed,), (planned,) = having(root, "s-failed"), having(root, "planned")
    (future,) = having(root, "future")
    now = float(future.get("x") or 0)
    assert float(failed.get("x") or 0) < now < float(planned.get("x") or 0)
    assert abs(float(failed.get("width") or 0) - (now - 170) / 12) < 0.2
    assert having(root, "mark")
    assert picture.table.rows == (("nightly", "1 failed", "1 planned"),)
    assert picture.says == "1 schedule: 1 run so far, 1 failed; 1 planned"


def test_a_dense_place_is_one_bar_with_a_number_and_the_worst_state() -> None:
    states = [RunState.SUCCEEDED] * 13 + [RunState.FAILED]
    bars = [
        Bar(
            start=NOON - HOUR + timedelta(seconds=204 * place),
            end=NOON - HOUR + timedelta(seconds=204 * place + 90),
            state=state,
        )
        for place, state in enumerate(states)
    ]

    root = check(strip(StripRow(name="often", bars=bars)))

    assert "×14" in texts(root)
    assert having(root, "s-failed")
    assert not having(root, "s-succeeded")
    assert "1 failed, 13 succeeded" in titles(root)


def test_a_bad_hour_does_not_colour_the_whole_day() -> None:
    bars = [
        Bar(
            start=NOON - MINUTE * 5 * place,
            end=NOON - MINUTE * (5 * place - 4),
            state=RunState.FAILED if place == 100 else RunState.SUCCEEDED,
        )
        for place in range(144, 0, -1)
    ]

    root = check(strip(StripRow(name="often", bars=bars)))

    assert len(having(root, "s-failed")) == 1
    assert len(having(root, "s-succeeded")) >= 10


def test_a_strip_names_where_the_clock_is_set() -> None:
    now = datetime(2026, 3, 28, 20, tzinfo=UTC)

    root = check(
        strip(StripRow(name="nightly", planned=[Planned(at=now + HOUR)]), now=now, zone=BERLIN)
    )

    assert "clock +1 h" in texts(root)
    assert having(root, "clock")
    assert "02:00" not in texts(root)


def test_ten_thousand_runs_are_few_bars() -> None:
    bars = [
        Bar(
            start=NOON - timedelta(seconds=4 * place),
            end=NOON - timedelta(seconds=4 * place),
            state=RunState.SUCCEEDED,
        )
        for place in range(10_000)
    ]

    picture = strip(StripRow(name="often", bars=bars))

    check(picture)
    assert len(picture.svg) < 10_000
    assert picture.table.rows[0][1] == "10,000 succeeded"


def test_a_note_says_why_nothing_is_planned() -> None:
    picture = strip(StripRow(name="nightly", note="paused by anna"))

    assert "paused by anna" in texts(check(picture))
    assert picture.table.rows == (("nightly", "", "paused by anna"),)


# The week and its load.


def hours_of(first: datetime, count: int, each: int = 1) -> list[HourCount]:
    return [HourCount(start=first + HOUR * place, count=each) for place in range(count)]


def test_a_day_of_23_hours_has_a_cell_without_an_hour() -> None:
    picture = draw_week(hours_of(datetime(2026, 3, 28, 23, tzinfo=UTC), 23), zone=BERLIN)

    root = check(picture)
    assert len(having(root, "hatch")) == 3
    assert len(having(root, "in-cell")) == 23
    assert picture.table.rows == (("Sun 29 Mar", "23", "00:00, 1"),)
    assert "the clock jumps over it" in [entry.means for entry in picture.legend]


def test_a_day_of_25_hours_sums_the_hour_that_comes_twice() -> None:
    picture = draw_week(hours_of(datetime(2026, 10, 24, 22, tzinfo=UTC), 25), zone=BERLIN)

    root = check(picture)
    assert len(having(root, "twice")) == 1
    assert len(having(root, "in-cell")) == 24
    assert "02:00: 2 runs, an hour that comes twice" in titles(root)
    assert picture.table.rows == (("Sun 25 Oct", "25", "02:00, 2"),)


def test_shades_are_quarters_of_the_most() -> None:
    hours = [
        HourCount(start=NOON + HOUR * place, count=count)
        for place, count in enumerate([0, 1, 50, 100])
    ]

    picture = draw_week(hours, zone=UTC_ZONE)

    used = classes(check(picture))
    assert {"none", "shade-1", "shade-2", "shade-4"} <= used
    assert picture.legend[0].means == "1–25 runs"


@pytest.mark.parametrize("count", [1, 7, 10**12])
def test_equal_hours_are_equally_dark(count: int) -> None:
    used = classes(check(draw_week(hours_of(NOON, 48, count), zone=UTC_ZONE)))

    assert {name for name in used if name.startswith("shade-")} == {"shade-4"}


def test_an_hour_beyond_a_limit_looks_otherwise_and_a_far_limit_is_only_told() -> None:
    limits = [
        Limit(per_hour=5, says="5 an hour of shop"),
        Limit(per_hour=72_000, says="72,000 of main"),
    ]
    hours = [HourCount(start=NOON, count=4), HourCount(start=NOON + HOUR, count=6)]

    picture = draw_load(hours, limits=limits, zone=UTC_ZONE)

    root = check(picture)
    assert len(having(root, "beyond")) == 1
    assert "5 an hour of shop" in texts(root)
    assert "far above: 72,000 of main" in [entry.means for entry in picture.legend]
    assert picture.says == "10 runs planned in 2 hours; at most 6 in one, from Mon 13:00"


# The year.


def test_a_day_shows_its_worst_and_a_planned_one_an_outline() -> None:
    today = date(2026, 3, 2)
    outcomes = {
        today - timedelta(days=1): {RunState.SUCCEEDED: 23, RunState.FAILED: 1},
        today - timedelta(days=2): {RunState.SUCCEEDED: 24},
    }
    planned = {today + timedelta(days=1): 24}

    picture = draw_year(
        outcomes, planned, begin=date(2025, 9, 1), finish=date(2026, 8, 31), today=today
    )

    root = check(picture)
    assert len(having(root, "s-failed")) == 1
    assert len(having(root, "s-succeeded")) == 1
    assert len(having(root, "planned")) == 1
    assert len(having(root, "today")) == 1
    assert "Sun 1 Mar: 1 failed, 23 succeeded" in titles(root)
    assert picture.table.rows[-1] == ("Tue 3 Mar 2026", "no run", "24")


def test_a_leap_year_has_a_cell_for_each_day() -> None:
    begin, finish = date(2028, 1, 1), date(2028, 12, 31)
    days = {begin + timedelta(days=place): 1 for place in range(366)}

    assert (
        len(having(check(draw_year({}, days, begin=begin, finish=finish, today=begin)), "planned"))
        == 366
    )


# Plots.


def test_lateness_has_a_grace_line_and_tells_how_many_are_beyond() -> None:
    picture = draw_lateness(points([0.02, 0.5, 400]), grace=300, zone=UTC_ZONE)

    root = check(picture)
    assert "grace 5 min" in texts(root)
    assert "1 more than the grace of 5 min" in picture.says
    assert {"10 ms", "100 ms", "1 s", "10 s", "1 min"} <= set(texts(root))


def test_median_p95_and_the_usual_band_are_drawn_and_named() -> None:
    picture = draw_rows(points([float(value) for value in range(100, 201)]), zone=UTC_ZONE)

    root = check(picture)
    assert {"median 150", "p95 195"} <= set(texts(root))
    assert len(having(root, "band")) == 1
    assert usual_of([float(value) for value in range(100, 201)]) is not None


@pytest.mark.parametrize("draw", [draw_durations, draw_rows])
@pytest.mark.parametrize(
    "values",
    [
        *([0], [5], [5, 5, 5], [0, 0], [1e-9, 1e12], [-1e9, 1e9], [0.001] * 3),
        [float(value % 97) for value in range(10_000)],
    ],
    ids=str,
)
def test_any_range_of_values_is_drawn_within_its_frame(draw, values) -> None:  # type: ignore[no-untyped-def]
    picture = draw(points(values), zone=BERLIN)

    check(picture)
    assert len(picture.svg) < 150_000
    assert len(picture.table.rows) <= 200


@pytest.mark.parametrize(
    "values", [[0], [-5, 5], [1e-9, 1e9], [3] * 10_000], ids=lambda v: str(v[:2])
)
@pytest.mark.parametrize("grace", [None, 0.0, 1.0, 1e9])
def test_any_lateness_is_drawn_within_its_frame(values: list[float], grace: float | None) -> None:
    check(draw_lateness(points(values), grace=grace, zone=BERLIN))


def test_of_many_points_the_extremes_and_the_failed_are_kept() -> None:
    many = points([float(value % 50) for value in range(10_000)])
    many[5_003] = Point(at=many[5_003].at, value=7_000, state=RunState.SUCCEEDED)
    many[7_001] = Point(at=many[7_001].at, value=1, state=RunState.FAILED)

    root = check(draw_rows(many, zone=UTC_ZONE))

    assert any("7,000" in each or "7k" in each for each in titles(root))
    assert len(having(root, "s-failed")) == 1
    assert any("of 10,000 runs" in each for each in texts(root))


def test_a_plot_of_one_run_says_it_in_a_word() -> None:
    assert draw_rows(points([5]), zone=UTC_ZONE).says == "1 run: 5 rows"


# A run's life.


def test_the_life_of_a_run_is_a_row_each_with_its_length() -> None:
    picture = draw_gantt(
        [
            Span(says="in the queue", kind=SpanKind.WAITING, start=NOON, end=NOON + MINUTE),
            Span(says="crawls", kind=SpanKind.CRAWLING, start=NOON + MINUTE, end=None),
        ],
        [Moment(says="due", at=NOON), Moment(says="deadline", at=NOON + 500 * HOUR)],
        now=NOON + 31 * MINUTE,
        zone=UTC_ZONE,
    )

    root = check(picture)
    assert {"in the queue", "1 min", "30 min so far", "due", "12:00:00"} <= set(texts(root))
    assert any("beyond this picture" in each for each in texts(root))
    assert having(root, "open")
    assert picture.table.rows[1][2:] == ("–", "30 min so far")


def test_a_run_of_no_time_at_all_is_still_seen() -> None:
    spans = [Span(says="in the queue", kind=SpanKind.WAITING, start=NOON, end=NOON)]

    root = check(draw_gantt(spans, [], now=NOON, zone=UTC_ZONE))

    (bar,) = having(root, "g-waiting")
    assert float(bar.get("width") or 0) >= 2


# Sparks and minutes.


def test_a_spark_shows_the_last_twenty_with_marks_for_what_went_wrong() -> None:
    runs = [Ended(state=RunState.SUCCEEDED, seconds=place) for place in range(30)]

    root = parsed(draw_spark([*runs, Ended(state=RunState.FAILED, seconds=None)]))

    assert titles(root)[0] == "the last 20: 19 succeeded, 1 failed"
    assert len(having(root, "mark")) == 1
    bars = having(root, "s-succeeded")
    heights = [float(bar.get("height") or 0) for bar in bars]
    assert heights == sorted(heights)


def test_answers_of_429_are_crosses_in_their_minute() -> None:
    sent = [NOON - timedelta(seconds=30 * place) for place in range(1, 100)]
    throttled = [NOON - 10 * MINUTE + timedelta(seconds=place) for place in range(3)]

    picture = draw_minutes(sent, throttled, per_minute=4, now=NOON, zone=UTC_ZONE)

    root = check(picture)
    assert len(having(root, "throttled")) == 2
    assert "×3" in texts(root)
    assert "4 a minute allowed" in texts(root)
    assert ("11:50:00", "2", "3") in picture.table.rows


def test_what_is_older_than_an_hour_is_not_counted() -> None:
    picture = draw_minutes([NOON - 2 * HOUR], [NOON + HOUR], per_minute=4, now=NOON, zone=UTC_ZONE)

    assert picture.is_empty


# Shares, and the trend of failures.


def shares(*values: tuple[str, float, float], limit: float | None = None) -> Picture:
    found = [Share(name=name, used=used, whole=whole) for name, used, whole in values]
    return draw_shares(
        found, what="page loads", column="label", say=lambda v: f"{v:.0f}", limit=limit
    )


def test_what_is_used_is_full_and_what_is_to_come_an_outline() -> None:
    picture = shares(("eu", 50, 100), (NASTY, 10, 10))
    root = check(picture)

    (full, _), (outline,) = having(root, "shade-3"), having(root, "planned")
    assert full.get("width") == outline.get("width")
    assert "50 → 100" in texts(root)
    assert picture.table.rows[0] == ("eu", "50", "100")


def test_what_is_beyond_a_limit_is_red_and_no_word_stands_on_its_line() -> None:
    root = check(shares(("over", 130, 140), ("near", 97, 99), ("wide", 9, 95), limit=100))

    at = float((having(root, "limit")[0].get("d") or "").split()[0].lstrip("M"))
    values = [each for each in root.iter(f"{SVG}text") if each.get("text-anchor") is None]
    places = [(float(each.get("x") or 0), len(each.text or "")) for each in values]
    assert len(having(root, "beyond")) == 1
    assert len(places) == 3
    assert not [x for x, letters in places if x <= at + 4 and x + 6 * letters >= at]


def test_of_nothing_there_is_a_sentence() -> None:
    assert shares().is_empty
    assert shares(("none", 0, 0)).says.startswith("1 label: page loads")


def test_a_loop_of_a_second_late_is_red_and_what_is_usual_small() -> None:
    root = parsed(draw_lags([0.002, 1.5]))

    usual, late = root.iter(f"{SVG}rect")
    assert (classes(usual), classes(late)) == ({"shade-3"}, {"beyond"})
    assert float(late.get("height") or 0) > 10 * float(usual.get("height") or 0)
    assert titles(root)[1:] == ["1 min ago: 2 ms", "0 min ago: 1.5 s"]


def test_each_day_has_its_failures_and_one_of_none_a_line() -> None:
    root = parsed(
        draw_trend(
            {date(2026, 3, 2): 4, date(2026, 3, 3): 2}, begin=date(2026, 3, 1), end=date(2026, 3, 3)
        )
    )

    none, most, half = (float(bar.get("height") or 0) for bar in root.iter(f"{SVG}rect"))
    assert none < half < most
    assert "Mon 02 Mar: 4 failed" in titles(root)


def test_the_hours_of_a_year_are_bars_of_days_alike_and_marks_of_what_went_wrong() -> None:
    begin, today = date(2026, 3, 1), date(2026, 3, 5)
    outcomes = {
        **{(begin + timedelta(days=day), 9): {RunState.SUCCEEDED: 1} for day in range(3)},
        (date(2026, 3, 4), 9): {RunState.SUCCEEDED: 3, RunState.FAILED: 1},
        (date(2026, 2, 1), 9): {RunState.FAILED: 1},
    }
    planned = {(today + timedelta(days=day), 17): 2 for day in range(4)}

    picture = draw_year_hours(outcomes, planned, begin=begin, finish=date(2026, 3, 8), today=today)
    root = check(picture)

    assert "09:00, Sun 1 Mar to Tue 3 Mar: 3 succeeded" in titles(root)
    assert "09:00, Wed 4 Mar: 1 failed, 3 succeeded" in titles(root)
    assert "17:00, Thu 5 Mar to Sun 8 Mar: 8 planned" in titles(root)
    assert [len(having(root, each)) for each in ("s-failed", "mark", "planned")] == [1, 1, 1]
    assert [row[0] for row in picture.table.rows] == ["09:00", "17:00"]
    assert draw_year_hours({}, {}, begin=begin, finish=today, today=today).is_empty
