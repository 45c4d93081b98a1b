"""The life of a run as a picture: who it waited for, and how long each part took."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.domain.records import Outcome, RunState
from scheduler.views.runs import AttemptView, CollectionView, RunDetail
from scheduler.web.pictures.frame import Picture
from scheduler.web.pictures.gantt import Moment, Span, SpanKind, draw_gantt

_ATTEMPTS: Final = 8
"""So many of the last attempts are drawn."""


def draw_run(run: RunDetail, *, zone: ZoneInfo, now: datetime) -> Picture:
    """Draw it as far as it has come."""
    return draw_gantt(list(_spans(run)), list(_moments(run)), now=now, zone=zone)


def _spans(run: RunDetail) -> Iterator[Span]:
    since: datetime | None = max(run.due_at, run.created_at)
    for attempt in run.attempts[-_ATTEMPTS:]:
        if since is not None and since < attempt.claimed_at:
            yield _span("in the queue", SpanKind.WAITING, since, attempt.claimed_at)
        yield _sent(attempt)
        since = attempt.resolved_at
    if run.state is RunState.QUEUED and since is not None:
        yield _span("in the queue", SpanKind.WAITING, since, None)
    for collection in run.collections:
        yield from _collected(run, collection)


def _sent(attempt: AttemptView) -> Span:
    outcome = "under way" if attempt.outcome is Outcome.SENDING else attempt.outcome.value
    says = f"try {attempt.number}: {outcome}"
    return _span(says, SpanKind.SENDING, attempt.claimed_at, attempt.resolved_at)


def _collected(run: RunDetail, collection: CollectionView) -> Iterator[Span]:
    is_current = collection.id == run.collection_id
    ended_at = collection.finished_at or (run.ended_at if is_current else None)
    begun_at = collection.started_at or ended_at
    yield _span("accepted, not begun", SpanKind.STARTING, collection.accepted_at, begun_at)
    if collection.started_at is not None:
        yield _span("crawls", SpanKind.CRAWLING, collection.started_at, ended_at)
    if is_current and collection.finished_at is not None:
        yield _span("until we saw it", SpanKind.AFTER, collection.finished_at, run.ended_at)


def _span(says: str, kind: SpanKind, start: datetime, end: datetime | None) -> Span:
    return Span(says=says, kind=kind, start=start, end=None if end is None else max(start, end))


def _moments(run: RunDetail) -> Iterator[Moment]:
    told = (
        ("due", run.due_at),
        ("promised start", run.start_eta),
        ("not sent after", run.send_before if run.triggered_at is None else None),
        ("overdue", run.overdue_at),
        ("ended", run.ended_at),
    )
    for says, at in told:
        if at is not None:
            yield Moment(says=says, at=at)
