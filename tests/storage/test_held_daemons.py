"""Who says that they are held: a server's clock tells who does no more."""

from datetime import UTC, datetime

from sqlalchemy import update

from scheduler.storage.database import Database
from scheduler.storage.held_daemons import SAID_WITHIN, HeldDaemon, list_held, note_held
from scheduler.storage.upkeep_tables import held_daemons

DEAD_BATTERY = datetime(2000, 1, 1, tzinfo=UTC)
HELD = HeldDaemon(
    id="d", host="lab", pid=1, process=None, why="its clock", seen_at=DEAD_BATTERY
)  # fmt: skip


def test_one_that_was_killed_elsewhere_is_told_for_a_minute(postgresql_url: str) -> None:
    with Database(postgresql_url) as db, db.writing() as conn:
        note_held(conn, HELD)
        alive = list_held(conn)
        earlier = alive[0].seen_at - 2 * SAID_WITHIN
        conn.execute(update(held_daemons).values(seen_at=earlier))
        killed = list_held(conn)

    assert [daemon.id for daemon in alive] == ["d"]
    assert killed == []
