"""Other daemons' and people's news wake the loops."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.engine.loop import Wake
from scheduler.storage.listener import Listener

_LIMIT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenStep:
    """Wait for news, and wake who may have work."""

    listener: Listener
    wake_all: Wake

    async def run(self, now: datetime) -> datetime | None:
        """Wait a while for news; return at once to wait again."""
        if await self.listener.wait(_LIMIT):
            self.wake_all()
        return now
