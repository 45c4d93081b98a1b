"""
The history of runs: who moves one signs the row, and the database writes the event.

A consumer reads events by a cursor of its own. What it does in the database commits with its
cursor: exactly once. What it does elsewhere is done again after a crash in between.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    not_,
    select,
    tuple_,
    update,
)

from scheduler.domain.moves import EventOfRun, RunEvent
from scheduler.domain.records import RunState
from scheduler.storage.dialect import (
    NO_TRANSACTIONS,
    insert_new,
    read_at_leisure,
    transaction_horizon,
)
from scheduler.storage.gathered import gather
from scheduler.storage.rows import reader, records
from scheduler.storage.tables import event_cursors, run_events, runs

Place = tuple[int, int]
"""Where an event stands: its transaction, and its id."""

Horizon = tuple[int, int]
"""The first transaction that is unfinished, and the next to come: `transaction_horizon`."""

_AT = bindparam("moved_when", type_=runs.c.moved_at.type)

SIGNED: Final[dict[str, Any]] = {
    "moves": runs.c.moves + 1,
    # Times of one run are in order, though the clock may have been set back.
    "moved_at": case((runs.c.moved_at > _AT, runs.c.moved_at), else_=_AT),
    "moved_by": bindparam("mover"),
}
"""What every UPDATE that sets a run's state sets with it; `signature` has the values."""


def signature(conn: Connection, now: datetime) -> dict[str, Any]:
    """Return the parameters of SIGNED: *now*, and who opened the database."""
    return {"moved_when": now, "mover": who(conn)}


def who(conn: Connection) -> str | None:
    """Return who opened the database, as they told it; None if they did not."""
    return conn.get_execution_options().get("by")


def list_events(conn: Connection, run_id: int, *, after: int = 0) -> list[RunEvent]:
    """Return what has happened to a run since the event *after*, in order."""
    rows = conn.execute(
        select(run_events)
        .where(run_events.c.run_id == run_id, run_events.c.id > after)
        .order_by(run_events.c.id)
    )
    return records(RunEvent, rows)


def newest_place(conn: Connection) -> Place:
    """Return the place behind every event that there is: whoever reads on, reads what comes."""
    unfinished, _ = transaction_horizon(conn)
    return unfinished - 1, conn.scalar(select(func.max(run_events.c.id))) or 0


def list_after(conn: Connection, place: Place, *, limit: int) -> list[tuple[int, EventOfRun]]:
    """
    Return the events after *place*, which none comes before any more, each with its transaction.

    A place of another server's transactions is read on from as one that is behind all.
    """
    horizon = transaction_horizon(conn)
    if place[0] >= horizon[1]:
        place = newest_place(conn)
    return _follow(conn, place, horizon, tuple(RunState), limit=limit)


def start_consumer(conn: Connection, consumer: str) -> None:
    """Let *consumer* read from now on; one that has a cursor keeps it."""
    transaction_id, newest = newest_place(conn)
    cursor = {"consumer": consumer, "transaction_id": transaction_id, "event_id": newest}
    conn.execute(insert_new(event_cursors).values(cursor))


def has_news(
    conn: Connection, consumer: str, *, states: Collection[RunState] = tuple(RunState)
) -> bool:
    """Tell whether there is an event that leads to one of *states* and *consumer* has not taken."""
    cursor = conn.execute(_CURSOR, {"name": consumer}).first()
    if cursor is None:
        return False
    horizon = transaction_horizon(conn)
    if _is_of_another_server(cursor, horizon):
        return True
    return bool(_unread(conn, cursor, horizon, states, limit=1))


def places_without_transactions(conn: Connection) -> dict[str, int]:
    """
    Return for each consumer the event up to which it has read, by ids alone.

    Where ids and transactions are in another order, it is the one before the first that is unread:
    some may be read twice, and none never.
    """
    is_unread = tuple_(event_cursors.c.transaction_id, event_cursors.c.event_id) < _PLACE
    first_unread = select(func.min(run_events.c.id)).where(is_unread).scalar_subquery()
    rows = conn.execute(select(event_cursors, first_unread.label("first_unread")))
    return {
        row.consumer: row.event_id if row.first_unread is None else row.first_unread - 1
        for row in rows
    }


