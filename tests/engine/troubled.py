"""A real database whose next writes meet with trouble, each as it is armed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from scheduler.domain.errors import DatabaseError
from scheduler.storage.database import Connection, Database
from tests.engine.rig import Room, engine_room

Result = TypeVar("Result")

Really = Callable[[], Awaitable[Any]]
Trouble = Callable[[Really], Awaitable[Any]]
"""What happens in place of a write, which *really* carries out."""


class TroubledDatabase(Database):
    """Writes as its troubles say, one after the other, and then as usual."""

    def __init__(self, url: str, *, checkpoints: bool = False, by: str | None = None) -> None:
        super().__init__(url, checkpoints=checkpoints, by=by)
        self.troubles: list[Trouble] = []

    async def write(
        self, work: Callable[[Connection], Result], *, at_leisure: bool = False
    ) -> Result:
        """Do *work*, unless there is trouble."""
        if not self.troubles:
            return await super().write(work, at_leisure=at_leisure)
        result: Result = await self.troubles.pop(0)(
            lambda: super(TroubledDatabase, self).write(work)
        )
        return result


async def nothing(really: Really) -> Any:
    """No trouble this time."""
    return await really()


async def before_the_commit(really: Really) -> Any:
    """The database is away."""
    raise DatabaseError("connection refused")


async def after_the_commit(really: Really) -> Any:
    """The commit is done, and nobody is told."""
    await really()
    raise DatabaseError("server closed the connection unexpectedly")


async def cancelled_before_the_commit(really: Really) -> Any:
    """The caller is cancelled before anything is written."""
    raise asyncio.CancelledError


async def cancelled_after_the_commit(really: Really) -> Any:
    """The caller is cancelled while the commit is on its way, and waits until that is certain."""
    await really()
    raise asyncio.CancelledError


@asynccontextmanager
async def troubled_room(url: str) -> AsyncIterator[tuple[Room, list[Trouble]]]:
    """Open a room, and give the list of its database's troubles to come."""
    async with engine_room(url, database=TroubledDatabase) as room:
        assert isinstance(room.db, TroubledDatabase)
        yield room, room.db.troubles
