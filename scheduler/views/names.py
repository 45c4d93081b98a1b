"""Names, for whoever types one."""

from typing import Final

from scheduler.storage import definition_tables, definitions
from scheduler.storage.database import Connection

_MOST: Final = 200


def list_names(conn: Connection, table: str, *, prefix: str) -> list[str]:
    """Return names of a definition table that begin with *prefix*, in order: 200 at most."""
    if table != "queues":
        return definition_tables.list_names(conn, table, prefix=prefix, limit=_MOST)
    names = (name for name in definitions.list_queue_names(conn) if name.startswith(prefix))
    return list(names)[:_MOST]
