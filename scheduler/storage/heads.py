"""Who is next: of each collector with work the run that is sent next, and what holds one up."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from scheduler.domain.records import IN_LINE_STATES, OPEN_STATES, UNSETTLED_STATES, RunState
from scheduler.storage.tables import (
    accounts,
    collectors,
    freezes,
    in_state,
    queues,
    runs,
    schedules,
)

QUEUED = in_state(runs, RunState.QUEUED)
ACCOUNTS: BindParameter[Sequence[str]] = bindparam("accounts", expanding=True)
NOW = bindparam("now", type_=runs.c.not_before.type)


def _heads() -> Select[Any]:
    """
    Select, of each collector with room, the run that is next in it; the most urgent first.

    With it come how many of the collector's runs are unsettled, may be, and may run.
    """
    limited = _limits(_collectors_with_work())
    heads = (
        select(_next_of(limited).label("id"), *limited.c[*_COLLECTOR, *_OF_COLLECTOR])
        .where(limited.c.unsettled < limited.c.max_unsettled)
        .cte("heads")
        # Otherwise PostgreSQL looks for each head as often as it is named below.
        .prefix_with("MATERIALIZED")
    )
    # Not a join, for which PostgreSQL would read all that is queued.
    of_head = select(runs).where(runs.c.id == heads.c.id)
    priority, due_at = (
        of_head.with_only_columns(column).scalar_subquery()
        for column in (runs.c.priority, runs.c.due_at)
    )
    return (
        select(heads).where(heads.c.id.is_not(None)).order_by(priority.desc(), due_at, heads.c.id)
    )


_COLLECTOR = ("account", "collector_id")
_OF_COLLECTOR = ("unsettled", "max_unsettled", "max_running")


def _limits(waiting: CTE) -> CTE:
    """
    Add the limits of each collector; where several rows name one, the strictest hold.

    It may have none any more: its runs keep it, and the usual ones hold.
    """

    def of_it(table: Table, column: ColumnElement[int], *conditions: ColumnElement[bool]) -> Any:
        same = (table.c[name] == waiting.c[name] for name in _COLLECTOR)
        return select(column).where(*same, *conditions).scalar_subquery()

    most = {
        name: func.coalesce(of_it(collectors, func.min(collectors.c[name])), usual).label(name)
        for name, usual in (("max_unsettled", 1), ("max_running", 100))
    }
    unsettled = of_it(runs, func.count(), in_state(runs, *UNSETTLED_STATES)).label("unsettled")
    return (
        select(*waiting.c, unsettled, *most.values())
        .where(waiting.c.collector_id.is_not(None))
        .cte("limited")
        .prefix_with("MATERIALIZED")
    )


def _collectors_with_work() -> CTE:
    """Skip from one collector to the next in the index: the cost does not grow with the queue."""
    of_account = select(func.min(runs.c.collector_id)).where(
        QUEUED, runs.c.account == accounts.c.name
    )
    first = select(
        accounts.c.name.label("account"), of_account.scalar_subquery().label("collector_id")
    ).where(accounts.c.name.in_(ACCOUNTS))
    waiting = first.cte("waiting", recursive=True)
    following = (
        select(func.min(runs.c.collector_id))
        .where(
            QUEUED,
            runs.c.account == waiting.c.account,
            runs.c.collector_id > waiting.c.collector_id,
        )
        .scalar_subquery()
    )
    return waiting.union_all(
        select(waiting.c.account, following).where(waiting.c.collector_id.is_not(None))
    )


def _next_of(collector: CTE) -> ScalarSelect[int]:
    return (
        select(runs.c.id)
        .where(
            QUEUED,
            runs.c.account == collector.c.account,
            runs.c.collector_id == collector.c.collector_id,
            *may_be_sent(),
            ~_lane_is_blocked(),
        )
        .order_by(runs.c.priority.desc(), runs.c.due_at, runs.c.id)
        .limit(1)
        .correlate(collector)
        .scalar_subquery()
    )


def may_be_sent() -> list[ColumnElement[bool]]:
    """Return the conditions that a queued run's time has come at NOW, and nothing holds it up."""
    return [
        runs.c.not_before <= NOW,
        ~_queue_is_paused(),
        ~_schedule_is_paused(),
        ~_is_frozen(),
        ~_waits_for_another(),
    ]


def _queue_is_paused() -> ColumnElement[bool]:
    return exists().where(queues.c.name == runs.c.queue, queues.c.paused_at.is_not(None))


def _schedule_is_paused() -> ColumnElement[bool]:
    return exists().where(
        schedules.c.name == runs.c.schedule,
        schedules.c.paused_at.is_not(None),
        or_(schedules.c.paused_until.is_(None), schedules.c.paused_until > NOW),
    )


def _is_frozen() -> ColumnElement[bool]:
    kind = func.substr(freezes.c.scope, 1, len("label:"))
    label = literal(",") + func.substr(freezes.c.scope, len("label:") + 1) + literal(",")
    return exists().where(
        or_(freezes.c.until.is_(None), freezes.c.until > NOW),
        or_(
            freezes.c.scope == "all",
            freezes.c.scope == "collector:" + runs.c.collector,
            # Not LIKE, which has signs of its own and, on SQLite, no cases.
            and_(kind == "label:", func.replace(runs.c.labels, label, "") != runs.c.labels),
        ),
    )


def _waits_for_another() -> ColumnElement[bool]:
    earlier = runs.alias("earlier")
    return exists().where(earlier.c.id == runs.c.waits_for, in_state(earlier, *OPEN_STATES))


def _lane_is_blocked() -> ColumnElement[bool]:
    """
    Somebody of the lane is on the wire or unsettled, or stands before this run.

    Each is a question of its own, answered by one step into an index: asked as one, they would
    be answered by reading along the lane, for every run in it.
    """
    ahead = runs.alias("ahead")

    def there_is(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(ahead.c.lane == runs.c.lane, *conditions)

    queued = in_state(ahead, RunState.QUEUED)
    # Says nothing new, but lets the index of what is in line be used.
    in_line = in_state(ahead, *IN_LINE_STATES)
    alike = ahead.c.priority == runs.c.priority
    is_earlier = tuple_(ahead.c.due_at, ahead.c.id) < tuple_(runs.c.due_at, runs.c.id)
    return or_(
        there_is(in_state(ahead, *UNSETTLED_STATES)),
        there_is(queued, in_line, alike, is_earlier),
        there_is(queued, in_line, ahead.c.priority > runs.c.priority),
        # In a named queue order is a promise: nobody passes what a person must settle.
        and_(runs.c.queue.is_not(None), there_is(in_state(ahead, RunState.NEEDS_ATTENTION))),
    )


HEADS = _heads()
