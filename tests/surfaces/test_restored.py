"""A backup in the place of the database is noticed, and nothing is sent before it is settled."""

from datetime import timedelta

import pytest

from scheduler.domain.errors import DatabaseUnfit
from scheduler.storage import daemons
from scheduler.storage.database import Database
from scheduler.storage.departures import Departures
from scheduler.storage.last_seen import require_newest, write_seen
from tests.surfaces.rig import LIVES, NINE, Home

DAEMON = (
    "INSERT INTO daemons (id, host, pid, version, started_at, seen_at)"
    " VALUES ('d', 'h', 1, '1', '2026-03-02 08:00:00.000000', '2026-03-02 08:00:00.000000')"
)
LATER = NINE + timedelta(seconds=20)


@pytest.fixture
def restored(home: Home) -> Home:
    """Return a home whose database is 20 s older than what its daemon wrote last."""
    with Database(f"sqlite:///{home.database}") as db, db.writing() as conn:
        daemons.insert_daemon(conn, "d0", host="h", pid=1, version="1", zone_data="2026a", now=NINE)
    write_seen(home.database, LATER)
    return home


def check(home: Home, *, seconds: float = 60) -> None:
    with Database(f"sqlite:///{home.database}") as db, db.reading() as conn:
        require_newest(conn, home.database, now=NINE + timedelta(seconds=seconds))


def test_a_database_that_is_older_than_its_daemon_is_refused(restored: Home) -> None:
    with pytest.raises(DatabaseUnfit, match="db settle-restore"):
        check(restored)


def test_what_a_clock_that_was_ahead_has_seen_is_no_sign_of_it(restored: Home) -> None:
    check(restored, seconds=5)


def test_a_database_as_its_daemon_left_it_is_taken(restored: Home) -> None:
    write_seen(restored.database, NINE)
    check(restored)


@pytest.mark.parametrize(
    ("runs_more", "fence", "is_refused"),
    [(1, 1, True), (0, 2, True), (0, 1, False)],
    ids=["a run that is not there", "a later claim", "all that was sent"],
)
def test_a_backup_of_a_moment_ago_is_known_by_what_was_sent_since(
    home: Home, runs_more: int, fence: int, is_refused: bool
) -> None:
    run_id = home.make_run(fence=1)
    Departures.beside(home.database, "d0").note((run_id + runs_more, fence))

    if is_refused:
        with pytest.raises(DatabaseUnfit, match=r"lacks what was sent .* db settle-restore"):
            check(home)
        home.sql(DAEMON)
        home.done("db", "settle-restore", "--yes")
    check(home)


def test_settling_freezes_from_the_backup_on_and_has_what_waited_looked_for(restored: Home) -> None:
    waiting = restored.make_run()
    settled = restored.done("db", "settle-restore", "--yes", "--json").json
    check(restored)

    assert settled["looked_for"] == [waiting]
    assert restored.sql("SELECT scope, frozen_at FROM freezes") == [
        ("all", "2026-03-02 09:00:00.000000")
    ]
    assert restored.run(waiting)["state"] == "dispatching"


def test_what_was_fired_anew_after_the_loss_is_not_sent_by_a_thaw(restored: Home) -> None:
    after = {"created_at": "2026-03-02 09:00:05.000000", "due_at": "2026-03-02 09:00:00.000000"}
    fired = restored.make_run(**after, schedule="nightly", created_by=None)
    by_hand = restored.make_run(**after)
    restored.done("db", "settle-restore", "--yes")

    states = [
        (restored.run(run_id)["state"], restored.run(run_id)["reason"])
        for run_id in (fired, by_hand)
    ]
    assert states == [("skipped", "frozen"), ("queued", "requested")]


def test_after_a_move_nothing_is_frozen_or_looked_for(restored: Home) -> None:
    waiting = restored.make_run()
    words = ("db", "settle-restore", "--moved", "a new disk")
    refused = restored.call(*words).err
    with pytest.raises(DatabaseUnfit):
        check(restored)
    restored.done(*words, "--yes")
    check(restored)

    assert refused.startswith("error: nothing is frozen or looked for: what this lacks is sent")
    assert restored.sql("SELECT scope FROM freezes") == []
    assert restored.run(waiting)["state"] == "queued"
    (change,) = restored.items("changes", "list", "--limit", "1")
    assert (change["subject"], "a new disk" in str(change)) == ("database", True)


