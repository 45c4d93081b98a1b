"""Carries messages out of the outbox, each channel by itself."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from scheduler.clock import Clock
from scheduler.config.notice_settings import ChannelDefinition
from scheduler.domain.errors import DatabaseError
from scheduler.domain.notices import pause_after, text_of, title_of
from scheduler.domain.timestamps import iso_time
from scheduler.engine.channels import Senders
from scheduler.engine.loop import Wake
from scheduler.engine.tuning import DELIVERED_AT_ONCE
from scheduler.storage import notices
from scheduler.storage.database import Connection, Database
from scheduler.storage.notices import Delivery, Notice, Waiting

log = structlog.get_logger()

_LEASE_MARGIN: Final = timedelta(seconds=30)

Channels = Mapping[str, ChannelDefinition]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    taken: Sequence[tuple[Delivery, Sequence[Notice]]]
    next_at: datetime | None


@dataclass(slots=True, kw_only=True)
class DeliverStep:
    """
    Make messages of what waits, and send those that are due.

    1. One transaction groups what has waited long enough, and takes what is due of each channel.
    2. Each message is sent by a task of its own, which then records how that went.

    What is in a message is fixed before it is sent, and a message that was taken by a process that
    died is taken again once its time is over: it arrives at least once, under the same id.
    """

    db: Database
    channels: Callable[[], Channels]
    senders: Senders
    clock: Clock
    wake: Wake
    _sending: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _accepting: bool = True

    async def run(self, now: datetime) -> datetime | None:
        """Send what is due; return when the next is."""
        channels = self.channels()
        if not channels or not self._accepting:
            return None
        if not await self.db.read(partial(self._has_work, channels=channels, now=now)):
            return await self.db.read(partial(notices.find_next_attempt, channels=list(channels)))
        done = await self.db.write(partial(self._pass, channels=channels, now=now))
        for delivery, held in done.taken:
            work = self._carry(channels[delivery.channel], delivery, held)
            task = asyncio.create_task(work, name=delivery.channel)
            self._sending[delivery.id] = task
        return done.next_at

    async def drain(self, grace: timedelta) -> None:
        """Take nothing more, and give what is under way a little time."""
        self._accepting = False
        tasks = list(self._sending.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _has_work(self, conn: Connection, *, channels: Channels, now: datetime) -> bool:
        next_at = notices.find_next_attempt(conn, list(channels))
        if next_at is not None and next_at <= now:
            return True
        waiting = notices.list_waiting(conn, list(channels))
        return any(_may_group(one, channels[one.channel], now) for one in waiting)

    def _pass(self, conn: Connection, *, channels: Channels, now: datetime) -> _Pass:
        for one in notices.list_waiting(conn, list(channels)):
            if _may_group(one, channels[one.channel], now):
                notices.group(conn, one.channel, now=now)
        sending = Counter(task.get_name() for task in self._sending.values())
        taken: list[tuple[Delivery, Sequence[Notice]]] = []
        for name, channel in channels.items():
            room = DELIVERED_AT_ONCE - sending[name]
            if room > 0:
                until = now + channel.timeout + _LEASE_MARGIN
                claimed = notices.claim(conn, name, limit=room, now=now, until=until)
                taken += [(one, notices.list_notices_of(conn, one.id)) for one in claimed]
        return _Pass(taken=taken, next_at=notices.find_next_attempt(conn, list(channels)))

    async def _carry(
        self, channel: ChannelDefinition, delivery: Delivery, held: Sequence[Notice]
    ) -> None:
        try:
            error = await self.senders.send(channel, message_of(delivery, held))
        except Exception as bug:
            log.exception("notice_failed", channel=delivery.channel)
            error = f"{type(bug).__name__} while sending: see the log"
        try:
            await self.db.write(
                partial(self._record, channel=channel, delivery=delivery, error=error)
            )
        except DatabaseError as away:  # it is taken again when its time is over
            log.warning("notice_not_recorded", delivery=delivery.id, error=str(away))
        finally:
            self._sending.pop(delivery.id, None)
            self.wake()

    def _record(
        self, conn: Connection, *, channel: ChannelDefinition, delivery: Delivery, error: str | None
    ) -> None:
        now, attempts = self.clock(), delivery.attempts + 1
        told: dict[str, Any] = {"channel": delivery.channel, "delivery": delivery.id}
        if error is None:
            notices.settle(conn, delivery.id, "delivered", error=None, now=now)
            log.info("notice_delivered", **told, attempts=attempts)
        elif attempts >= channel.max_attempts:
            notices.settle(conn, delivery.id, "given_up", error=error, now=now)
            log.error("notice_given_up", **told, attempts=attempts, error=error)
        else:
            until = now + pause_after(attempts)
            notices.put_off(conn, delivery.id, error=error, until=until)
            log.warning("notice_not_delivered", **told, attempts=attempts, error=error)


def _may_group(waiting: Waiting, channel: ChannelDefinition, now: datetime) -> bool:
    """Tell whether what waits is to be a message now: one at a time, and not too often."""
    if waiting.has_open_group or now < waiting.oldest_at + channel.group_wait:
        return False
    last = waiting.last_group_at
    return last is None or now >= last + channel.group_interval


def message_of(delivery: Delivery, held: Sequence[Notice]) -> dict[str, Any]:
    """Return what a receiver gets: the same each time that a message is sent."""
    events = [json.loads(notice.event) for notice in held]
    return {
        "id": delivery.id,
        "created_at": iso_time(delivery.created_at),
        "channel": delivery.channel,
        "title": title_of(events),
        "text": text_of(events),
        "notices": events,
    }
