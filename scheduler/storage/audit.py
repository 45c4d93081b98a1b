"""The audit: who changed what through our own doors, written with the change or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, or_, select

from scheduler.storage.rows import record
from scheduler.storage.tables import changes

DAEMON: Final = "daemon"
"""Who changed something when no person did."""

Columns = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChange:
    """One change; *detail* is JSON text: columns with their values before and after."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: str | None

    def columns(self) -> dict[str, Any]:
        """Return what *detail* says of each column: [before, after]."""
        try:
            read = json.loads(self.detail or "{}")
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}


def record_change(
    conn: Connection,
    *,
    who: str,
    action: str,
    subject: str,
    now: datetime,
    columns: Columns | None = None,
) -> None:
    """
    Note that *who* did *action* to *subject*, such as `schedules.nightly` or `runs.17`.

    *columns* are the values before and after; the caller leaves secrets and inputs out.
    """
    detail = None if not columns else json.dumps(columns, ensure_ascii=False, default=str)
    conn.execute(
        insert(changes).values(at=now, who=who, action=action, subject=subject, detail=detail)
    )


def list_changes(
    conn: Connection, *, subject: str | None = None, limit: int
) -> list[RecordedChange]:
    """Return the newest changes first; *subject* is a whole one, or a table such as `schedules`."""
    query = select(changes).order_by(changes.c.id.desc()).limit(limit)
    if subject is not None:
        within = changes.c.subject.startswith(f"{subject}.", autoescape=True)
        query = query.where(or_(changes.c.subject == subject, within))
    return [record(RecordedChange, row) for row in conn.execute(query).mappings()]
