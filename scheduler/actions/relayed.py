"""What a client asks the upstream to change goes through here on its way: the audit has it."""

from datetime import datetime

from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection


def record_verb(conn: Connection, collection_id: str, verb: str, *, by: str, now: datetime) -> None:
    """Note that *by* asks the upstream to *verb* a collection, before it is asked."""
    record_change(conn, by, verb, f"collections.{collection_id}", now=now)
