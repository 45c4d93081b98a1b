"""The audit: who changed what through our own doors, written with the change or not at all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, or_, select

from scheduler.storage.rows import records
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChange:
    """
    That *who* did *action* to *subject*, such as `schedules.nightly` or `runs.17`.

    *columns* are the values before and after; whoever makes it leaves secrets and inputs out.
    """

    who: str
    action: str
    subject: str
    columns: Columns | None = None


def record_change(
    conn: Connection,
    *,
    who: str,
    action: str,
    subject: str,
    now: datetime,
    columns: Columns | None = None,
) -> None:
    """Note one change: see NewChange."""
    new = NewChange(who=who, action=action, subject=subject, columns=columns)
    record_changes(conn, [new], now=now)


def record_changes(conn: Connection, new: Sequence[NewChange], *, now: datetime) -> None:
    """Note what was changed in this transaction, in order."""
    if not new:
        return
    rows = [
        {
            "at": now,
            "who": one.who,
            "action": one.action,
            "subject": one.subject,
            "detail": _detail(one.columns),
        }
        for one in new
    ]
    conn.execute(insert(changes), rows)


def _detail(columns: Columns | None) -> str | None:
    return json.dumps(columns, ensure_ascii=False, default=str) if columns else None


def list_changes(
    conn: Connection, *, subject: str | None = None, limit: int
) -> list[RecordedChange]:
    """Return the newest changes first; *subject* is a whole one, or a table such as `schedules`."""
    query = select(changes).order_by(changes.c.id.desc()).limit(limit)
    if subject is not None:
        within = changes.c.subject.startswith(f"{subject}.", autoescape=True)
        query = query.where(or_(changes.c.subject == subject, within))
    return records(RecordedChange, conn.execute(query))
