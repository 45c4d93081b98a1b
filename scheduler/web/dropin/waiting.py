"""One poller for all who wait for an answer: one statement a beat, however many they are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from starlette.requests import Request

from scheduler.domain.errors import DatabaseError
from scheduler.views.requested import find_settled
from scheduler.web.site import site_of

_BEAT: Final = 0.05
_UPLOADS_AT_ONCE: Final = 16
"""Each holds a thread while it comes, however slowly: others answer with the rest of them."""
_UPLOADS_OF_ONE: Final = 4
"""So many with one token: one that sends slowly leaves room for others."""

Find = Callable[[Collection[int]], Awaitable[frozenset[int]]]


@dataclass(slots=True)
class Waiters:
    """Who waits for which runs to be accepted, or to come to another end."""

    find: Find
    stopping: asyncio.Event
    _uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_UPLOADS_AT_ONCE))
    _uploads_of: "WeakValueDictionary[str, asyncio.Semaphore]" = field(
        default_factory=WeakValueDictionary
    )
    _missing: dict[asyncio.Future[None], set[int]] = field(default_factory=dict)
    _polling: asyncio.Task[None] | None = None

    async def wait(self, run_ids: Collection[int], seconds: float) -> None:
        """Return once nobody needs to wait for any of these, or the time or the server ends."""
        if seconds <= 0:
            return
        done = asyncio.get_running_loop().create_future()
        self._missing[done] = set(run_ids)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        stopping = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait([done, stopping], timeout=seconds, return_when="FIRST_COMPLETED")
        finally:
            stopping.cancel()
            del self._missing[done]

    @asynccontextmanager
    async def upload(self, name: str) -> AsyncIterator[None]:
        """Wait for the turn of a large body of the token *name*, which is read within."""
        own = self._uploads_of.get(name)
        if own is None:
            own = self._uploads_of[name] = asyncio.Semaphore(_UPLOADS_OF_ONE)
        async with own, self._uploads:
            yield

    async def _poll(self) -> None:
        never = asyncio.get_running_loop().create_future()
        while self._missing:
            try:
                settled = await self.find(set().union(*self._missing.values()))
            except DatabaseError:
                settled = frozenset()  # it may be back within the time that they wait
            for done, missing in self._missing.items():
                missing -= settled
                if not missing and not done.done():
                    done.set_result(None)
            await asyncio.wait([never], timeout=_BEAT)


def waiters_of(request: Request) -> Waiters:
    """Return the waiters of the server that a request came to."""
    state = request.app.state
    if not hasattr(state, "waiters"):
        site = site_of(request)

        async def find(run_ids: Collection[int]) -> frozenset[int]:
            return await site.db.read(lambda conn: find_settled(conn, run_ids))

        state.waiters = Waiters(find, site.stopping)
    waiters: Waiters = state.waiters
    return waiters
