"""Where results are saved, and when they are tried again."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.results import (
    NotSaved,
    ResultFormat,
    ResultOf,
    ResultReason,
    check_result_path,
    next_attempt,
    ready_until,
    render_result_path,
)

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OF = ResultOf(
    run_id=7,
    collection_id="j_abc",
    schedule="news",
    collector="shop",
    due_at=NINE,
    is_one_of_several=False,
)


def rendered(template: str, of: ResultOf = OF) -> str:
    return str(render_result_path(template, of, zone=ZoneInfo("Asia/Tokyo")).path)


def test_placeholders_are_those_of_a_name_and_of_the_run() -> None:
    template = "{collector}/{schedule}/{due_at:%Y/%m}/{due_at:%d-%H}-{run_id}-{collection_id}.csv"

    assert rendered(template) == "shop/news/2026/03/02-18-7-j_abc.csv"


@pytest.mark.parametrize(
    "template",
    [
        "/etc/{run_id}.json", "../{run_id}.json", "a/../{run_id}.json", "a//{run_id}.json",
        ".{run_id}.json", "a/.b/{run_id}.json", "{run_id}.json/", "{run_id}", "{run_id}.exe",
        "{run_id}.gz", "{run_id}.json.gz.gz", "a\\{run_id}.json", "a\n{run_id}.json",
        "{other}-{run_id}.json", "{schedule}.json", "x.json", "{due_at:%Q}.json", "{",
        "{run_id}" + "x" * 300 + ".json", "",
    ],
)  # fmt: skip
def test_what_is_no_path_below_the_folder_is_refused(template: str) -> None:
    with pytest.raises(InvalidInput):
        check_result_path(template)


@pytest.mark.parametrize(
    ("value", "part"),
    [("..", "_."), ("a/b", "a_b"), (".ssh", "_ssh"), ("a\0b", "a_b"), ("x" * 999, "x" * 100)],
)
def test_a_value_is_one_part_whatever_is_in_it(value: str, part: str) -> None:
    of = ResultOf(
        run_id=7,
        collection_id="j_abc",
        schedule=value,
        collector="shop",
        due_at=NINE,
        is_one_of_several=False,
    )

    assert rendered("{schedule}/{run_id}.json", of) == f"{part}/7.json"


@pytest.mark.parametrize(
    ("name", "format", "is_gzip"),
    [
        ("a.json", ResultFormat.AS_IT_CAME, False),
        ("a.jsonl.gz", ResultFormat.LINES, True),
        ("a.ndjson", ResultFormat.LINES, False),
        ("a.csv.gz", ResultFormat.CSV, True),
    ],
)
def test_the_end_of_its_name_says_its_form(name: str, format: ResultFormat, is_gzip: bool) -> None:
    path = render_result_path("{run_id}" + name, OF, zone=UTC)

    assert (path.format, path.is_gzip) == (format, is_gzip)


def test_one_of_several_has_its_number_before_the_end_of_its_name() -> None:
    of = ResultOf(
        run_id=8,
        collection_id="j_abc",
        schedule="news",
        collector="shop",
        due_at=NINE,
        is_one_of_several=True,
    )

    assert rendered("{due_at:%Y}.csv.gz", of) == "2026.run-8.csv.gz"
    assert rendered("{run_id}.csv.gz", of) == "8.csv.gz"


EXPIRES = NINE + timedelta(days=16)


def again(reason: ResultReason, attempts: int, now: datetime = NINE) -> timedelta | None:
    failure = NotSaved(reason=reason, detail="x")
    moment = next_attempt(failure, attempts=attempts, now=now, expires_at=EXPIRES)
    return None if moment is None else moment - now


def test_what_heals_is_tried_again_after_growing_pauses_until_it_expires() -> None:
    seconds = timedelta(seconds=30)

    assert again(ResultReason.DISK_FULL, 1) == seconds
    assert again(ResultReason.DISK_FULL, 3) == 4 * seconds
    assert again(ResultReason.DISK_FULL, 99) == timedelta(hours=1)
    assert again(ResultReason.DISK_FULL, 99, EXPIRES) is None


@pytest.mark.parametrize("reason", ["in_the_way", "bad_path", "refused"])
def test_what_does_not_heal_is_not(reason: str) -> None:
    assert again(ResultReason(reason), 1) is None


def test_one_that_is_gone_is_asked_for_twice_more() -> None:
    assert again(ResultReason.EXPIRED, 2) is not None
    assert again(ResultReason.EXPIRED, 3) is None


def test_ready_by_is_a_time_of_the_schedules_zone_across_a_change_of_the_clock() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)

    assert ready_until("06:00", before, berlin) == datetime(2026, 3, 29, 4, 0, tzinfo=UTC)
    assert ready_until("06:00", NINE, berlin) == datetime(2026, 3, 3, 5, 0, tzinfo=UTC)
