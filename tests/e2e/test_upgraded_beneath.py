"""A daemon whose database is upgraded, or restored, while it works stops, and says why."""

from pathlib import Path

from sqlalchemy import text

from scheduler.storage import restores
from scheduler.storage.database import Connection, Database
from tests.databases import empty_sqlite
from tests.e2e.rig import house, serving
from tests.judge import jobs_of
from tests.make import NINE
from tests.migrations.steps import upgrade_to


def ends_after(change: str, tmp_path: Path, url: str) -> str:
    """Change the database beneath a daemon; return what that said when it had ended with 78."""
    with serving() as (sandbox, base_url), house(tmp_path, url, base_url, schedules=2) as built:
        daemon = built.start(wait=True)
        with Database(url) as db, db.writing() as conn:
            _CHANGES[change](conn)

        assert daemon.process.wait(120) == 78, daemon.said()
        assert built.complaints(jobs_of(sandbox)) == []
        return daemon.said()


def _upgrade(conn: Connection) -> None:
    conn.execute(text("UPDATE alembic_version SET version_num = '9999_newer'"))


def _restore(conn: Connection) -> None:
    restores.insert_restore(conn, backup_at=NINE)


_CHANGES = {"upgrade": _upgrade, "restore": _restore}


def test_an_old_daemon_beside_a_newer_schema_stops(tmp_path: Path, database_url: str) -> None:
    assert "was brought to schema 9999_newer" in ends_after("upgrade", tmp_path, database_url)


def test_a_daemon_whose_database_was_restored_stops(tmp_path: Path, postgresql_url: str) -> None:
    assert "db settle-restore" in ends_after("restore", tmp_path, postgresql_url)


def test_a_start_copies_an_older_file_before_it_brings_it_forward(tmp_path: Path) -> None:
    url = empty_sqlite(tmp_path)
    with Database(url) as db, db.writing() as conn:
        upgrade_to(conn, "0013_holds")
    with serving() as (_, base_url), house(tmp_path, url, base_url, schedules=2) as built:
        daemon = built.start(wait=True)

        assert "database_backed_up" in daemon.said()
        assert daemon.stop() == 0
    assert len(list(tmp_path.glob("scheduler.db.before-0013_holds-*"))) == 1
