"""The keys of overlap, catching up, following another schedule, labels, and batches' guards."""

from pathlib import Path

import pytest

from scheduler.domain.records import AfterWhen, Overlap
from tests.config.make import SOUND, load, problems

AFTER = (
    SOUND.replace('cron = "0 2 * * *"', 'after = "first"')
    + """
[schedules.first]
collector = "products"
batch = "pages"
every = "1h"
"""
)


def test_policies_have_defaults_that_change_nothing(tmp_path: Path) -> None:
    config = load(tmp_path, SOUND)
    schedule, batch = config.schedules["nightly"], config.batches["pages"]

    assert (schedule.overlap, schedule.labels, schedule.max_runs) == (Overlap.QUEUE, (), None)
    assert (batch.dedupe, batch.required, batch.max_change_percent) == (False, (), None)


def test_a_schedule_may_follow_another(tmp_path: Path) -> None:
    schedule = load(
        tmp_path, AFTER.replace("after =", "after_when = 'succeeded'\nafter =")
    ).schedules

    assert schedule["nightly"].after == "first"
    assert schedule["nightly"].after_when is AfterWhen.SUCCEEDED


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("overlap = 'wait'", "schedules.nightly.overlap: must be queue, allow, skip"),
        ("labels = ['a,b']", "schedules.nightly.labels: 'a,b' has a comma"),
        ("labels = ['a', 'a']", "schedules.nightly.labels: must not hold one twice"),
        ("labels = ['']", "schedules.nightly.labels: a name must be printable"),
        ("labels = 'a'", "schedules.nightly.labels: must be an array, not text"),
        ("max_runs = 0", "schedules.nightly.max_runs: must be at least 1"),
        ("catch_up_max = 0", "schedules.nightly.catch_up_max: must be at least 1"),
        ("catch_up_pace = '1'", "schedules.nightly.catch_up_pace: "),
        ("pause_after_failures = 0", "schedules.nightly.pause_after_failures: must be at least 1"),
        ("min_rows = -1", "schedules.nightly.min_rows: must be at least 0"),
        ("max_fall_percent = 101", "schedules.nightly.max_fall_percent: must be at most 100"),
        (
            "after = 'nightly'",
            "schedules.nightly.after: comes after itself (nightly after nightly)",
        ),
        ("after_when = 'succeeded'", "schedules.nightly: after_when goes with after"),
    ],
)
def test_a_wrong_policy_is_told_with_its_place(tmp_path: Path, keys: str, problem: str) -> None:
    found = problems(tmp_path, f"{SOUND}\n{keys}")

    assert any(one.startswith(problem) for one in found), found


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("max_inputs_per_trigger = 0", "batches.pages.max_inputs_per_trigger: must be at least 1"),
        ("max_change_percent = -1", "batches.pages.max_change_percent: must be at least 0"),
        ("required = ['a,b']", "batches.pages.required: 'a,b' has a comma"),
        ("dedupe = 'yes'", "batches.pages.dedupe: must be true or false"),
    ],
)
def test_a_wrong_guard_of_a_batch_is_told(tmp_path: Path, keys: str, problem: str) -> None:
    [found] = problems(tmp_path, SOUND.replace("[batches.pages]", f"[batches.pages]\n{keys}"))

    assert found.startswith(problem)


def test_following_a_schedule_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    [found] = problems(tmp_path, AFTER.replace('"first"', '"frist"'))

    assert found == ("schedules.nightly.after: there is no [schedules.frist]; did you mean first?")


def test_schedules_that_follow_one_another_are_told_once(tmp_path: Path) -> None:
    [found] = problems(tmp_path, AFTER.replace('every = "1h"', 'after = "nightly"'))

    assert found.startswith(
        "schedules.nightly.after: comes after itself (nightly after first after"
    )


def test_what_leads_into_a_ring_is_not_part_of_it(tmp_path: Path) -> None:
    ring = AFTER.replace('every = "1h"', 'after = "second"')
    second = "\n[schedules.second]\ncollector = 'products'\nbatch = 'pages'\nafter = 'first'\n"

    [found] = problems(tmp_path, ring + second)

    assert found.startswith("schedules.first.after: comes after itself (first after second after")


def test_a_variable_takes_a_follower_to_a_beat(tmp_path: Path) -> None:
    text = AFTER.replace("after =", "after_when = 'succeeded'\nafter =")

    config = load(tmp_path, text, {"DCA_SCHEDULER__SCHEDULES__NIGHTLY__EVERY": "5s"})

    assert (config.schedules["nightly"].every, config.schedules["nightly"].after) == ("5s", None)


def test_parts_that_would_cancel_each_other_are_told(tmp_path: Path) -> None:
    text = SOUND.replace('cron = "0 2 * * *"', 'cron = "0 2 * * *"\nconfirm_cancel = true')
    text = text.replace("[batches.pages]", "[batches.pages]\nmax_inputs_per_trigger = 5")

    [problem] = problems(tmp_path, text)

    assert problem.startswith("schedules.nightly.confirm_cancel: batch pages has max_inputs")


def test_only_a_batch_that_is_a_file_can_be_too_old(tmp_path: Path) -> None:
    text = SOUND + 'batch_max_age = "24h"\n'
    of_a_file = text.replace('inputs = [{ url = "https://example.com/" }]', 'file = "urls.csv"')

    [problem] = problems(tmp_path, text)

    assert problem.startswith("schedules.nightly.batch_max_age: batch pages has its inputs in")
    assert load(tmp_path, of_a_file).schedules["nightly"].batch_max_age == "24h"