def take_events(
    conn: Connection, consumer: str, *, limit: int, states: Collection[RunState] = tuple(RunState)
) -> list[EventOfRun]:
    """
    Return the next events, by id, and move the cursor of *consumer* past them.

    Those that lead to none of *states* are passed over. Of several takers one gets them; the others
    get nothing at that moment.
    """
    cursor = _hold_cursor(conn, consumer)
    page = None if cursor is None else _page(conn, cursor, states, limit=limit)
    if page is None:
        return []
    _move_cursor(conn, consumer, page.until)
    return page.events


class Page(NamedTuple):
    """The next events of a consumer, by id, as long as its cursor stands where it stood."""

    events: list[EventOfRun]
    after: Place
    until: Place


def read_page(
    conn: Connection, consumer: str, *, limit: int, states: Collection[RunState]
) -> Page | None:
    """
    Return what `take_events` would return, for `pass_page` to take; None if there is nothing.

    Without an event where the cursor is of another server: only who may write can mend that.
    """
    cursor = conn.execute(_CURSOR, {"name": consumer}).first()
    return None if cursor is None else _page(conn, cursor, states, limit=limit)


def _page(
    conn: Connection, cursor: Row[Any], states: Collection[RunState], *, limit: int
) -> Page | None:
    after, horizon = (cursor.transaction_id, cursor.event_id), transaction_horizon(conn)
    if _is_of_another_server(cursor, horizon):
        return Page([], after, after)
    unread = _unread(conn, cursor, horizon, states, limit=limit)
    if not unread:
        return None
    transaction_id, last = unread[-1]
    events = sorted((event for _, event in unread), key=lambda event: event.id)
    return Page(events, after, (transaction_id, last.id))


def pass_page(conn: Connection, consumer: str, page: Page) -> bool:
    """Move the cursor of *consumer* past a page; False if somebody took of it, or does now."""
    cursor = _hold_cursor(conn, consumer)
    if cursor is None or (cursor.transaction_id, cursor.event_id) != page.after:
        return False
    _move_cursor(conn, consumer, page.until)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """So many events that lead to one of *states*, by their place: from *after* up to *until*."""

    after: Place
    until: Place
    states: Collection[RunState]
    count: int
    is_by_id: bool
    """Whether events are in the order of their ids alone, as where no transaction has a number."""

    @property
    def condition(self) -> ColumnElement[bool]:
        """Return what an event of it meets."""
        return and_(
            _is_after(self.after, by_id=self.is_by_id),
            not_(_is_after(self.until, by_id=self.is_by_id)),
            run_events.c.to_state.in_(self.states),
        )


def take_stretch(
    conn: Connection, consumer: str, *, limit: int, states: Collection[RunState]
) -> Stretch | None:
    """
    Move the cursor of *consumer* as `take_events` does, and return which events it has passed.

    For who asks the database about all of them, and reads no single one. None: there is nothing.
    """
    cursor = _hold_cursor(conn, consumer)
    if cursor is None:
        return None
    horizon = transaction_horizon(conn)
    after = (cursor.transaction_id, cursor.event_id)
    by_id = horizon == NO_TRANSACTIONS
    order = _ORDER[by_id:]
    places = (
        select(*_ORDER)
        .where(
            _is_after(after, by_id=by_id),
            run_events.c.transaction_id < horizon[0],
            run_events.c.to_state.in_(states),
        )
        .order_by(*order)
        .limit(limit)
        .subquery()
    )
    # Only the last of them is read, and how many they are.
    last = conn.execute(
        select(*places.c, func.count().over().label("number"))
        .order_by(*(places.c[column.name].desc() for column in order))
        .limit(1)
    ).first()
    if last is None:
        return None
    until = (last.transaction_id, last.id)
    _move_cursor(conn, consumer, until)
    return Stretch(after=after, until=until, states=states, count=last.number, is_by_id=by_id)


def _is_after(place: Place, *, by_id: bool) -> ColumnElement[bool]:
    """Return the condition that an event comes after *place*."""
    # SQLite has no index of places: it would look for this one among all events.
    return run_events.c.id > place[1] if by_id else tuple_(*place) < _PLACE


def hold_consumer(conn: Connection, consumer: str) -> bool:
    """Tell whether nobody else takes for *consumer*, nor will before this transaction ends."""
    return _hold_cursor(conn, consumer) is not None


