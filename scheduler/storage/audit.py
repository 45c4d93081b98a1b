"""The audit: who changed what through our own doors, written with the change or not at all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select

from scheduler.domain.timestamps import iso_time
from scheduler.storage import bounds
from scheduler.storage.rows import records
from scheduler.storage.tables import changes

DAEMON: Final = "daemon"
"""Who changed something when no person did."""

Columns = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChange:
    """One change; *detail* is JSON text: columns with their values before and after."""

    id: int
    happened_at: datetime
    by: str
    action: str
    subject: str
    detail: str | None

    def columns(self) -> dict[str, Any]:
        """Return what *detail* says of each column: [before, after]."""
        try:
            read = json.loads(self.detail or "{}", strict=False)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChange:
    """
    That *by* did *action* to *subject*, such as `schedules.nightly` or `runs.17`.

    *columns* are the values before and after; whoever makes it leaves secrets and inputs out.
    """

    by: str
    action: str
    subject: str
    columns: Columns | None = None


def record_change(
    conn: Connection,
    by: str,
    action: str,
    subject: str,
    columns: Columns | None = None,
    *,
    now: datetime,
) -> None:
    """Note one change: see NewChange."""
    new = NewChange(by=by, action=action, subject=subject, columns=columns)
    record_changes(conn, [new], now=now)


def record_changes(conn: Connection, new: Sequence[NewChange], *, now: datetime) -> None:
    """Note what was changed in this transaction, in order."""
    if not new:
        return
    rows = [
        {
            "happened_at": now,
            "by": change.by,
            "action": change.action,
            "subject": change.subject,
            "detail": _detail(change.columns),
        }
        for change in new
    ]
    conn.execute(insert(changes), rows)


def _detail(columns: Columns | None) -> str | None:
    return json.dumps(columns, ensure_ascii=False, default=_as_text) if columns else None


def list_changes(
    conn: Connection,
    *,
    subject: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
    limit: int,
    before_id: int | None = None,
    from_id: int | None = None,
) -> list[RecordedChange]:
    """
    Return the newest changes first; *subject* is a whole one, or a table such as `schedules`.

    *by* is a user or a token, by whatever stands with it: bob is also `root (sudo by bob)`. None
    below *from_id* is looked at.
    """
    conditions = _conditions(subject, by, since, from_id)
    query = select(changes).where(*conditions).order_by(changes.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(changes.c.id < before_id)
    return records(RecordedChange, conn.execute(query))


def count_changes(
    conn: Connection,
    *,
    subject: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
    most: int,
    from_id: int | None = None,
) -> int:
    """Return how many changes `list_changes` has; they are counted up to *most*."""
    conditions = _conditions(subject, by, since, from_id)
    chosen = select(changes.c.id).where(*conditions).limit(most)
    return conn.scalar(select(func.count()).select_from(chosen.subquery())) or 0


def find_bound(
    conn: Connection,
    *,
    subject: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
    most: int,
    before_id: int | None,
) -> int | None:
    """Return from which change on a list may be looked through; None where an index finds them."""
    is_any = subject is None and by is None and since is None
    if is_any or _is_whole(subject):
        return None
    return bounds.find_bound(conn, changes.c.id, most=most, before=before_id)


def list_after(conn: Connection, change_id: int, *, limit: int) -> list[RecordedChange]:
    """Return the changes after one, in the order of their numbers, as far as they are visible."""
    newer = select(changes).where(changes.c.id > change_id)
    return records(RecordedChange, conn.execute(newer.order_by(changes.c.id).limit(limit)))


def newest_id(conn: Connection) -> int:
    """Return the highest number of a change."""
    return conn.scalar(select(func.max(changes.c.id))) or 0


def _conditions(
    subject: str | None, by: str | None, since: datetime | None, from_id: int | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if from_id is not None:
        conditions.append(changes.c.id >= from_id)
    if subject is not None and _is_whole(subject):
        conditions.append(changes.c.subject == subject)
    elif subject is not None:
        within = changes.c.subject.startswith(f"{subject}.", autoescape=True)
        conditions.append(or_(changes.c.subject == subject, within))
    if since is not None:
        conditions.append(changes.c.happened_at >= since)
    if by is not None:
        through_sudo = changes.c.by.endswith(f"(sudo by {by})", autoescape=True)
        by_http = changes.c.by.startswith(f"http:{by}@", autoescape=True)
        conditions.append(or_(changes.c.by == by, through_sudo, by_http))
    return conditions


def _is_whole(subject: str | None) -> bool:
    """Tell whether it names one thing, and no table: its changes are found by an index."""
    return subject is not None and "." in subject


def _as_text(value: object) -> str:
    return iso_time(value) if isinstance(value, datetime) else str(value)
