"""What a person can do with named queues: see why the head waits, pause, resume, flush."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.actions.waiting import why_waits
from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.nearest import did_you_mean
from scheduler.domain.records import QueueOrder, Run
from scheduler.storage import audit, definitions, runs, unsent
from scheduler.storage.database import Connection
from scheduler.storage.definitions import Queue
from scheduler.storage.dialect import announce


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """One named queue of one collector; *head* and what follows are None when nothing is in it."""

    rules: Queue
    account: str | None = None
    collector_id: str | None = None
    waiting: int = 0
    unsettled: int = 0
    head: Run | None = None
    head_waits_for: str | None = None


def list_queues(conn: Connection, *, now: datetime) -> list[QueueView]:
    """Return every queue that holds something or has rules, and why its head waits."""
    rules = definitions.list_queues(conn)
    views = []
    for depth in runs.list_queue_depths(conn):
        queue = rules.get(depth.queue) or _plain(depth.queue)
        views.append(
            QueueView(
                rules=queue,
                account=depth.account,
                collector_id=depth.collector_id,
                waiting=depth.waiting,
                unsettled=depth.unsettled,
                head=depth.head,
                head_waits_for=why_waits(conn, depth.head, now=now),
            )
        )
    filled = {view.rules.name for view in views}
    views += [QueueView(rules=queue) for name, queue in rules.items() if name not in filled]
    return sorted(views, key=lambda view: (view.rules.name, view.collector_id or ""))


def _plain(name: str) -> Queue:
    return Queue(
        name=name,
        queue_order=QueueOrder.STRICT,
        max_depth=None,
        paused_at=None,
        paused_by=None,
        paused_reason=None,
    )


def pause_queue(conn: Connection, name: str, *, by: str, reason: str, now: datetime) -> None:
    """
    Send nothing of the queue until it is resumed; what comes due waits in it.

    Raises NotFound for a queue that nothing names and nothing is in.
    """
    known = definitions.list_queue_names(conn)
    if name not in known:
        raise NotFound(
            f"no schedule, run or rule names a queue {name!r}{did_you_mean(name, known)}"
        )
    definitions.set_queue_paused(conn, name, paused_at=now, by=by, reason=reason)
    _record(conn, "pause", name, {"paused_reason": (None, reason)}, by, now)


def resume_queue(conn: Connection, name: str, *, by: str, now: datetime) -> int:
    """Let a paused queue send again; return how many runs wait in it."""
    known = definitions.list_queues(conn)
    if name not in known or known[name].paused_at is None:
        raise Conflict(f"queue {name!r} is not paused")
    definitions.set_queue_paused(conn, name, paused_at=None, by=None, reason=None)
    columns = {"paused_reason": (known[name].paused_reason, None)}
    _record(conn, "resume", name, columns, by, now)
    announce(conn)
    return sum(depth.waiting for depth in runs.list_queue_depths(conn) if depth.queue == name)


def flush_queue(conn: Connection, name: str, *, by: str, now: datetime) -> int:
    """Skip every run that waits in the queue; return how many. What was sent goes on."""
    flushed = unsent.flush_queue(conn, name, detail=f"flushed by {by}", now=now)
    if flushed:
        _record(conn, "flush", name, {"waiting": (flushed, 0)}, by, now)
    return flushed


def _record(
    conn: Connection, action: str, name: str, columns: audit.Columns, by: str, now: datetime
) -> None:
    audit.record_change(
        conn, who=by, action=action, subject=f"queues.{name}", columns=columns, now=now
    )
