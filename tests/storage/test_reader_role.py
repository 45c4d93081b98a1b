"""A role that may read our tables, and do nothing else to them."""

import pytest
from sqlalchemy import text

from scheduler.actions.grant_reader import grant_reader
from scheduler.domain.errors import Conflict
from scheduler.storage.database import Database
from scheduler.storage.weaknesses import list_weaknesses
from scheduler.views.status import read_status
from tests.engine.rows import NINE


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_reader_reads_all_but_tokens_and_writes_nothing(database_url: str) -> None:
    with Database(database_url) as db, db.writing() as conn:
        role = conn.scalar(text("SELECT 'reader_' || pg_backend_pid()"))
        conn.exec_driver_sql(f"CREATE ROLE {role}")
        granted = grant_reader(conn, str(role), by="alice", now=NINE)

        may = text("SELECT has_table_privilege(:role, CAST(:name AS text), CAST(:what AS text))")

        def told(name: str, what: str) -> bool:
            return bool(conn.scalar(may, {"role": role, "name": name, "what": what}))

        assert told("runs", "SELECT")
        assert told("alembic_version", "SELECT")
        assert not told("runs", "INSERT, UPDATE, DELETE, TRUNCATE")
        assert not told("api_tokens", "SELECT")
        assert not told("api_sessions", "SELECT")
        assert "bodies" in granted.tables
        assert conn.scalar(text("SELECT action FROM changes")) == "grant-reader"
        conn.exec_driver_sql(f"SET LOCAL ROLE {role}")
        assert read_status(conn, now=NINE).expiring_tokens == ()
        assert [one for one in list_weaknesses(conn) if "sequence" in one] == []
        conn.exec_driver_sql("RESET ROLE")
        conn.exec_driver_sql(f"GRANT INSERT ON runs TO {role}")
        with pytest.raises(Conflict, match="may write"):
            grant_reader(conn, str(role), by="alice", now=NINE)
        conn.rollback()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_role_that_is_not_there_is_told(database_url: str) -> None:
    with (
        Database(database_url) as db,
        db.writing() as conn,
        pytest.raises(Conflict, match="no role"),
    ):
        grant_reader(conn, "nobody-at-all", by="alice", now=NINE)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_knows_no_roles(database_url: str) -> None:
    with Database(database_url) as db, db.writing() as conn, pytest.raises(Conflict, match="group"):
        grant_reader(conn, "alice", by="alice", now=NINE)
