"""Tells somebody outside that this daemon is well, as long as it is: silence is the alarm."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from scheduler.config.notice_settings import HeartbeatSettings
from scheduler.engine.channels import Senders
from scheduler.storage import daemons
from scheduler.storage.database import Connection, Database
from scheduler.storage.runs import troubles

log = structlog.get_logger()

_SEEN_WITHIN: Final = timedelta(minutes=1)
_LATE_AFTER: Final = timedelta(minutes=5)
_TIMEOUT: Final = timedelta(seconds=10)


@dataclass(slots=True, kw_only=True)
class HeartbeatStep:
    """
    Call an address every so often while all is well, and not otherwise.

    Well is: the daemon could write that it lives, and nothing is due and not fired.
    """

    db: Database
    owner: str
    settings: Callable[[], HeartbeatSettings | None]
    senders: Senders
    _next_at: datetime | None = None
    _calls: set[asyncio.Task[None]] = field(default_factory=set)
    _last_error: str | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Call if it is time to; return when it next is."""
        settings = self.settings()
        if settings is None:
            return None
        if self._next_at is None or now >= self._next_at:
            self._next_at = now + settings.every
            if not self._calls and await self.db.read(partial(self._is_well, now=now)):
                # By itself: who does not answer holds up no pass.
                task = asyncio.create_task(self._call(settings))
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)
        return self._next_at

    def _is_well(self, conn: Connection, *, now: datetime) -> bool:
        is_seen = daemons.is_seen(conn, self.owner, since=now - _SEEN_WITHIN)
        return is_seen and troubles.find_late(conn, before=now - _LATE_AFTER) is None

    async def _call(self, settings: HeartbeatSettings) -> None:
        error = await self.senders.beat(
            settings.url, allow_private=settings.allow_private, timeout=_TIMEOUT
        )
        if error is not None and self._last_error is None:
            log.warning("heartbeat_not_heard", error=error)
        elif error is None and self._last_error is not None:
            log.info("heartbeat_heard_again", error=self._last_error)
        self._last_error = error
