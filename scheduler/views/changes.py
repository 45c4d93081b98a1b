"""The audit: who changed what through our own doors."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.storage import audit
from scheduler.storage.database import Connection
from scheduler.views.decoding import view
from scheduler.views.page import MOST_COUNTED, Page, page_of


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
) -> Page[ChangeView]:
    """Return a page of changes of a subject or table, the newest first: those *before* an id."""
    page = audit.list_changes(
        conn, subject=subject, by=by, since=since, limit=limit + 1, before_id=before
    )
    views = [view(ChangeView, row, columns=row.columns()) for row in page]
    return page_of(views, limit=limit)


def count_changes(
    conn: Connection,
    *,
    subject: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
) -> int:
    """Return how many changes there are of these; more than MOST_COUNTED is one more than that."""
    return audit.count_changes(conn, subject=subject, by=by, since=since, most=MOST_COUNTED + 1)
