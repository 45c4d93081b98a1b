"""A daemon whose clock is in doubt is up; `status` and `doctor` say why it does nothing."""

import json
from datetime import timedelta
from pathlib import Path

from scheduler.clock import utc_now
from scheduler.storage import daemons
from scheduler.storage.database import Database
from tests.databases import migrate
from tests.e2e.rig import house

UNREACHABLE = "http://127.0.0.1:9"


def test_a_daemon_that_is_held_is_told_by_status_and_doctor(
    tmp_path: Path, database_url: str
) -> None:
    migrate(database_url)
    with Database(database_url) as db, db.writing() as conn:
        daemons.insert_daemon(
            conn, "before", host="elsewhere", pid=1, version="1", zone_data="2026a",
            now=utc_now() - timedelta(days=3),
        )  # fmt: skip
    with house(tmp_path, database_url, UNREACHABLE) as built:
        daemon = built.start()
        daemon.wait_until_it_said("clock_in_doubt")
        status, doctor = built.call("status"), built.call("doctor", "--json")
        code = daemon.stop()
        afterwards = built.call("status")

    assert f"daemon pid {daemon.process.pid} on " in status.stdout
    assert "is held, and decides and sends nothing: the clock shows " in status.stdout
    assert "no upstream answers: it goes on once one does, or start with" in status.stdout
    assert "no daemon runs" not in status.stdout
    assert doctor.returncode == 1
    assert any("is held" in sentence for sentence in json.loads(doctor.stdout)["complaints"])
    assert code == 0
    assert "no daemon runs: the last, pid 1 on elsewhere" in afterwards.stdout
    assert "is held" not in afterwards.stdout
