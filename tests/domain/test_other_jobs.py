"""Which rows of a jobs list are somebody else's, and how long they count."""

from datetime import timedelta
from typing import Any

import pytest

from scheduler.domain.answers import ListedJob
from scheduler.domain.other_jobs import (
    COUNTS_FOR,
    find_others,
    list_again_at,
    name_others,
    other_job,
    runs_on,
)
from tests.make import NINE, make_job, minutes, seconds

DAY = timedelta(days=1)


def row(**overrides: Any) -> ListedJob:
    usual: dict[str, Any] = {"id": "j_x", "status": "running", "finished_at": None}
    return make_job(**(usual | overrides))


@pytest.mark.parametrize(
    "status", ["building", "running", "queued", "paused", "Running", "in progress", "crawling"]
)
def test_what_runs_by_the_upstreams_word(status: str) -> None:
    assert runs_on(row(status=status))


@pytest.mark.parametrize(
    "overrides",
    [
        {"status": "done"},
        {"status": "failed"},
        {"status": "canceled"},
        {"status": "zorked", "finished_at": NINE},
        {"finished_at": NINE},
        {"status": None},
        {"status": None, "finished_at": NINE},
        {"expired": True},
    ],
    ids=str,
)
def test_what_has_ended_or_does_not_say(overrides: dict[str, Any]) -> None:
    assert not runs_on(row(**overrides))


def others(*rows: ListedJob, **known: Any) -> list[str]:
    usual: dict[str, Any] = {"owned": (), "known": (), "in_doubt": ()}
    return [job.id for job in find_others(rows, **(usual | known))]


def test_what_a_run_has_is_ours() -> None:
    assert others(row(id="j_1"), row(id="j_2"), owned={"j_1"}) == ["j_2"]


def test_what_a_lost_trigger_may_have_become_is_nobody_elses() -> None:
    old, new = row(id="j_old", queued_at=NINE - minutes(5)), row(id="j_new", queued_at=NINE)
    undated = row(id="j_undated", queued_at=None)

    assert others(old, new, undated, in_doubt=[NINE]) == ["j_old"]
    assert others(old, new, undated, in_doubt=[NINE], known={"j_new"}) == ["j_old", "j_new"]


def kept(job: ListedJob, *, now: Any = NINE, **known: Any) -> Any:
    return other_job(job, "main", "c_shop", known=known, now=now, lasts=DAY)


def test_what_is_kept_counts_for_a_minute() -> None:
    job = kept(row(started_at=NINE - minutes(5)))

    assert (job.began_at, job.counts_until) == (NINE - minutes(5), NINE + COUNTS_FOR)


def test_what_runs_for_longer_than_a_day_counts_no_more() -> None:
    first = kept(row(queued_at=None, started_at=None))
    again = kept(row(queued_at=None, started_at=None), now=NINE + DAY, j_x=first)

    assert first.began_at == again.began_at == NINE
    assert again.counts_until == NINE + DAY


def test_a_list_is_read_again_sooner_where_something_may_end() -> None:
    young, old = kept(row(started_at=NINE)), kept(row(started_at=NINE - DAY / 2))

    def again(*jobs: Any) -> timedelta:
        return list_again_at(jobs, NINE, poll_initial=seconds(10)) - NINE

    assert again() == again(old) == seconds(25)
    assert again(young, old) == seconds(10)
    assert again(kept(row(started_at=NINE - minutes(4)))) == seconds(24)


def test_others_are_named() -> None:
    assert name_others(["j_1"]) == "job j_1 runs on the collector, and no run here has it"
    assert name_others(["j_1", "j_2", "j_3", "j_4"]).startswith("jobs j_1, j_2, j_3 and 1 more run")
