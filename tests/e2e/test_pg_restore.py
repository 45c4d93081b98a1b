"""What PostgreSQL's own `pg_restore` brought back is noticed, by a start and beneath a daemon."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg

from tests.databases import migrate
from tests.e2e.rig import Daemon, House, house, serving, wait_for
from tests.judge import jobs_of
from tests.postgres import find_programs


def dump(url: str, file: Path) -> None:
    words: list[str | Path] = [find_programs() / "pg_dump", "--format=custom"]
    subprocess.run([*words, f"--file={file}", url], check=True)


def restore(url: str, file: Path) -> None:
    how = ["--clean", "--if-exists", "--single-transaction", f"--dbname={url}"]
    words: list[str | Path] = [find_programs() / "pg_restore", *how, file]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def restore_beneath(daemon: Daemon, url: str, file: Path) -> None:
    """Restore while a daemon stands still: what it reads meanwhile makes a deadlock with DROP."""
    os.kill(daemon.process.pid, signal.SIGSTOP)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    restore(url, file)
    os.kill(daemon.process.pid, signal.SIGCONT)


def status(built: House) -> str:
    return built.call("status").stdout


def test_a_database_that_pg_restore_brought_back_is_held_until_that_is_settled(
    tmp_path: Path, postgresql_url: str
) -> None:
    file = tmp_path / "dca.dump"
    migrate(postgresql_url)
    with serving() as (sandbox, base_url), house(tmp_path, postgresql_url, base_url) as built:
        daemon = built.start(wait=True)
        wait_for(lambda: len(jobs_of(sandbox)) > 2, within=60, what="some are sent")
        dump(postgresql_url, file)
        assert daemon.stop() == 0
        again = built.start(wait=True)
        assert again.stop() == 0  # as it was
        restore(postgresql_url, file)
        with psycopg.connect(postgresql_url) as conn:
            conn.execute("UPDATE daemons SET seen_at = seen_at - interval '1 hour'")
        told, refused = status(built), built.start()
        code = refused.process.wait(120)
        settled = built.call("db", "settle-restore", "--yes", within=60)
        going = built.start(wait=True)
        restore_beneath(going, postgresql_url, file)
        beneath = going.process.wait(120)

    assert "were restored from a dump" in told
    assert "`dca-scheduler db settle-restore`" in told
    assert (code, beneath) == (78, 78), refused.said()[-2000:]
    assert "were restored from a dump" in refused.said()
    assert settled.returncode == 0, settled.stderr