@pytest.mark.parametrize("reason", ["", " "])
def test_a_move_without_a_reason_is_refused(restored: Home, reason: str) -> None:
    refused = restored.call("db", "settle-restore", "--moved", reason, "--yes")
    with pytest.raises(DatabaseUnfit):
        check(restored)

    assert refused.code == 1
    assert "the reason must be text" in refused.err


def test_what_lacks_a_claim_that_left_was_not_only_moved(restored: Home) -> None:
    run_id = restored.make_run(fence=1)
    Departures.beside(restored.database, "d0").note((run_id, 2))
    refused = restored.call("db", "settle-restore", "--moved", "a new disk", "--yes")
    with pytest.raises(DatabaseUnfit):
        check(restored)
    restored.done("db", "settle-restore", "--yes")
    check(restored)

    assert refused.code == 1
    assert "settle-restore` without --moved" in refused.err


def test_a_move_by_backup_and_restore_needs_no_thaw(home: Home) -> None:
    backup = str(home.database.with_name("backup.db"))
    home.sql(LIVES)
    home.done("db", "backup", backup)
    home.sql("UPDATE daemons SET stopped_at = seen_at")
    home.done("db", "restore", backup, "--yes")
    home.done("db", "settle-restore", "--moved", "a new disk", "--yes")

    settled = home.done("status").out
    assert "settle-restore" not in settled
    assert "frozen" not in settled


def test_doctor_says_what_it_cannot_notice(home: Home) -> None:
    (line,) = (line for line in home.call("doctor").out.splitlines() if "cannot notice" in line)
    assert ".seen and .departed" in line


def test_status_and_doctor_say_that_a_restored_backup_is_held_and_the_way_out(home: Home) -> None:
    backup = str(home.database.with_name("backup.db"))
    home.sql(LIVES)
    home.done("db", "backup", backup)
    home.sql("UPDATE daemons SET stopped_at = seen_at")
    home.done("db", "restore", backup, "--yes")

    held = home.done("status").out
    complaints = home.call("doctor").out
    refused = home.call("db", "settle-restore").err
    home.done("db", "settle-restore", "--yes")

    asked = "all schedules are frozen, and waiting runs looked for"
    assert refused == f"error: {asked}: say --yes if that is meant\n"

    assert "Nothing is sent until `dca-scheduler db settle-restore`" in held
    assert "Nothing is sent until `dca-scheduler db settle-restore`" in complaints
    settled = home.done("status").out
    assert "settle-restore" not in settled
    for said in (held, complaints, settled):
        assert (
            "no daemon runs: none has since this database was restored, from 2026-03-02 09:" in said
        )


def test_status_says_that_a_file_which_was_put_back_is_held(restored: Home) -> None:
    restored.sql("UPDATE daemons SET stopped_at = seen_at, seen_at = '2026-03-02 08:59:00.000000'")
    write_seen(restored.database, NINE)

    assert "a backup was put in its place" in restored.done("status").out
    assert "db settle-restore` says how to go on" in restored.call("doctor").out
    assert "none has since this database was put back" in restored.call("watchdog").out
    restored.done("db", "settle-restore", "--yes")
    assert "was put in its place" not in restored.done("status").out


def test_a_file_that_lost_everything_with_its_log_is_held_and_can_be_settled(home: Home) -> None:
    write_seen(home.database, NINE)
    home.sql("DELETE FROM daemons")
    with pytest.raises(DatabaseUnfit, match="is empty, and a daemon worked on it until"):
        check(home)

    settled = home.done("db", "settle-restore", "--yes")

    assert "all is frozen since" in settled.out
    check(home)


def test_a_file_that_no_daemon_worked_on_has_nothing_to_settle(home: Home) -> None:
    home.sql("DELETE FROM daemons")

    assert "nothing to settle" in home.call("db", "settle-restore", "--yes").err
