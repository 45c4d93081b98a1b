"""The audit: who changed what through our own doors."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.storage import audit
from scheduler.storage.database import Connection
from scheduler.views.decoding import view
from scheduler.views.page import MOST_COUNTED, Counted, Page, bounded, page_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """That *by* did *action* to *subject*; *columns* are its values, mostly [before, after]."""

    id: int
    happened_at: datetime
    by: str
    action: str
    subject: str
    columns: Mapping[str, Any]


def list_changes(
    conn: Connection,
    *,
    subject: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
    limit: int,
    before: int | None = None,
    look_through: int | None = None,
) -> Page[ChangeView]:
    """
    Return a page of changes of a subject or table, the newest first: those *before* an id.

    Where so many were *looked through* it may have fewer than *limit*, and go on all the same.
    """
    wanted: dict[str, Any] = {"subject": subject, "by": by, "since": since}
    bound = wanted["from_id"] = _bound(conn, wanted, look_through, before)
    page = audit.list_changes(conn, **wanted, limit=limit + 1, before_id=before)
    views = [view(ChangeView, row, columns=row.columns()) for row in page]
    return bounded(page_of(views, limit=limit), bound)


def count_changes(
    conn: Connection,
    *,
    subject: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
    look_through: int,
) -> Counted:
    """Return how many changes there are of these, so many of the newest looked through."""
    wanted: dict[str, Any] = {"subject": subject, "by": by, "since": since}
    bound = wanted["from_id"] = _bound(conn, wanted, look_through, None)
    found = audit.count_changes(conn, **wanted, most=MOST_COUNTED + 1)
    return Counted.of(found, is_all=bound is None)


def _bound(
    conn: Connection, wanted: Mapping[str, Any], most: int | None, before: int | None
) -> int | None:
    return None if most is None else audit.find_bound(conn, **wanted, most=most, before_id=before)
