"""The ways into the database: what they promise, and what they say when it cannot be used."""

import asyncio
import errno
import gc
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from scheduler.domain.errors import DatabaseDamaged, DatabaseError
from scheduler.storage import database
from scheduler.storage.database import Connection, Database
from scheduler.storage.last_seen import write_seen
from scheduler.storage.urls import parse_url
from tests.line import Line
from tests.make import NINE


def refusal(url: str) -> DatabaseError:
    """Return the error with which the database behind *url* cannot be read."""
    with (
        pytest.raises(DatabaseError) as refused,
        Database(url) as db,
        db.reading() as conn,
    ):
        conn.execute(text("SELECT count(*) FROM runs"))
    return refused.value


# --- the file

STRICT, USUAL = 0o600, 0o644


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_a_new_file_is_for_its_user_alone_and_so_is_its_log(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/scheduler.db") as db:
        with db.writing() as conn:
            conn.execute(text("CREATE TABLE notes (text TEXT)"))

        assert {file.name: mode(file) for file in tmp_path.iterdir()} == {
            "scheduler.db": STRICT, "scheduler.db-wal": STRICT, "scheduler.db-shm": STRICT,
        }  # fmt: skip


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path, link: bool) -> None:
    file = tmp_path / "shared.db"
    file.touch()
    file.chmod(USUAL)
    opened = tmp_path / "link.db" if link else file
    if link:
        opened.symlink_to(file)

    with Database(f"sqlite:///{opened}") as db, db.writing() as conn:
        conn.execute(text("CREATE TABLE notes (text TEXT)"))

    assert mode(file) == USUAL


