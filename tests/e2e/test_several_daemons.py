"""Several daemons and one database: they start at once, share PostgreSQL, and not SQLite."""

from pathlib import Path

from tests.databases import empty_postgresql
from tests.e2e.rig import house, serving, wait_for
from tests.judge import jobs_of


def test_daemons_that_start_at_once_on_an_empty_database_all_work(tmp_path: Path) -> None:
    with (
        empty_postgresql() as url,
        serving() as (sandbox, base_url),
        house(tmp_path, url, base_url) as built,
    ):
        daemons = [built.start() for _ in range(4)]
        for daemon in daemons:
            daemon.wait_until_it_said("daemon_started", within=40)
        wait_for(lambda: len(jobs_of(sandbox)) > 10, within=20, what="jobs", also=built.tell)
        statuses = [daemon.stop() for daemon in daemons]
        built.settle()

        assert statuses == [0, 0, 0, 0]
        assert built.complaints(jobs_of(sandbox)) == [], built.tell()
