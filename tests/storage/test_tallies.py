"""Rows that only grow: each daemon's own, and those of nobody."""

from datetime import datetime

from scheduler.domain.tally import RUNS_ENDED, Key
from scheduler.storage import daemons, last_ends, tallies
from scheduler.storage.database import Connection, Database
from scheduler.storage.last_ends import LastEnd
from tests.make import NINE, minutes

DONE: Key = ("requests", ("main", "log", "2xx"))
LOST: Key = ("requests", ("main", "log", "lost"))


def sums(conn: Connection) -> dict[Key, float]:
    return tallies.read_sums(conn, ["requests", RUNS_ENDED])


def insert_daemon(conn: Connection, name: str) -> None:
    daemons.insert_daemon(conn, name, host="h", pid=1, version="1", zone_data="z", now=NINE)


def test_the_counts_of_several_daemons_are_one_sum(db: Database) -> None:
    with db.writing() as conn:
        tallies.write(conn, "d1", {DONE: 3, LOST: 1})
        tallies.write(conn, "d2", {DONE: 4})

        assert sums(conn) == {DONE: 7, LOST: 1}


def test_a_heartbeat_that_is_written_again_counts_once(db: Database) -> None:
    with db.writing() as conn:
        tallies.write(conn, "d1", {DONE: 3})
        tallies.write(conn, "d1", {DONE: 3})
        tallies.write(conn, "d1", {LOST: 2})

        assert sums(conn) == {DONE: 3, LOST: 2}


def test_no_sum_falls_when_daemons_stop_and_start_again(db: Database) -> None:
    with db.writing() as conn:
        tallies.write(conn, "d1", {DONE: 3})
        tallies.fold(conn, "d1")
        first = sums(conn)
        tallies.write(conn, "d2", {DONE: 2, LOST: 1})
        second = sums(conn)
        tallies.fold(conn, "d2")
        third = sums(conn)
        tallies.fold(conn, "d2")

        assert (first, second) == ({DONE: 3}, {DONE: 5, LOST: 1})
        assert third == second == sums(conn)


def test_what_a_daemon_counted_that_is_forgotten_stays(db: Database) -> None:
    with db.writing() as conn:
        insert_daemon(conn, "d1")
        tallies.write(conn, "d1", {DONE: 3})
        tallies.write(conn, "forgotten", {DONE: 4})
        tallies.fold_gone(conn)
        tallies.write(conn, "d1", {DONE: 5})

        assert sums(conn) == {DONE: 9}


def test_where_no_other_daemon_can_live_all_is_added_up(db: Database) -> None:
    with db.writing() as conn:
        insert_daemon(conn, "killed")
        tallies.write(conn, "killed", {DONE: 3})
        tallies.fold_all(conn)
        tallies.write(conn, "next", {DONE: 1})

        assert sums(conn) == {DONE: 4}


def test_labels_may_be_any_text(db: Database) -> None:
    name = 'Käse "à" \\ 東,\n'
    with db.writing() as conn:
        tallies.add(conn, {("requests", (name, "log", "2xx")): 1})
        tallies.add(conn, {("requests", (name, "log", "2xx")): 1})

        assert sums(conn) == {("requests", (name, "log", "2xx")): 2}


def test_of_last_ends_the_latest_is_kept(db: Database) -> None:
    later = NINE + minutes(1)

    def end(schedule: str, ended: datetime, succeeded: datetime | None) -> LastEnd:
        return LastEnd(schedule=schedule, ended_at=ended, succeeded_at=succeeded)

    with db.writing() as conn:
        last_ends.record(conn, [end("a", later, None), end("b", NINE, NINE), end("c", NINE, NINE)])
        last_ends.record(
            conn, [end("a", NINE, NINE), end("b", later, None), end("c", later, later)]
        )

        assert last_ends.list_last_ends(conn, ["a", "b", "x"]) == {
            "a": end("a", later, NINE),
            "b": end("b", later, NINE),
        }
        assert last_ends.list_last_ends(conn, ["c"]) == {"c": end("c", later, later)}
