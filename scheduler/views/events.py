"""What has happened, in the order in which it can be read on: moves of runs, and changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.moves import EventOfRun
from scheduler.storage import audit, run_events
from scheduler.storage.audit import RecordedChange
from scheduler.storage.database import Connection
from scheduler.views.changes import ChangeView
from scheduler.views.decoding import view

_SETTLED_AFTER: Final = timedelta(seconds=10)
"""A missing number of a change is taken to stay missing when what follows it is so old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """
    Something that happened: a move of a *run*, or a *change* of what *kind* says.

    *id* is opaque, and what reading goes on after. *subject* is as in `changes`.
    """

    id: str
    kind: str
    subject: str
    happened_at: datetime
    by: str
    run: EventOfRun | None
    change: ChangeView | None


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """How far the events are read: the last move, by its transaction and id, and change."""

    transaction: int = 0
    move: int = 0
    change: int = 0

    def __str__(self) -> str:
        return f"{self.transaction}.{self.move}.{self.change}"

    @classmethod
    def read(cls, text: str) -> "Place":
        """Read an event's id; raises InvalidInput for what is none."""
        numbers = text.split(".")
        if len(numbers) != 3 or not all(_is_number(number) for number in numbers):
            raise InvalidInput(f"{text[:50]!r} is no event's id: begin without one")
        return cls(*map(int, numbers))

    def after(self, event: EventView) -> "Place | None":
        """Return the place behind *event*; None where that is read already."""
        its = Place.read(event.id)
        moved = (self.transaction, self.move)
        if event.run is None:
            return Place(*moved, its.change) if its.change > self.change else None
        its_move = (its.transaction, its.move)
        return Place(*its_move, self.change) if its_move > moved else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


_LONGEST_NUMBER: Final = 18


def newest_place(conn: Connection) -> Place:
    """Return the place behind all that has happened so far."""
    transaction, move = run_events.newest_place(conn)
    return Place(transaction, move, audit.newest_id(conn))


def check_told(conn: Connection, place: Place) -> None:
    """Raise InvalidInput for a place that nobody was told of in this database."""
    now = newest_place(conn)
    told = (now.transaction, now.move, now.change)
    its = (place.transaction, place.move, place.change)
    if any(one > most for one, most in zip(its, told, strict=True)):
        raise InvalidInput(
            f"{place} is behind all events that there are: the database was restored from a"
            " backup, or is another one; read anew what is to be known, and begin without an id"
        )


def list_events(
    conn: Connection, *, after: Place, limit: int, now: datetime
) -> tuple[list[EventView], Place]:
    """
    Return what happened after a place, moves before changes, and the place behind all of it.

    Changes of runs are passed over: their moves tell of them. Of both, *limit* are read at most.
    """
    place = after
    found: list[EventView] = []
    moved = run_events.list_after(conn, (after.transaction, after.move), limit=limit)
    for transaction, move in moved:
        place = Place(transaction, move.id, place.change)
        found.append(_of_run(place, move))
    for change in _settled(audit.list_after(conn, after.change, limit=limit), after.change, now):
        place = Place(place.transaction, place.move, change.id)
        if not change.subject.startswith("runs."):  # a run tells of itself
            found.append(_of_change(place, change))
    return found, place


def _settled(changes: list[RecordedChange], last: int, now: datetime) -> list[RecordedChange]:
    """Leave out what follows a number that a transaction under way may still bring."""
    for index, change in enumerate(changes):
        if change.id > last + 1 and now - change.happened_at < _SETTLED_AFTER:
            return changes[:index]
        last = change.id
    return changes


def _of_run(place: Place, move: EventOfRun) -> EventView:
    return EventView(
        id=str(place),
        kind="run",
        subject=f"runs.{move.run_id}",
        happened_at=move.happened_at,
        by=move.by,
        run=move,
        change=None,
    )


def _of_change(place: Place, row: RecordedChange) -> EventView:
    table = row.subject.partition(".")[0]
    return EventView(
        id=str(place),
        kind=_KINDS.get(table, table),
        subject=row.subject,
        happened_at=row.happened_at,
        by=row.by,
        run=None,
        change=view(ChangeView, row, columns=row.columns()),
    )


_NAMED: Final = ("schedule", "account", "queue", "freeze", "collector", "calendar", "budget")
_KINDS: Final = {f"{kind}s": kind for kind in _NAMED} | {"batches": "batch"}
