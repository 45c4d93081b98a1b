"""Is the clock right? Asked at the start, before anything is decided by it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog

from scheduler.clock import Clock, boot_seconds
from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import Account
from scheduler.domain.timestamps import display_time
from scheduler.engine.accounts import Upstreams
from scheduler.engine.rate_limiter import feedback_of_answer, open_limiter
from scheduler.storage import accounts, ahead
from scheduler.storage.database import Connection, Database

log = structlog.get_logger()

RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that shows an earlier time is right: this version was not made yet."""

DOWNTIME: Final = timedelta(hours=1)
"""After a shorter one the clock is believed without asking an upstream."""

UNWITNESSED: Final = timedelta(days=1)
"""After a longer downtime nothing is decided until an upstream tells the time."""

TOLERANCE: Final = timedelta(minutes=5)
_AGAIN: Final = 5.0
_PATIENCE: Final = 3.0
_SET_IT: Final = "set it right"
_BELIEVE_IT: Final = "or start with [daemon] trust_upstream_clock = false where it is right"
_MOST_ASKED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockCheck:
    """
    Compares the clock with the database's last sign of life, and with the upstreams'.

    Where a person says that no upstream's `Date` is to be trusted, ours is believed.
    """

    db: Database
    clock: Clock
    upstreams: Upstreams
    trusts_upstream: bool = True

    async def hold(
        self,
        stopping: asyncio.Event,
        *,
        remeasure: Callable[[], Awaitable[None]],
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        """Return once the clock is in no doubt any more, or *stopping*; *tell* the doubt."""
        times: str | None = None
        began = ended = self.clock()
        while not stopping.is_set() and (doubt := await self.find_doubt()) is not None:
            if times is None:
                log.error("clock_in_doubt", why=doubt, until="it is right, nothing is decided")
            times, ended = doubt, self.clock()
            await tell(doubt)
            try:
                await asyncio.wait_for(stopping.wait(), _AGAIN)
            except TimeoutError:
                await remeasure()
        if not stopping.is_set():
            if times is not None:
                await self._set_back_new(began, ended)
            await self._tell_marks()

    async def _set_back_new(self, began: datetime, ended: datetime) -> None:
        """Bring to now what this start has made by the clock that was wrong."""
        work = partial(ahead.set_back_new, since=began, until=ended, now=self.clock())
        count = await self.db.write(work)
        log.warning("clock_in_doubt_no_more", schedules_set_back=count)

    async def find_doubt(self) -> str | None:
        """Return why the clock cannot be right, or must be vouched for; None if all is well."""
        now = self.clock()
        shows = f"the clock shows {display_time(now)}"
        if now < RELEASED:
            return f"{shows}, and this version was made later: {_SET_IT}"
        if not self.trusts_upstream:
            return None
        alive = await self.db.read(ahead.find_newest)
        if alive is not None and -ahead.TOLERANCE < now - alive < DOWNTIME:
            return None
        upstream = await self.ask_upstreams()
        if upstream is not None:
            is_right = abs(upstream - self.clock()) < TOLERANCE
            told = f"{shows}, and the upstream's {display_time(upstream)}"
            return None if is_right else f"{told}: {_SET_IT}, {_BELIEVE_IT}"
        if alive is not None and now - alive > UNWITNESSED:
            last = f"a daemon was last alive at {display_time(alive)}"
            return (
                f"{shows}, {last}, and no upstream answers: it goes on once one does, {_BELIEVE_IT}"
            )
        return None

    async def ask_upstreams(self) -> datetime | None:
        """Return what an upstream's clock shows now, as far as its brake lets one be asked."""
        if not self.trusts_upstream:
            return None
        times = self.upstreams.times_at(boot_seconds())
        if times:
            return next(iter(times.values()))
        for account in (await self.db.read(accounts.list_accounts))[:_MOST_ASKED]:
            if await self.db.write(partial(self._may_ask, account=account)):
                # Who is slow is not waited for, but heard: it may be a 429.
                asking = asyncio.create_task(self._ask(account))
                await asyncio.wait({asking}, timeout=_PATIENCE)
                times = self.upstreams.times_at(boot_seconds())
                if times:
                    return next(iter(times.values()))
        return None

    async def _ask(self, account: Account) -> None:
        answer = await self.upstreams.client(account).ask_time()
        try:
            await self.db.write(partial(self._heard, account=account, answer=answer))
        except DatabaseError as error:
            log.warning("loop_failed", loop="clock", error=str(error))

    def _may_ask(self, conn: Connection, *, account: Account) -> bool:
        limiter = open_limiter(conn, account, now=self.clock())
        may = limiter.permits().count > 0
        limiter.ask(1 if may else 0)
        limiter.close(conn)
        return may

    def _heard(self, conn: Connection, *, account: Account, answer: object) -> None:
        feedback = feedback_of_answer(answer, token_fingerprint="")
        if feedback.throttled:
            limiter = open_limiter(conn, account, now=self.clock())
            limiter.apply(conn, [feedback])
            limiter.close(conn)

    async def _tell_marks(self) -> None:
        try:
            schedules = await self.db.read(partial(ahead.list_ahead, now=self.clock()))
        except DatabaseError:
            return
        if schedules:
            log.error(
                "schedules_decided_ahead",
                count=len(schedules),
                until=display_time(max(schedule.decided_until for schedule in schedules)),
                way_out="dca-scheduler clock reset",
            )