def test_a_link_to_a_file_that_is_not_there_yet_makes_a_private_one(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")

    with Database(f"sqlite:///{tmp_path}/link.db") as db, db.writing() as conn:
        conn.execute(text("CREATE TABLE notes (text TEXT)"))

    assert mode(tmp_path / "real.db") == STRICT


# --- errors that say what to do


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    said = str(refusal(f"sqlite:///{tmp_path}/gone/scheduler.db"))

    assert said == (
        f"sqlite:///{tmp_path}/gone/scheduler.db: unable to open database file"
        " (does its folder exist, and may this user write there?)"
    )


def test_a_folder_in_place_of_a_file_is_explained(tmp_path: Path) -> None:
    assert "may this user write there?" in str(refusal(f"sqlite:///{tmp_path}"))


def test_a_folder_that_cannot_be_written_is_explained() -> None:
    """In /proc nobody makes a file, not even root."""
    assert "may this user write there?" in str(refusal("sqlite:////proc/scheduler.db"))


def test_a_file_that_cannot_be_written_is_explained(sqlite_url: str) -> None:
    """Opened read-only, as for a user who may only read."""
    read_only = f"{sqlite_url.replace('///', '///file:')}?mode=ro&uri=true"

    with (
        Database(read_only) as db,
        pytest.raises(DatabaseError) as refused,
        db.writing() as conn,
    ):
        conn.execute(text("INSERT INTO queues (name) VALUES ('q')"))

    assert "(may this user write the file and its folder?" in str(refused.value)


def test_a_file_of_another_kind_is_damage(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database, but long enough to be mistaken for one\n" * 9)

    error = refusal(f"sqlite:///{tmp_path}/notes.txt")

    assert isinstance(error, DatabaseDamaged)
    assert "(database.url names a file of another kind, or its log is cut off" in str(error)


def test_a_damaged_file_is_damage(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    content = bytearray(file.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    file.write_bytes(content)

    error = refusal(sqlite_url)

    assert isinstance(error, DatabaseDamaged)
    assert "(the file is damaged: restore a backup)" in str(error)


def test_a_file_without_tables_is_explained(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()

    assert "(`dca-scheduler doctor` says what is missing" in str(
        refusal(f"sqlite:///{tmp_path}/empty.db")
    )


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://someone:hunter2@127.0.0.1:{port}/db",
        "postgresql://someone@127.0.0.1:{port}/db?password=hunter2",
        "postgresql://someone@/db?host=127.0.0.1&port={port}&password=hunter2&sslpassword=hunter2",
    ],
)
def test_a_server_that_cannot_be_reached_is_explained_without_the_password(address: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        said = str(refusal(address.format(port=taken.getsockname()[1])))

    assert "(is the server running, and at this address?)" in said
    assert "hunter2" not in said


def test_a_database_that_the_server_has_not_is_explained(postgresql_url: str) -> None:
    gone = parse_url(postgresql_url).set(database="gone").render_as_string(hide_password=False)

    assert "(create it, then run `dca-scheduler db upgrade`)" in str(refusal(gone))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://someone:hunter2@host/db", "use sqlite:///FILE or postgresql://…"),
        ("hunter2", "write sqlite:///FILE"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_is_none_of_ours_is_explained(url: str, said: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        Database(url)

    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_broken_rule_is_no_trouble_with_the_database(db: Database) -> None:
    with pytest.raises(IntegrityError), db.writing() as conn:
        conn.execute(text("INSERT INTO collectors (name, account, collector_id)"
                          " VALUES ('x', 'gone', 'c_x')"))  # fmt: skip


def test_an_error_does_not_tell_what_was_to_be_written(db: Database) -> None:
    """It may be logged; inputs and the like must not be."""
    with pytest.raises(IntegrityError) as refused, db.writing() as conn:
        conn.execute(
            text("INSERT INTO batches (name, inputs, send_as) VALUES ('b', :inputs, 'xml')"),
            {"inputs": "canary"},
        )

    # PostgreSQL's own detail shows the row; that is the server's to say, in a line of its own.
    said = [line for line in str(refused.value).splitlines() if "Failing row" not in line]
    assert "canary" not in "".join(said)


def test_words_in_what_was_to_be_written_are_no_damage(sqlite_url: str) -> None:
    """A daemon that believes the file damaged does not start again."""
    detail = {"detail": "malformed answer; file is not a database"}

    with (
        Database(sqlite_url) as db,
        pytest.raises(DatabaseError) as refused,
        db.reading() as conn,  # where nothing can be written
    ):
        conn.execute(text("UPDATE runs SET detail = :detail"), detail)

    assert not isinstance(refused.value, DatabaseDamaged)


def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(DatabaseError), db.reading() as conn:
        conn.execute(text("INSERT INTO queues (name) VALUES ('q')"))


# --- transactions


def test_what_fails_is_taken_back_whole(db: Database) -> None:
    with pytest.raises(ZeroDivisionError), db.writing() as conn:
        conn.execute(text("INSERT INTO queues (name) VALUES ('q')"))
        raise ZeroDivisionError

    assert queues(db) == []


def test_readers_do_not_wait_for_the_writer_and_see_one_moment(db: Database) -> None:
    with db.reading() as reader:
        with db.writing() as writer:
            writer.execute(text("INSERT INTO queues (name) VALUES ('q')"))
            assert reader.scalars(text("SELECT name FROM queues")).all() == []
        assert reader.scalars(text("SELECT name FROM queues")).all() == []
    assert queues(db) == ["q"]


async def test_a_cancelled_write_is_finished_before_anybody_goes_on(db: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(conn: Connection) -> None:
        conn.execute(text("INSERT INTO queues (name) VALUES ('q')"))
        begun.set()
        go_on.wait(60)

    writing = asyncio.create_task(db.write(slowly))
    await asyncio.to_thread(begun.wait, 60)
    writing.cancel()
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert queues(db) == ["q"]


async def test_a_write_that_is_cancelled_twice_is_finished_all_the_same(db: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(conn: Connection) -> None:
        conn.execute(text("INSERT INTO queues (name) VALUES ('q')"))
        begun.set()
        go_on.wait(60)

    writing = asyncio.create_task(db.write(slowly))
    await asyncio.to_thread(begun.wait, 60)
    for _ in range(3):
        writing.cancel()
        await asyncio.wait([writing], timeout=0.01)
        assert not writing.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert queues(db) == ["q"]


_ENDLESS = {
    "sqlite": "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n)"
    " SELECT max(x) FROM n",
    "postgresql": "SELECT pg_sleep(3600)",
}


async def test_a_read_that_nobody_waits_for_is_broken_off(db: Database) -> None:
    """As many as there are threads: the next one finds one that is free."""
    begun = threading.Semaphore(0)

    def for_long(conn: Connection) -> None:
        begun.release()
        conn.execute(text(_ENDLESS[conn.dialect.name]))

    async with asyncio.timeout(60):
        reading = [asyncio.create_task(db.read(for_long)) for _ in range(4)]
        for _ in reading:
            await asyncio.to_thread(begun.acquire)
        waiting = asyncio.create_task(db.read(for_long))
        await asyncio.wait([waiting], timeout=0.01)
        for one in (waiting, *reading):
            one.cancel()
            with pytest.raises(asyncio.CancelledError):
                await one

        assert await db.read(lambda conn: conn.scalar(text("SELECT 1"))) == 1
    assert not begun.acquire(blocking=False)  # the one that waited has never begun


async def test_what_is_broken_off_leaves_no_error_that_nobody_heard(db: Database) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(about))
    begun = threading.Event()

    def for_long(conn: Connection) -> None:
        begun.set()
        conn.execute(text(_ENDLESS[conn.dialect.name]))

    async with asyncio.timeout(60):
        reading = asyncio.create_task(db.read(for_long))
        await asyncio.to_thread(begun.wait)
        reading.cancel()
        await asyncio.wait([reading])
    del reading
    gc.collect()

    assert told == []


async def test_who_waits_behind_one_that_waited_in_vain_waits_no_more(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty one after another, four at a time, would take fifteen seconds."""
    monkeypatch.setattr(database, "_IN_VAIN_SECONDS", 1.0)
    line = Line(postgresql_url, tmp_path)
    with Database(line.url, answer_within=1.5) as db:
        await asyncio.gather(*(db.read(reached) for _ in range(4)))
        line.cut()
        begun = time.monotonic()
        told = await asyncio.gather(*(db.read(reached) for _ in range(40)), return_exceptions=True)
        took = time.monotonic() - begun
        line.mend()

        assert {type(one) for one in told} == {DatabaseError}
        assert took < 10
        assert await db.read(reached) == 1
    line.close()


def reached(conn: Connection) -> object:
    return conn.scalar(text("SELECT 1"))


async def test_what_goes_through_the_doors_by_itself_gives_up_a_silent_line(
    postgresql_url: str, tmp_path: Path
) -> None:
    line = Line(postgresql_url, tmp_path)
    with Database(line.url, answer_within=1.5) as db:

        def look() -> object:
            with db.reading() as conn:
                return reached(conn)

        assert await db.outside(look) == 1
        line.cut()
        with pytest.raises(DatabaseError):
            async with asyncio.timeout(60):
                await db.outside(look)
        line.mend()
        assert await db.outside(look) == 1
    line.close()


async def test_a_connection_that_was_given_back_is_not_cut_off_for_another(
    postgresql_url: str,
) -> None:
    """Who waits for something else than the database, as for a body, has no line that is silent."""
    with Database(postgresql_url, answer_within=0.5) as db:
        given_back, enough = threading.Event(), threading.Event()

        def wait_between() -> object:
            with db.reading() as conn:
                first = conn.scalar(_PID)
            given_back.set()
            enough.wait(60)
            return first

        waiting = asyncio.create_task(db.outside(wait_between))
        await asyncio.to_thread(given_back.wait, 60)
        await asyncio.wait([waiting], timeout=1)
        again = await db.read(lambda conn: conn.scalar(_PID))
        enough.set()

        assert await waiting == again


_PID = text("SELECT pg_backend_pid()")


async def test_work_is_done_in_another_thread_and_its_result_comes_back(db: Database) -> None:
    written = await db.write(lambda _: threading.current_thread().name)
    read = await db.read(lambda _: threading.current_thread().name)

    assert (written.startswith("db-write"), read.startswith("db-read")) == (True, True)


async def test_an_error_of_the_work_comes_back(db: Database) -> None:
    def fail(_: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.write(fail)


async def test_many_writers_at_once_all_get_through(db: Database) -> None:
    def add(number: int) -> None:
        with db.writing() as conn:
            conn.execute(text(f"INSERT INTO queues (name) VALUES ('{number:02}')"))

    await asyncio.gather(*(asyncio.to_thread(add, number) for number in range(20)))

    assert queues(db) == [f"{number:02}" for number in range(20)]


def queues(db: Database) -> list[str]:
    with db.reading() as conn:
        return list(conn.scalars(text("SELECT name FROM queues ORDER BY name")))


def test_what_was_closed_opens_no_connection_any_more(database_url: str) -> None:
    with Database(database_url) as db, db.reading() as conn:
        conn.execute(text("SELECT 1"))

    with pytest.raises(RuntimeError, match="was closed"), db.reading():
        pass
    with pytest.raises(RuntimeError, match="was closed"), db.signed("later").writing():
        pass


# --- how SQLite is opened


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("trusted_schema", 0)],
)
def test_sqlite_is_opened_to_keep_its_word(sqlite_db: Database, pragma: str, value: object) -> None:
    for door in (sqlite_db.writing, sqlite_db.reading):
        with door() as conn:
            assert conn.scalar(text(f"PRAGMA {pragma}")) == value


def test_a_row_that_is_not_utf_8_can_be_read_beside_others(sqlite_db: Database) -> None:
    """SQLite keeps any bytes as text; PostgreSQL refuses them."""
    with sqlite_db.writing() as conn:
        conn.execute(text("INSERT INTO queues (name) VALUES ('good'), (CAST(x'63e9' AS TEXT))"))

    assert sorted(queues(sqlite_db)) == [r"c\xe9", "good"]


def test_a_log_that_had_to_grow_shrinks_again(sqlite_url: str) -> None:
    with Database(sqlite_url, checkpoints=True) as db, db.writing() as conn:
        assert conn.scalar(text("PRAGMA journal_size_limit")) == 16 * 1024 * 1024


def test_a_log_that_was_deleted_is_brought_into_the_file(sqlite_url: str) -> None:
    """It lives as long as its connections do: the next start would find nothing of it."""
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with Database(sqlite_url, checkpoints=True) as db:
        with db.writing() as conn:
            conn.execute(text("INSERT INTO queues (name) VALUES ('kept')"))
        for end in ("-wal", "-shm"):
            Path(f"{file}{end}").unlink()
        with pytest.raises(DatabaseError, match="what it held is in the file now"), db.writing():
            raise AssertionError("it was written into a log that nobody finds")
        on_disk = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
        assert on_disk.execute("SELECT name FROM queues").fetchall() == [("kept",)]
        on_disk.close()

        with db.writing() as conn:
            conn.execute(text("INSERT INTO queues (name) VALUES ('later')"))
        assert queues(db) == ["kept", "later"]


_RESCUES = """
import sys
from sqlalchemy import text
from scheduler.domain.errors import DatabaseError
from scheduler.storage.database import Database

def insert(db, name):
    with db.writing() as conn:
        conn.execute(text(f"INSERT INTO queues (name) VALUES ('{name}')"))

db = Database(sys.argv[1], checkpoints=True)
insert(db, "before")
print("written", flush=True)
sys.stdin.readline()
try:
    insert(db, "lost")
except DatabaseError as error:
    print(error, flush=True)
insert(db, "after")
print("gone on", flush=True)
sys.stdin.readline()
"""


def test_beside_a_daemon_that_rescued_its_log_nothing_is_lost(sqlite_url: str) -> None:
    """SQLite's last connection deletes the log by its name, whichever it has itself."""
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    words = [sys.executable, "-c", _RESCUES, sqlite_url]
    with (
        subprocess.Popen(words, stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as daemon,
        Database(sqlite_url) as beside,
    ):
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "written\n"
        with beside.writing() as conn:
            conn.execute(text("UPDATE queues SET paused_by = NULL"))
        for end in ("-wal", "-shm"):
            Path(f"{file}{end}").unlink()
        with beside.writing() as conn:  # the daemon has the same log, and rescues it
            conn.execute(text("INSERT INTO queues (name) VALUES ('between')"))
        daemon.stdin.write("\n")
        assert "what it held is in the file now" in daemon.stdout.readline()
        assert daemon.stdout.readline() == "gone on\n"

        with pytest.raises(DatabaseError, match="try again"), beside.writing():
            raise AssertionError("it was written into a log that nobody finds")
        with beside.writing() as conn:
            conn.execute(text("INSERT INTO queues (name) VALUES ('beside')"))
        daemon.kill()

    with Database(sqlite_url) as found:
        assert queues(found) == ["after", "before", "beside", "between"]


def test_who_only_reads_beside_it_takes_no_log_away(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    words = [sys.executable, "-c", _RESCUES, sqlite_url]
    with (
        subprocess.Popen(words, stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as daemon,
        Database(sqlite_url) as beside,
    ):
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        daemon.stdout.readline()
        assert queues(beside) == ["before"]
        for end in ("-wal", "-shm"):
            Path(f"{file}{end}").unlink()
        daemon.stdin.write("\n")
        daemon.stdout.readline()
        assert daemon.stdout.readline() == "gone on\n"
        daemon.kill()
        daemon.wait()

    with Database(sqlite_url) as found:
        assert queues(found) == ["after", "before"]


def test_a_log_that_another_program_has_begun_meanwhile_is_damage(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with Database(sqlite_url, checkpoints=True) as db:
        with db.writing() as conn:
            conn.execute(text("INSERT INTO queues (name) VALUES ('ours')"))
        for end in ("-wal", "-shm"):
            Path(f"{file}{end}").unlink()
        Path(f"{file}-wal").write_bytes(b"theirs")

        with pytest.raises(DatabaseDamaged, match="another program"), db.writing():
            raise AssertionError("it was written over what another has written")


def test_only_who_checkpoints_moves_the_log(sqlite_url: str) -> None:
    for checkpoints, pages in ((True, 1000), (False, 0)):
        with Database(sqlite_url, checkpoints=checkpoints) as db, db.writing() as conn:
            assert conn.scalar(text("PRAGMA wal_autocheckpoint")) == pages


def test_postgresql_is_given_limits(postgresql_url: str) -> None:
    with Database(postgresql_url) as db, db.writing() as conn:
        limits = [
            conn.scalar(text(f"SHOW {name}"))
            for name in ("lock_timeout", "statement_timeout", "timezone")
        ]

    assert limits == ["5s", "30s", "UTC"]


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_nothing_is_written_into_a_file_that_is_gone(sqlite_url: str, replaced: bool) -> None:
    with Database(sqlite_url) as db:
        with db.writing() as conn:
            conn.execute(text("INSERT INTO accounts (name, token) VALUES ('main', 'env:T')"))
        assert db.file is not None
        db.file.rename(db.file.with_name("moved.db"))
        if replaced:
            db.file.write_bytes(b"")

        with pytest.raises(DatabaseDamaged, match="deleted or replaced"), db.writing() as conn:
            conn.execute(text("DELETE FROM accounts"))


def test_many_that_make_a_new_file_at_once_all_get_their_turn(tmp_path: Path) -> None:
    """SQLite refuses at once whoever comes second to a new file, whatever the busy timeout."""

    def make(url: str) -> None:
        with Database(url) as db, db.writing() as conn:
            conn.execute(text("CREATE TABLE IF NOT EXISTS things (name TEXT)"))

    with ThreadPoolExecutor(4) as pool:
        for number in range(40):
            list(pool.map(make, [f"sqlite:///{tmp_path / f'{number}.db'}"] * 4))


def test_a_connection_that_the_server_has_ended_is_replaced_before_it_is_used(
    postgresql_url: str,
) -> None:
    """Nobody asks the server each time: what it said last waits to be read."""
    process = text("SELECT pg_backend_pid()")
    with Database(postgresql_url) as db, Database(postgresql_url) as other:
        with db.writing() as conn:
            ended = conn.scalar(process)
        with other.writing() as conn:
            conn.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": ended})
        with db.writing() as conn:
            following = conn.scalar(process)
            conn.execute(text("INSERT INTO queues (name) VALUES ('q')"))

        assert following != ended
        assert queues(db) == ["q"]


def test_a_server_that_only_reads_is_explained(postgresql_url: str) -> None:
    """As a standby does after a failover: nothing is lost, and it is tried again."""
    refused = pytest.raises(DatabaseError, match="a standby")
    with Database(postgresql_url) as db, refused, db.writing() as conn:
        conn.execute(text("SET TRANSACTION READ ONLY"))
        conn.execute(text("INSERT INTO queues (name) VALUES ('q')"))


def test_a_full_disk_leaves_what_was_last_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is emptied first stays empty there: a backup put in its place would not show."""
    file = tmp_path / "x.db"
    write_seen(file, NINE)
    before = (tmp_path / "x.db.seen").read_text()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    write_seen(file, NINE + timedelta(seconds=10))

    assert (tmp_path / "x.db.seen").read_text() == before


@pytest.mark.parametrize(
    "words", ["No space left on device", "Disk quota exceeded", "database or disk is full"]
)
def test_what_a_server_says_of_its_disk_has_a_way_out(sqlite_url: str, words: str) -> None:
    told = f'could not extend file "base/5/1": {words}'
    with (
        Database(sqlite_url) as db,
        pytest.raises(DatabaseError, match=r"free some space.* the daemon goes on by itself"),
        db.writing(),
    ):
        raise sqlite3.OperationalError(told)
