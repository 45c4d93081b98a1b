"""From a definition and a due time to the run that is written, whole: no later edit changes it."""

from dataclasses import dataclass, replace
from datetime import datetime

from scheduler.domain.definition import RunDefaults, duration_of, misfire_grace_of, params_of
from scheduler.domain.firing import PROMPT
from scheduler.domain.records import (
    Batch,
    Collector,
    NewRun,
    Overlap,
    QueueOrder,
    Reason,
    Run,
    RunState,
    Schedule,
    StoredBody,
)
from scheduler.domain.request import Params, query_string


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """
    One due time of a schedule, its reason, and when it may be sent at the earliest.

    DUE becomes a run to send, BAD_INPUTS a failed one, any other reason a skipped one. A gap is
    *count* occurrences up to *due_until*, none of which is sent.
    """

    due_at: datetime
    reason: Reason
    not_before: datetime
    detail: str | None = None
    due_until: datetime | None = None
    count: int = 1

    def with_reason(self, reason: Reason, detail: str) -> "Occurrence":
        """Return the same occurrence with another reason."""
        return replace(self, reason=reason, detail=detail)


def scheduled_run(
    schedule: Schedule,
    collector: Collector,
    batch: Batch,
    occurrence: Occurrence,
    *,
    body: StoredBody | None,
    order: QueueOrder,
    defaults: RunDefaults,
    now: datetime,
) -> NewRun:
    """Return the run of *occurrence*; *body* is what its batch held when it was due."""
    state = _STATE_OF.get(occurrence.reason, RunState.SKIPPED)
    return NewRun(
        schedule=schedule.name,
        due_at=occurrence.due_at,
        account=collector.account,
        collector=collector.name,
        collector_id=collector.collector_id,
        batch=batch.name,
        body=body.fingerprint if body is not None and state is RunState.QUEUED else None,
        query=query_string(params_of(schedule, collector, due_at=occurrence.due_at)),
        queue=schedule.queue,
        confirm_cancel=schedule.confirm_cancel,
        order_key=_order_key(schedule, collector, order),
        labels=schedule.labels,
        priority=schedule.priority,
        state=state,
        reason=occurrence.reason,
        detail=occurrence.detail,
        not_before=occurrence.not_before,
        send_before=_send_before(schedule, occurrence, now),
        max_attempts=schedule.max_attempts or collector.max_attempts or defaults.max_attempts,
        backoff_initial=schedule.backoff_initial
        or collector.backoff_initial
        or defaults.backoff_initial,
        backoff_max=schedule.backoff_max or collector.backoff_max or defaults.backoff_max,
        on_unconfirmed=(
            schedule.on_unconfirmed or collector.on_unconfirmed or defaults.on_unconfirmed
        ),
        created_at=now,
        ended_at=None if state is RunState.QUEUED else now,
        due_until=occurrence.due_until,
        occurrences=occurrence.count,
    )


_STATE_OF = {Reason.DUE: RunState.QUEUED, Reason.BAD_INPUTS: RunState.FAILED}


def _send_before(schedule: Schedule, occurrence: Occurrence, now: datetime) -> datetime:
    """Return when the grace ends; for what is caught up with by a window, counted from now."""
    grace = misfire_grace_of(schedule)
    ends = occurrence.not_before + grace
    has_window = duration_of("catch_up_window", schedule.catch_up_window) is not None
    is_late = now - occurrence.not_before > PROMPT
    return max(ends, now + grace) if has_window and is_late else ends


def _order_key(schedule: Schedule, collector: Collector, order: QueueOrder) -> str | None:
    if schedule.confirm_cancel or (schedule.overlap is Overlap.ALLOW and schedule.queue is None):
        return None  # it waits for nobody
    if schedule.queue is None:
        return f"schedule:{schedule.name}"
    return queue_order_key(collector.account, collector.collector_id, schedule.queue, order)


def queue_order_key(account: str, collector_id: str, queue: str, order: QueueOrder) -> str | None:
    """Return what the order of a named queue is kept in; None where others may pass the head."""
    return f"queue:{account}/{collector_id}/{queue}" if order is QueueOrder.STRICT else None


def requested_run(
    collector: Collector,
    params: Params,
    body: StoredBody,
    *,
    batch: str | None,
    order: QueueOrder,
    priority: int,
    defaults: RunDefaults,
    now: datetime,
) -> NewRun:
    """Return a run asked for by hand, to be sent at once and however late."""
    given = dict(params)
    queue = given.get("queue")
    order_key = None
    if queue is not None:
        order_key = queue_order_key(collector.account, collector.collector_id, queue, order)
    return NewRun(
        schedule=None,
        due_at=now,
        account=collector.account,
        collector=collector.name,
        collector_id=collector.collector_id,
        batch=batch,
        body=body.fingerprint,
        query=query_string(params),
        queue=queue,
        confirm_cancel="confirm_cancel" in given,
        order_key=order_key,
        labels=None,
        priority=priority,
        state=RunState.QUEUED,
        reason=Reason.REQUESTED,
        detail=None,
        not_before=now,
        send_before=None,
        max_attempts=collector.max_attempts or defaults.max_attempts,
        backoff_initial=collector.backoff_initial or defaults.backoff_initial,
        backoff_max=collector.backoff_max or defaults.backoff_max,
        on_unconfirmed=collector.on_unconfirmed or defaults.on_unconfirmed,
        created_at=now,
    )


def retried_run(run: Run, *, now: datetime) -> NewRun:
    """Return a new run that sends again what the ended *run* sent, at once and however late."""
    return NewRun(
        schedule=run.schedule,
        due_at=run.due_at,
        account=run.account,
        collector=run.collector,
        collector_id=run.collector_id,
        batch=run.batch,
        body=run.body,
        query=run.query,
        queue=run.queue,
        confirm_cancel=run.confirm_cancel,
        order_key=run.order_key,
        labels=run.labels,
        priority=run.priority,
        state=RunState.QUEUED,
        reason=Reason.REQUESTED,
        detail=f"retry of run {run.id}",
        not_before=now,
        send_before=None,
        max_attempts=run.max_attempts,
        backoff_initial=run.backoff_initial,
        backoff_max=run.backoff_max,
        on_unconfirmed=run.on_unconfirmed,
        created_at=now,
        retry_of=run.id,
        chunk=run.chunk,
        chunks=run.chunks,
    )
