"""Which definitions name which: what must not be deleted while others need it."""

from collections.abc import Iterator, Mapping
from typing import Any

Rows = Mapping[str, Mapping[str, Mapping[str, Any]]]


def named_by(rows: Rows, deleted: set[tuple[str, str]]) -> list[str]:
    """Return a sentence for each of *deleted* that a row which stays still names."""
    if not deleted:
        return []
    return [
        f"{table}.{name} is named by {by}"
        for by, table, name in _references(rows)
        if (table, name) in deleted
    ]


def _references(rows: Rows) -> Iterator[tuple[str, str, str]]:
    for name, row in rows["collectors"].items():
        yield f"collectors.{name}", "accounts", row["account"]
    for name, row in rows["schedules"].items():
        by = f"schedules.{name}"
        yield by, "collectors", row["collector"]
        yield by, "batches", row["batch"]
        yield by, "schedules", row["after"] or ""
        yield by, "queues", row["queue"] or ""
        for calendar in (row["exclude"] or "").split(","):
            yield by, "calendars", calendar.strip()
