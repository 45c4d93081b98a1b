"""What a schedule has passed has a row: `doctor --invariants` finds what has none."""

import pytest

from tests.surfaces.rig import Home

SINCE, PASSED = "2026-03-02 00:00:00.000000", "2026-03-02 02:30:00.000000"


@pytest.fixture
def passed(home: Home) -> Home:
    """Return a home whose hourly schedule has passed one and two o'clock, and has a row for one."""
    home.sql("UPDATE schedules SET created_at = ?, edited_at = ?", SINCE, SINCE)
    home.sql("UPDATE schedules SET anchor = '2026-03-02T00:00:00Z' WHERE name = 'hourly'")
    home.sql("UPDATE schedules SET edited_at = ?, planned_at = ?", SINCE, SINCE)
    home.sql("UPDATE schedules SET fired_until = ? WHERE name = 'hourly'", PASSED)
    add_row(home, "2026-03-02 01:00:00.000000")
    return home


def add_row(home: Home, due_at: str) -> None:
    home.sql(
        "INSERT INTO runs (schedule, due_at, account, collector, collector_id, query, state,"
        " reason, not_before, max_attempts, backoff_initial, backoff_max, on_unconfirmed,"
        " created_at, ended_at) VALUES ('hourly', ?, 'main', 'news', 'c_news', '', 'skipped',"
        " 'missed', ?, 1, '1s', '1s', 'resend', ?, ?)",
        due_at, due_at, due_at, due_at,
    )  # fmt: skip


def test_an_occurrence_that_is_passed_without_a_row_is_found(passed: Home) -> None:
    (violation,) = passed.call("doctor", "--invariants", "--json").json["violations"]

    assert violation["invariant"] == "no_occurrence_without_a_row"
    assert violation["rows"] == [{"schedule": "hourly", "due_at": "2026-03-02T02:00:00.000000Z"}]


def test_where_every_occurrence_has_its_row_nothing_is_found(passed: Home) -> None:
    add_row(passed, "2026-03-02 02:00:00.000000")

    assert passed.done("doctor", "--invariants", "--json").json["violations"] == []
