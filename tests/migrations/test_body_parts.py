"""Bodies of before stay as they are; those in parts are made whole on the way back."""

from sqlalchemy import text

from scheduler.storage import definitions, migrate
from scheduler.storage.body_parts import DatabaseSpool
from scheduler.storage.database import Database
from tests.make import NINE, make_body
from tests.migrations.steps import downgrade


def test_parts_become_one_text_on_the_way_back_and_old_texts_stay(database_url: str) -> None:
    with Database(database_url) as db:
        spool = DatabaseSpool(db, NINE)
        key = spool.begin()
        for number in range(1, 12):
            spool.put(key, number, f"<{number}>")
        large = make_body(fingerprint="e" * 64, text="", parts=key)
        with db.writing() as conn:
            definitions.insert_bodies(conn, [make_body(), large], now=NINE)
        with db.writing() as conn:
            downgrade(conn, "0015_restores")
            rows = conn.execute(text("SELECT fingerprint, text FROM bodies"))
            found = {row.fingerprint: row.text for row in rows}
        with db.writing() as conn:
            migrate.upgrade(conn)
            after = [definitions.get_body(conn, mark * 64).text for mark in "ef"]

    assert found == {"e" * 64: "".join(f"<{number}>" for number in range(1, 12))} | {
        "f" * 64: make_body().text
    }
    assert after == [found[mark * 64] for mark in "ef"]
