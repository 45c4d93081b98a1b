"""What happened to runs goes to whoever consumes it: the log, for one."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from scheduler.domain.lateness import meant_at
from scheduler.domain.moves import EventOfRun, is_notable
from scheduler.domain.records import RunState
from scheduler.domain.timestamps import iso_time
from scheduler.engine.tuning import EVENTS_AT_ONCE, EVENTS_EVERY
from scheduler.logs import render_many
from scheduler.storage import run_events
from scheduler.storage.database import Connection, Database
from scheduler.storage.run_events import Page

log = structlog.get_logger()

LOG: Final = "log"
"""The consumer that all daemons share: each event has one line, in the log of one of them."""

Prepare = Callable[[Sequence[EventOfRun]], Callable[[], None]]
"""Makes of events what is called once the cursor is moved past them, in that transaction."""


@dataclass(slots=True, kw_only=True)
class ConsumerStep:
    """
    Take the events of runs for one *consumer*, each exactly once unless a crash comes in between.

    What `take` does in the database is taken back with the cursor. So it is exactly once there, and
    at least once elsewhere. It is looked for news once in *every*, however busy it is. Only what
    leads to one of *states* is taken.
    """

    db: Database
    consumer: str
    every: timedelta = EVENTS_EVERY
    states: Collection[RunState] = tuple(RunState)
    _done_at: datetime | None = None

    def take(self, conn: Connection) -> int:
        """Take the next events, EVENTS_AT_ONCE at most; return how many."""
        raise NotImplementedError

    async def run(self, now: datetime) -> datetime | None:
        """Take the next events; return when to look again."""
        if self._done_at is not None and self._done_at <= now < self._done_at + self.every:
            return self._done_at + self.every
        count = await self._take_news()
        if count is None:
            return None
        self._done_at = now if count < EVENTS_AT_ONCE else None
        return now if count == EVENTS_AT_ONCE else None

    async def _take_news(self) -> int | None:
        """Take the next events if there are any; None if there are none."""
        has_news = partial(run_events.has_news, consumer=self.consumer, states=self.states)
        return await self.db.write(self.take) if await self.db.read(has_news) else None

    async def drain(self) -> None:
        """Take all that there is."""
        while await self.db.write(self.take):
            pass


@dataclass(slots=True, kw_only=True)
class EventsStep(ConsumerStep):
    """
    Hands each event to *prepare*.

    By a reader: with SQLite's one writer it would hold up the passes for as long as they take.
    """

    prepare: Prepare

    def take(self, conn: Connection) -> int:
        """Take the next events, and tell them."""
        events = run_events.take_events(
            conn, self.consumer, limit=EVENTS_AT_ONCE, states=self.states
        )
        self.prepare(events)()
        return len(events)

    async def _take_news(self) -> int | None:
        prepared = await self.db.read(self._prepare)
        if prepared is None:
            return None
        page, tell = prepared
        return await self.db.write(partial(self._tell, page=page, tell=tell))

    def _prepare(self, conn: Connection) -> tuple[Page, Callable[[], None]] | None:
        page = run_events.read_page(conn, self.consumer, limit=EVENTS_AT_ONCE, states=self.states)
        return None if page is None else (page, self.prepare(page.events))

    def _tell(self, conn: Connection, *, page: Page, tell: Callable[[], None]) -> int:
        if not page.events:
            return self.take(conn)
        if not run_events.pass_page(conn, self.consumer, page):
            return 0
        tell()
        return len(page.events)


def logged_states() -> frozenset[RunState]:
    """Return the states of which there is a line at the level that is logged."""
    is_whole = log.is_enabled_for(logging.DEBUG)
    return frozenset(RunState) if is_whole else frozenset(RunState) - _STEPS


def lines_of(events: Sequence[EventOfRun]) -> Callable[[], None]:
    """Return what logs each event, by the name of the state that its run has come to."""
    lines = ((_level(event), f"run_{event.to_state}", _fields(event)) for event in events)
    return render_many(lines, doubtful=_WRITTEN_BY_OTHERS)


def _level(event: EventOfRun) -> int:
    if is_notable(event):
        return logging.WARNING
    return logging.DEBUG if event.to_state in _STEPS else logging.INFO


_WRITTEN_BY_OTHERS: Final = ("schedule", "collector", "detail", "by", "collection_id")
_STEPS: Final = frozenset({RunState.DISPATCHING})


def _fields(event: EventOfRun) -> dict[str, object]:
    """Return what a line says; what is None is left out."""
    fields: dict[str, object] = {
        "run_id": event.run_id,
        "event_id": event.id,
        "schedule": event.schedule,
        "collector": event.collector,
        "due_at": iso_time(event.due_at),
        "from_state": event.from_state and event.from_state.value,
        "reason": event.reason.value,
        "detail": event.detail,
        "by": event.by,
        "happened_at": iso_time(event.happened_at),
    }
    if event.from_state is not None and event.collection_id is not None:
        fields["collection_id"] = event.collection_id
    if event.to_state is RunState.COLLECTING:
        sent_at = event.triggered_at or event.happened_at
        fields["late_seconds"] = round((sent_at - meant_at(event)).total_seconds(), 3)
    return {name: value for name, value in fields.items() if value is not None}
