"""`results`: what is saved of runs is listed, shown, tried again, and done without."""

import json

import pytest

from tests.surfaces.rig import Home

ROW = (
    "INSERT INTO results (run_id, collection_id, account, schedule, collector, due_at, path, state,"
    " reason, detail, created_at, expires_at, settled_at)"
    " VALUES (?, 'j_1', 'main', 'nightly', 'products', '2026-03-02 09:00:00', 'nightly/1.jsonl',"
    " ?, ?, ?, '2026-03-02 09:00:00', '2026-03-18 09:00:00', '2026-03-02 09:00:00')"
)


@pytest.fixture
def failed(home: Home) -> int:
    run_id = home.make_run()
    home.sql(ROW, run_id, "failed", "in_the_way", "there is one")
    return run_id


def test_what_is_not_saved_is_listed_and_told(home: Home, failed: int) -> None:
    home.sql(ROW, failed + 1, "saved", None, None)

    listed = json.loads(home.call("results", "list", "--unsaved", "--json").out)
    saved = json.loads(home.call("results", "list", "--state", "saved", "--json").out)
    both = home.call("results", "list", "--state", "saved", "--unsaved")
    shown = home.call("runs", "show", str(failed)).out

    assert [row["run_id"] for row in listed["items"]] == [failed]
    assert [row["run_id"] for row in saved["items"]] == [failed + 1]
    assert "not both" in both.err
    assert "in_the_way" in home.call("results", "show", str(failed)).out
    assert "in_the_way" in shown
    assert "1 result is given up" in home.call("doctor").out


def test_one_is_tried_again_or_done_without(home: Home, failed: int) -> None:
    again = home.call("results", "retry", str(failed))
    waiting = json.loads(home.call("results", "show", str(failed), "--json").out)
    given_up = home.call("results", "dismiss", str(failed), "--reason", "not needed")
    twice = home.call("results", "dismiss", str(failed))

    assert (again.code, waiting["state"], waiting["reason"]) == (0, "waiting", None)
    assert "dismissed" in given_up.out
    assert twice.code != 0
    assert "given up" not in home.call("doctor").out


def test_a_run_of_which_nothing_is_saved_is_a_sentence(home: Home) -> None:
    answer = home.call("results", "show", "7")

    assert (answer.code, "nothing is saved of run 7" in answer.err) == (1, True)
