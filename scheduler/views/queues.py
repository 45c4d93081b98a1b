"""Named queues: what is in each, and why its head waits."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.records import QueueOrder
from scheduler.storage import definitions, runs
from scheduler.storage.database import Connection
from scheduler.storage.definitions import Queue
from scheduler.storage.runs import QueueDepth
from scheduler.views.decoding import view
from scheduler.views.runs import RunView, run_view
from scheduler.views.waiting import why_waits


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView(Queue):
    """One named queue of one collector; *head* and what follows are None when it is empty."""

    account: str | None
    collector_id: str | None
    waiting_count: int
    unresolved_count: int
    head: RunView | None
    head_age_seconds: float | None
    head_why_waiting: str | None


def list_queues(
    conn: Connection, name: str | None = None, *, now: datetime
) -> tuple[QueueView, ...]:
    """Return every queue with rules, or that a schedule or run names, or those called *name*."""
    rules = {queue: _plain(queue) for queue in definitions.list_queue_names(conn)}
    rules |= definitions.list_queues(conn)
    depths = runs.list_queue_depths(conn)
    views = [_filled(conn, depth, rules[depth.queue], now) for depth in depths]
    filled = {queue.name for queue in views}
    views += [_empty(queue) for queue in rules.values() if queue.name not in filled]
    chosen = (queue for queue in views if name is None or queue.name == name)
    return tuple(sorted(chosen, key=lambda queue: (queue.name, queue.collector_id or "")))


def get_queues(conn: Connection, name: str, *, now: datetime) -> tuple[QueueView, ...]:
    """Return the queues called *name*; NotFound for one that nothing names and nothing is in."""
    definitions.check_queue(conn, name)
    return list_queues(conn, name, now=now)


def _filled(conn: Connection, depth: QueueDepth, rules: Queue, now: datetime) -> QueueView:
    head = depth.head
    return view(
        QueueView,
        rules,
        account=depth.account,
        collector_id=depth.collector_id,
        waiting_count=depth.waiting,
        unresolved_count=depth.unresolved,
        head=run_view(head),
        head_age_seconds=(now - head.due_at).total_seconds(),
        head_why_waiting=why_waits(conn, head, now=now),
    )


def _empty(rules: Queue) -> QueueView:
    return view(
        QueueView,
        rules,
        **dict.fromkeys(
            ("account", "collector_id", "head", "head_age_seconds", "head_why_waiting")
        ),
        waiting_count=0,
        unresolved_count=0,
    )


def _plain(name: str) -> Queue:
    return Queue(
        name=name,
        queue_order=QueueOrder.STRICT,
        max_depth=None,
        paused_at=None,
        paused_by=None,
        paused_reason=None,
        paused_until=None,
    )