def _hold_cursor(conn: Connection, consumer: str) -> Row[Any] | None:
    """Return the cursor of *consumer*, locked until the end; None if another holds it."""
    cursor = conn.execute(_CURSOR.with_for_update(skip_locked=True), {"name": consumer}).first()
    if cursor is None or not _is_of_another_server(cursor, transaction_horizon(conn)):
        return cursor
    _renumber(conn)
    return conn.execute(_CURSOR, {"name": consumer}).one()


def _move_cursor(conn: Connection, consumer: str, place: Place) -> None:
    to_transaction, to_event = place
    to = {"to_transaction": to_transaction, "to_event": to_event}
    conn.execute(_MOVE_CURSOR, {"name": consumer, **to})


_CURSOR = select(event_cursors).where(event_cursors.c.consumer == bindparam("name"))
_OF_RUN = tuple(
    field.name for field in fields(EventOfRun) if field.name not in RunEvent.__dataclass_fields__
)
_SELECTED = (*run_events.c, *(runs.c[name] for name in _OF_RUN))
_COLUMNS = tuple(column.name for column in _SELECTED)
_READ = reader(EventOfRun, _COLUMNS)
_TRANSACTION = _COLUMNS.index("transaction_id")
_ORDER = (run_events.c.transaction_id, run_events.c.id)
_PLACE = tuple_(*_ORDER)
_AFTER = tuple_(*(bindparam(f"after_{column.name}", type_=column.type) for column in _ORDER))
_LEADS_THERE = run_events.c.to_state.in_(bindparam("states", expanding=True))
_MOST = bindparam("most", type_=Integer())


def _unread_of_transactions() -> Select[Any]:
    # Apart: PostgreSQL would join all that is unread before it counts off a page of it.
    page = (
        select(run_events)
        .where(_LEADS_THERE, _AFTER < _PLACE, run_events.c.transaction_id < bindparam("unfinished"))
        .order_by(*_ORDER)
        .limit(_MOST)
        .subquery("page")
    )
    return (
        select(*page.c, *_SELECTED[len(page.c) :])
        .join(runs, runs.c.id == page.c.run_id)
        .order_by(page.c.transaction_id, page.c.id)
    )


_UNREAD = _unread_of_transactions()
# Where no transaction has a number, SQLite would look for the place among all events.
_UNREAD_BY_ID = (
    select(*_SELECTED)
    .join(runs, runs.c.id == run_events.c.run_id)
    .where(_LEADS_THERE, run_events.c.id > bindparam("after_id"))
    .order_by(run_events.c.id)
    .limit(_MOST)
)
_MOVE_CURSOR = (
    update(event_cursors)
    .where(event_cursors.c.consumer == bindparam("name"))
    .values(transaction_id=bindparam("to_transaction"), event_id=bindparam("to_event"))
)


def _unread(
    conn: Connection,
    cursor: Row[Any],
    horizon: Horizon,
    states: Collection[RunState],
    *,
    limit: int,
) -> list[tuple[int, EventOfRun]]:
    """
    Return what follows *cursor*, of transactions below which none is unfinished.

    On PostgreSQL an id may become visible after a higher one. What still may come is of a
    transaction that runs now, or of a later one.
    """
    place = (cursor.transaction_id, cursor.event_id)
    return _follow(conn, place, horizon, states, limit=limit)


def _follow(
    conn: Connection, place: Place, horizon: Horizon, states: Collection[RunState], *, limit: int
) -> list[tuple[int, EventOfRun]]:
    sought = {"after_id": place[1], "states": list(states), "most": limit}
    if horizon == NO_TRANSACTIONS:
        rows = gather(conn, _UNREAD_BY_ID, sought)
    else:
        of_transactions = {"after_transaction_id": place[0], "unfinished": horizon[0]}
        rows = gather(conn, _UNREAD, sought | of_transactions)
    return [(row[_TRANSACTION], _READ(row)) for row in rows]


def _is_of_another_server(cursor: Row[Any], horizon: Horizon) -> bool:
    """Tell whether the cursor is ahead of every transaction that this server has carried out."""
    _, following = horizon
    return bool(cursor.transaction_id >= following)


def _renumber(conn: Connection) -> None:
    """Forget the transactions of another server, from which the database was moved to this one."""
    read_at_leisure(conn)
    conn.execute(update(run_events).values(transaction_id=0))
    conn.execute(update(event_cursors).values(transaction_id=0))
