"""Names, for whoever types one."""

from typing import Final

from scheduler.storage import definition_tables, definitions, schedules
from scheduler.storage.database import Connection
from scheduler.views.decoding import read_names

_MOST: Final = 200


def list_names(conn: Connection, table: str, *, prefix: str) -> list[str]:
    """Return names of a definition table that begin with *prefix*, in order: 200 at most."""
    if table != "queues":
        return definition_tables.list_names(conn, table, prefix=prefix, limit=_MOST)
    names = (name for name in definitions.list_queue_names(conn) if name.startswith(prefix))
    return list(names)[:_MOST]


def list_suggestions(conn: Connection) -> dict[str, list[str]]:
    """Return what the fields of a filter may say, by the field: 200 of each at most."""
    tables = {name: f"{name}s" for name in ("schedule", "collector", "queue")} | {
        "batch": "batches"
    }
    found = {name: list_names(conn, table, prefix="") for name, table in tables.items()}
    return {**found, "label": list_labels(conn)[:_MOST]}


def list_labels(conn: Connection) -> list[str]:
    """Return the labels that schedules have, in order."""
    return sorted({label for text in schedules.list_labels(conn) for label in read_names(text)})
