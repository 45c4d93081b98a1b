"""The drill: a backup beside a daemon that fires on, a crash, the backup restored, a new start."""

import json
from pathlib import Path

from sqlalchemy import text

from scheduler.sandbox import Sandbox
from scheduler.storage import restores
from tests.e2e.rig import House, house, serving, wait_for
from tests.judge import jobs_of


def names_sent_twice(names: list[str | None]) -> list[str]:
    return sorted({name for name in names if name and names.count(name) > 1})


def done(built: House, *words: str) -> str:
    answer = built.call(*words, within=60)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def unknown_ids(built: House, sandbox: Sandbox) -> set[str]:
    """Return the upstream's jobs that neither a run has nor an operator is told of."""
    with built.reading() as conn:
        known = set(conn.scalars(text("SELECT id FROM collections")))
        told = {job.id for job in restores.list_unknown_jobs(conn)}
    return {job.id for job in jobs_of(sandbox)} - known - told


def is_looked_into(built: House) -> bool:
    with built.reading() as conn:
        return restores.find_looked_into(conn) is None


def test_a_restored_backup_bills_nothing_twice_and_every_job_is_known_again(
    tmp_path: Path, database_url: str
) -> None:
    backup = tmp_path / "backup.db"
    with serving() as (sandbox, base_url), house(tmp_path, database_url, base_url) as built:
        daemon = built.start(wait=True)
        wait_for(lambda: built.count("state = 'succeeded'") > 5, within=60, what="runs ended")
        done(built, "db", "backup", str(backup))
        at_backup = len(jobs_of(sandbox))
        wait_for(lambda: len(jobs_of(sandbox)) > at_backup + 15, within=60, what="more is sent")
        daemon.kill()

        wait_for(lambda: restored(built, backup), within=60, what="the dead daemon is forgotten")
        held = built.start()
        assert held.process.wait(120) == 78, held.said()
        settled = json.loads(done(built, "db", "settle-restore", "--yes", "--json"))
        again = built.start(wait=True)
        wait_for(lambda: is_looked_into(built), within=120, what="all looked for", also=built.tell)
        unknown = unknown_ids(built, sandbox)
        at_thaw = len(jobs_of(sandbox))
        done(built, "thaw", "all", "--yes")
        wait_for(lambda: len(jobs_of(sandbox)) > at_thaw + 5, within=60, what="it fires again")
        assert again.stop() == 0, again.said()[-3000:]

        assert settled["frozen_since"]
        assert unknown == set()
        assert names_sent_twice([job.name for job in jobs_of(sandbox)]) == []


def restored(built: House, backup: Path) -> bool:
    """Restore; on PostgreSQL, a daemon that was killed is in the way for a while."""
    answer = built.call("db", "restore", str(backup), "--yes", within=60)
    assert answer.returncode == 0 or "was seen" in answer.stderr, answer.stderr
    return answer.returncode == 0
