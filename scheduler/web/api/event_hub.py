"""One reader of the database for all who listen to events."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from scheduler.domain.errors import DatabaseError
from scheduler.views.events import EventView, Place, check_told, list_events, newest_place
from scheduler.views.opening import Connection, present
from scheduler.web.problems import Refused
from scheduler.web.site import Site

log = structlog.get_logger()

AT_ONCE: Final = 500
"""So many events are read at once."""

MOST_LISTENERS: Final = 200
MOST_OF_ONE: Final = 20
"""So many of them with one token, so that it leaves room for others."""

MOST_WAITING: Final = 2_000
"""A listener for whom more events wait is too slow, and is dropped."""

_PAUSE_SECONDS: Final = 1.0


@dataclass(slots=True, eq=False)
class Listener:
    """Whoever listens: what is still to be sent, since *place*."""

    place: Place
    name: str
    waiting: asyncio.Queue[EventView] = field(default_factory=asyncio.Queue)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, events: Sequence[EventView]) -> None:
        """Let it have these as well; one that is too slow is done with."""
        for event in events:
            self.waiting.put_nowait(event)
        if self.waiting.qsize() > MOST_WAITING:
            self.is_over.set()


@dataclass(slots=True)
class EventHub:
    """Reads the events of one site while somebody listens, and hands them to all."""

    site: Site
    _listeners: set[Listener] = field(default_factory=set)
    _reading: asyncio.Task[None] | None = None
    _place: Place = field(default_factory=Place)

    async def join(self, name: str) -> Listener:
        """Listen from now on, with the token of that *name*; raises Refused where too many do."""
        if sum(one.name == name for one in self._listeners) >= MOST_OF_ONE:
            detail = f"this token listens {MOST_OF_ONE} times already: close one, or take another"
            raise Refused(429, "too-many", detail, headers={"Retry-After": "30"})
        if len(self._listeners) >= MOST_LISTENERS:
            detail = f"{MOST_LISTENERS} listen already: ask GET /api/v1/events?after= instead"
            raise Refused(503, "too-many-listeners", detail, headers={"Retry-After": "30"})
        if self._reading is None or self._reading.done():
            self._place = await self.site.db.read(newest_place)
            self._reading = asyncio.get_running_loop().create_task(self._read_on())
        listener = Listener(self._place, name)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more; the last one ends the reading."""
        self._listeners.discard(listener)
        if not self._listeners and self._reading is not None:
            self._reading.cancel()
            self._reading = None

    async def check(self, place: Place) -> None:
        """Raise InvalidInput for a place that is not of this database."""
        await self.site.db.read(lambda conn: check_told(conn, place))

    async def read(self, after: Place) -> tuple[list[EventView], Place]:
        """Return the next events after a place, and the place behind them."""

        def look(conn: Connection) -> tuple[list[EventView], Place]:
            now = present(conn, self.site.clock)
            return list_events(conn, after=after, limit=AT_ONCE, now=now)

        return await self.site.db.read(look)

    async def _read_on(self) -> None:
        never = asyncio.Event()
        while True:
            before = self._place
            with suppress(DatabaseError):  # it is told where it is asked for, and tried again
                events, self._place = await self.read(before)
                for listener in self._listeners:
                    listener.offer(events)
            if self._place == before:
                with suppress(TimeoutError):
                    await asyncio.wait_for(never.wait(), _PAUSE_SECONDS)


def hub_of(site: Site) -> EventHub:
    """Return the hub of a site; it is made when somebody first listens."""
    if site.hub is None:
        site.hub = EventHub(site)
    hub: EventHub = site.hub
    return hub
