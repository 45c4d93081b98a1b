"""What a PostgreSQL database must be: set for our session, or refused in one sentence."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import text
from sqlalchemy.engine import make_url

from scheduler.cli.exit_codes import ExitCode, code_of
from scheduler.domain.errors import DatabaseError, DatabaseUnfit
from scheduler.storage import audit, migrate
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import announce
from scheduler.storage.listener import Listener
from scheduler.storage.origin import mark_origin
from scheduler.storage.postgresql import require_writable
from scheduler.storage.tables import queues
from scheduler.storage.urls import parse_url, shown_url
from scheduler.storage.weaknesses import list_weaknesses, mend_sequences
from tests.line import Line


def execute(url: str, statement: str, **settings: str) -> None:
    """Carry out *statement* on another database of the server of *url*."""
    server = str(make_url(url).query["host"])
    with psycopg.connect(host=server, dbname="postgres", user="postgres", autocommit=True) as conn:
        composed = SQL(statement).format(
            Identifier(str(make_url(url).database)),
            **{name: Literal(value) for name, value in settings.items()},
        )
        conn.execute(composed)


def shown(db: Database, *names: str) -> list[str]:
    with db.writing() as conn:
        return [str(conn.scalar(text(f"SHOW {name}"))) for name in names]


# --- set for the session


@pytest.mark.parametrize(
    ("setting", "wrong", "right"),
    [
        ("synchronous_commit", "off", "on"),
        ("synchronous_commit", "local", "on"),
        ("synchronous_commit", "remote_apply", "remote_apply"),
        ("datestyle", "German", "ISO, DMY"),
        ("timezone", "America/New_York", "UTC"),
        ("standard_conforming_strings", "off", "on"),
        ("client_encoding", "LATIN1", "UTF8"),
        ("statement_timeout", "100ms", "30s"),
        ("transaction_timeout", "200ms", "0"),
        ("idle_in_transaction_session_timeout", "1ms", "10s"),
        ("idle_session_timeout", "10ms", "0"),
        ("row_security", "on", "off"),
        ("default_transaction_isolation", "serializable", "read committed"),
    ],
)
def test_what_the_database_sets_otherwise_is_set_right_for_the_session(
    postgresql_url: str, setting: str, wrong: str, right: str
) -> None:
    execute(postgresql_url, f"ALTER DATABASE {{}} SET {setting} = {{value}}", value=wrong)
    shows = setting.replace("default_", "")

    with Database(postgresql_url) as db:
        assert shown(db, shows) == [right]


@pytest.mark.parametrize(
    ("setting", "wrong"), [("datestyle", "German"), ("timezone", "Asia/Tokyo")]
)
def test_a_time_comes_back_as_it_was_written(postgresql_url: str, setting: str, wrong: str) -> None:
    execute(postgresql_url, f"ALTER DATABASE {{}} SET {setting} = {{value}}", value=wrong)
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)

    with Database(postgresql_url) as db:
        with db.writing() as conn:
            conn.execute(queues.insert().values(name="q", paused_at=noon, paused_reason="x",
                                                paused_by="x"))  # fmt: skip
        with db.reading() as conn:
            assert conn.scalar(queues.select().with_only_columns(queues.c.paused_at)) == noon


def test_a_session_in_which_no_trigger_fires_is_refused_in_one_sentence(
    postgresql_url: str,
) -> None:
    url = f"{postgresql_url}&options=-csession_replication_role%3Dreplica"
    with (
        Database(url) as db,
        pytest.raises(DatabaseUnfit, match="no history be kept"),
        db.writing(),
    ):
        pass


@contextmanager
def database_in(encoding: str, url: str) -> Iterator[str]:
    other = make_url(url).set(database="odd_" + encoding.lower())
    address = other.render_as_string(hide_password=False)
    execute(address, "CREATE DATABASE {} ENCODING {encoding} LC_COLLATE 'C' LC_CTYPE 'C'"
                     " TEMPLATE template0", encoding=encoding)  # fmt: skip
    try:
        yield address
    finally:
        execute(address, "DROP DATABASE {} WITH (FORCE)")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_is_not_in_utf_8_is_refused_in_one_sentence(
    postgresql_url: str, encoding: str
) -> None:
    with (
        database_in(encoding, postgresql_url) as url,
        Database(url) as db,
        pytest.raises(DatabaseUnfit, match=f"keeps its text in {encoding}.*UTF8") as refused,
        db.reading(),
    ):
        raise AssertionError("it was opened")

    assert code_of(refused.value) is ExitCode.CONFIGURATION


@pytest.mark.parametrize("has_read", [False, True])
def test_a_database_that_only_reads_by_default_says_so(postgresql_url: str, has_read: bool) -> None:
    execute(postgresql_url, "ALTER DATABASE {} SET default_transaction_read_only = on")

    with Database(postgresql_url) as db:
        if has_read:  # the same connection has another way to begin then
            with db.reading():
                pass
        with (
            pytest.raises(DatabaseError, match="default_transaction_read_only") as refused,
            db.writing() as conn,
        ):
            conn.execute(queues.insert().values(name="q"))

    assert code_of(refused.value) is ExitCode.UNAVAILABLE  # somebody lifts it, and all goes on


@pytest.mark.parametrize(
    ("statement", "options", "way_out"),
    [
        ("ALTER DATABASE {} SET", "", r"ALTER DATABASE \w+ RESET"),
        (
            "ALTER ROLE postgres IN DATABASE {} SET",
            "",
            r"ALTER ROLE postgres IN DATABASE \w+ RESET",
        ),
        ("", "&options=-cdefault_transaction_read_only=on", "options of database.url"),
    ],
)
def test_where_every_session_is_set_to_read_only_a_start_says_whose_setting_it_is(
    postgresql_url: str, statement: str, options: str, way_out: str
) -> None:
    if statement:
        execute(postgresql_url, f"{statement} default_transaction_read_only = on")

    with (
        Database(postgresql_url + options) as db,
        db.reading() as conn,
        pytest.raises(DatabaseUnfit, match=way_out) as refused,
    ):
        require_writable(conn)

    assert code_of(refused.value) is ExitCode.CONFIGURATION


@pytest.mark.quiet
def test_what_is_set_for_the_whole_server_refuses_no_start(postgresql_url: str) -> None:
    """As it is set for a full disk: somebody lifts it, and the next start goes on."""
    execute(postgresql_url, "ALTER SYSTEM SET default_transaction_read_only = on -- {}")
    try:
        execute(postgresql_url, "SELECT pg_reload_conf() -- {}")
        while True:
            with Database(postgresql_url) as db, db.reading() as conn:
                if conn.scalar(text("SHOW default_transaction_read_only")) == "on":
                    require_writable(conn)
                    break
    finally:
        execute(postgresql_url, "ALTER SYSTEM RESET default_transaction_read_only -- {}")
        execute(postgresql_url, "SELECT pg_reload_conf() -- {}")


def test_a_search_path_that_names_nothing_is_refused_by_its_name(postgresql_url: str) -> None:
    with (
        Database(f"{postgresql_url}&options=-csearch_path=gone") as db,
        pytest.raises(DatabaseUnfit, match=r"search_path = gone names no schema .*create it"),
        db.reading(),
    ):
        pass


def test_rows_that_a_policy_hides_are_an_error_not_absent(postgresql_url: str) -> None:
    execute(postgresql_url, "DO $$BEGIN CREATE ROLE writer LOGIN; EXCEPTION WHEN"
                            " duplicate_object THEN NULL; END$$ -- {}")  # fmt: skip
    with Database(postgresql_url) as db, db.writing() as conn:
        conn.execute(text("GRANT ALL ON queues TO writer"))
        conn.execute(text("ALTER TABLE queues ENABLE ROW LEVEL SECURITY"))
    url = make_url(postgresql_url).set(username="writer").render_as_string(hide_password=False)

    with (
        Database(url) as db,
        pytest.raises(DatabaseError, match=r"row-level security .*NAME DISABLE ROW LEVEL"),
        db.reading() as conn,
    ):
        conn.execute(queues.select())
    with Database(postgresql_url) as db, db.writing() as conn:
        conn.execute(text("ALTER TABLE queues DISABLE ROW LEVEL SECURITY"))


def test_a_role_that_may_only_read_is_told_in_one_line(postgresql_url: str) -> None:
    execute(postgresql_url, "DO $$BEGIN CREATE ROLE looker LOGIN; EXCEPTION WHEN"
                            " duplicate_object THEN NULL; END$$ -- {}")  # fmt: skip
    url = make_url(postgresql_url).set(username="looker").render_as_string(hide_password=False)

    with (
        Database(url) as db,
        pytest.raises(DatabaseError, match=r"permission denied.*grant it the right"),
        db.writing() as conn,
    ):
        conn.execute(queues.insert().values(name="q"))


# --- the URL's own


def test_the_urls_options_are_kept(postgresql_url: str) -> None:
    options = "-c%20search_path=prod,public%20-cstatement_timeout=7s%20--work-mem=9MB"
    with Database(f"{postgresql_url}&options={options}") as db:
        names = ("search_path", "statement_timeout", "work_mem", "timezone", "lock_timeout")
        assert shown(db, *names) == ["prod,public", "7s", "9MB", "UTC", "5s"]


def test_two_environments_in_two_schemas_do_not_see_each_other(postgresql_url: str) -> None:
    for schema in ("prod", "staging"):
        with Database(postgresql_url) as db, db.writing() as conn:
            conn.execute(text(f"CREATE SCHEMA {schema}"))
        url = f"{postgresql_url}&options=-csearch_path%3D{schema}"
        with Database(url) as db, db.writing() as conn:
            migrate.upgrade(conn)
            conn.execute(queues.insert().values(name=schema))
            assert conn.scalars(queues.select().with_only_columns(queues.c.name)).all() == [schema]


def test_what_the_promise_rests_on_stands_above_the_urls_options(postgresql_url: str) -> None:
    options = "-csynchronous_commit=off%20-ctimezone=Asia/Tokyo"
    with Database(f"{postgresql_url}&options={options}") as db:
        assert shown(db, "synchronous_commit", "timezone") == ["on", "UTC"]


async def test_who_waits_for_news_is_not_ended_for_being_idle(postgresql_url: str) -> None:
    execute(postgresql_url, "ALTER DATABASE {} SET idle_session_timeout = '1s'")
    listener = Listener(postgresql_url)

    heard = [await listener.wait(timedelta(seconds=1.5)) for _ in range(2)]
    await listener.close()

    assert heard == [True, False]  # the first has connected


@pytest.mark.parametrize("form", ["host={0}/gone&host={0}", "host={0}/gone,{0}"])
async def test_work_and_news_find_the_server_among_several_hosts(
    postgresql_url: str, form: str
) -> None:
    address, _, server = postgresql_url.partition("?host=")
    url = f"{address}?{form.format(server)}"

    with Database(url) as db:
        assert shown(db, "timezone") == ["UTC"]
    assert await first_news(url)


async def first_news(url: str) -> bool:
    """Listen, and say whether the connection was opened: that counts as news."""
    listener = Listener(url)
    try:
        return await listener.wait(timedelta(seconds=1))
    finally:
        await listener.close()


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://u:p@a:1,b:2/db", "a,b", "1,2"),
        ("postgresql://u@a,b:2/db?connect_timeout=3", "a,b", ",2"),
        ("postgresql://a,b/db", "a,b", ","),
        ("postgresql://u@[::1]:1,[::2]:2/db", "::1,::2", "1,2"),
        ("postgresql://u@/db?host=a:1&host=b:2", "a,b", "1,2"),
    ],
)
def test_several_hosts_are_read_in_either_form(url: str, hosts: str, ports: str | None) -> None:
    parsed = parse_url(url)
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)

    assert (arguments["host"], arguments.get("port")) == (hosts, ports)
    assert arguments["dbname"] == "db"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://crawl:Tr0ub@hunter2@db.internal/crawl",
        "postgresql://crawl:Tr0ub@hunt/er2@db.internal/crawl",
        "postgresql://crawl:Tr0ub@hunt?er2@db.internal/crawl",
        "postgresql://crawl:@hunter2@db.internal/crawl",
    ],
)
def test_a_bare_at_in_a_password_is_refused_without_showing_it(url: str) -> None:
    for use in (parse_url, shown_url, Database):
        with pytest.raises(DatabaseUnfit, match="write @ as %40") as refused:
            use(url)
        assert "er2" not in str(refused.value) and "Tr0ub" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://crawl:Tr0ub%40dour@db.internal/crawl",
        "postgresql://db.internal/crawl?user=a@b&password=c@d",
        "postgresql://crawl:pa/ss@db.internal/crawl?application_name=a@b",
    ],
)
def test_an_at_in_its_place_is_fine(url: str) -> None:
    assert parse_url(url).host == "db.internal"


def test_an_option_that_libpq_does_not_know_is_one_sentence(postgresql_url: str) -> None:
    with pytest.raises(DatabaseUnfit, match="bogus"):
        Database(f"{postgresql_url}&bogus=1")


# --- what was copied


def test_a_sequence_that_was_left_behind_is_told_and_mended(postgresql_url: str) -> None:
    """Rows that are copied with their ids leave it where it was: the next insert would fail."""
    with Database(postgresql_url) as db, db.writing() as conn:
        for action in ("pause", "resume"):
            record(conn, action)
        conn.execute(text("SELECT setval('changes_id_seq', 1, false)"))

        mark_origin(conn)  # its one row has an id of its own making
        assert [one for one in list_weaknesses(conn) if "origins" in one] == []
        assert any("changes.id stands at 0" in one for one in list_weaknesses(conn))
        assert mend_sequences(conn) == ["changes"]
        assert mend_sequences(conn) == []
        record(conn, "pause")


def record(conn: Connection, action: str) -> None:
    audit.record_change(
        conn,
        by="x",
        action=action,
        subject="queues.q",
        columns={},
        now=datetime(2026, 3, 2, tzinfo=UTC),
    )


# --- poolers


@pytest.fixture
def pooled_url(postgresql_url: str, tmp_path: Path) -> Iterator[str]:
    pooler = Line(postgresql_url, tmp_path, is_pooler=True)
    yield pooler.url
    pooler.close()


def test_behind_a_pooler_each_transaction_is_set_right_and_nothing_is_left(
    postgresql_url: str, pooled_url: str
) -> None:
    execute(postgresql_url, "ALTER DATABASE {} SET timezone = 'Asia/Tokyo'")
    execute(postgresql_url, "ALTER DATABASE {} SET synchronous_commit = off")
    with psycopg.connect(postgresql_url) as plain:
        plain.execute("CREATE SCHEMA own")
    with Database(f"{pooled_url}&options=-csearch_path=own") as db:
        assert shown(db, "timezone", "synchronous_commit", "search_path", "lock_timeout") == [
            "UTC", "on", "own", "5s",
        ]  # fmt: skip
        with db.writing() as conn:
            raw = conn.connection.dbapi_connection
            assert raw is not None
        raw.autocommit = True
        left = raw.execute("SHOW lock_timeout").fetchone()
        raw.autocommit = False
    assert left == ("0",)


def test_behind_a_pooler_nothing_is_prepared(pooled_url: str) -> None:
    with Database(pooled_url) as db, db.writing() as conn:
        for number in range(5):
            conn.execute(text("SELECT name FROM queues WHERE name = :name"), {"name": str(number)})
        assert conn.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


async def test_behind_a_pooler_no_news_come_and_none_are_missed(pooled_url: str) -> None:
    """A LISTEN would stay with the server's process, which is another program's a moment later."""
    listener = Listener(pooled_url)
    try:
        assert await listener.wait(timedelta(seconds=1))
        with Database(pooled_url) as db, db.writing() as conn:
            announce(conn)
        assert not await listener.wait(timedelta(seconds=0.2))
    finally:
        await listener.close()


def test_a_statement_that_a_pooler_mixed_up_is_no_reason_to_stay_away(
    postgresql_url: str,
) -> None:
    """What goes by itself is never the exit code that keeps a daemon down."""
    with (
        Database(postgresql_url) as db,
        pytest.raises(DatabaseError, match="a pooler stands between") as refused,
        db.writing() as conn,
    ):
        for _ in range(2):
            conn.exec_driver_sql("PREPARE _pg3_0 AS SELECT 1")

    assert code_of(refused.value) is ExitCode.UNAVAILABLE


# --- a line that is cut without a word


@pytest.mark.parametrize("way", ["write", "read"])
async def test_a_silent_line_is_given_up_and_the_next_try_takes_another(
    postgresql_url: str, tmp_path: Path, way: str
) -> None:
    line = Line(postgresql_url, tmp_path)
    with Database(line.url, answer_within=1.5) as db:
        do = db.write if way == "write" else db.read
        await do(read_one)
        line.cut()
        with pytest.raises(DatabaseError):
            async with asyncio.timeout(60):
                await do(read_one)
        line.mend()
        assert await do(read_one) == 1
    line.close()


def read_one(conn: Connection) -> object:
    return conn.scalar(text("SELECT 1"))
