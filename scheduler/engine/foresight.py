"""Where many schedules are due soon, they are decided before they are."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from scheduler.domain.batch import Asked, Reading, Readings
from scheduler.domain.definition import RunDefaults
from scheduler.domain.foresight import Foreseen, foresee, is_foreseeable
from scheduler.domain.records import Batch
from scheduler.engine.tuning import CLAIMED_WITH_FIRING
from scheduler.storage import schedules
from scheduler.storage.database import Database
from scheduler.storage.schedules import ScheduleWithRefs

Read = Callable[[Mapping[Asked, Batch], datetime], Awaitable[Mapping[Asked, Reading]]]
"""Reads batches."""

AHEAD: Final = timedelta(seconds=5)
"""So long before many are due they begin to be decided: 10,000 take two seconds or three."""

MANY: Final = 64
"""Of fewer nothing is decided before they are due."""

_AT_ONCE: Final = 128
_MOST: Final = 10_000
"""So many are kept: some 6 KB each."""

_QUIET: Final = timedelta(seconds=0.25)
"""Nothing is decided ahead while something is due so soon: it must not wait for that."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A schedule as it was found, and what it will owe if it is still the same then."""

    whole: ScheduleWithRefs
    foreseen: Foreseen


@dataclass(slots=True, kw_only=True)
class Foresight:
    """
    Lists what will be due where that is much, decides it bit by bit, and keeps it until then.

    Nothing of it is believed: when it is due, its row is locked and compared with what was found.
    What was edited since, or is not foreseeable, is found and decided like any other.
    """

    db: Database
    read: Read
    defaults: Callable[[], RunDefaults]
    _listed_until: datetime | None = None
    _names: deque[str] = field(default_factory=deque)
    _decided: deque[Ahead] = field(default_factory=deque)

    def take(self, now: datetime, *, look_ahead: timedelta, most: int) -> list[Ahead]:
        """
        Return, and keep no more, what is due at *now*, else what will be due next, and soon.

        Of that only few: what is claimed by the commit that fires it leaves first.
        """
        taken: list[Ahead] = []
        if not self._decided or self._decided[0].foreseen.due_at > now + look_ahead:
            return taken
        due_by = max(now, self._decided[0].foreseen.due_at)
        most = most if due_by == now else CLAIMED_WITH_FIRING
        while self._decided and len(taken) < most and self._decided[0].foreseen.due_at <= due_by:
            taken.append(self._decided.popleft())
        return taken

    def put_back(self, taken: Sequence[Ahead]) -> None:
        """Keep again what was *taken* before it was due."""
        self._decided.extendleft(reversed(taken))

    def looks_from(self, now: datetime) -> datetime:
        """Return the moment after which nothing is listed yet; after a clock's step, all anew."""
        if self._listed_until is not None and self._listed_until > now + 2 * AHEAD:
            self._listed_until = None
            self._names.clear()
            self._decided.clear()
        return max(now, self._listed_until or now)

    async def go_on(
        self, now: datetime, *, next_due_at: datetime | None, many_at: datetime | None
    ) -> datetime | None:
        """
        Decide a few of many that are due soon; return when to go on with that.

        *many_at* is when as many as MANY have become due that are not listed yet.
        """
        if next_due_at is None or next_due_at - now < _QUIET:
            return None
        if not self._names and many_at is not None:
            if many_at > now + AHEAD:
                return many_at - AHEAD
            await self._list(now)
        if not self._names:
            return None
        names = [self._names.popleft() for _ in range(min(_AT_ONCE, len(self._names)))]
        wholes = await self.db.read(partial(schedules.list_named, names=names))
        await self._decide([one for one in wholes if is_foreseeable(one.schedule, one.batch)], now)
        return now

    async def _list(self, now: datetime) -> None:
        after, until = self.looks_from(now), now + AHEAD
        most = _MOST - len(self._decided)
        listed = partial(schedules.list_due_names, after=after, until=until, limit=most)
        self._names += await self.db.read(listed)
        self._listed_until = until

    async def _decide(self, wholes: Sequence[ScheduleWithRefs], now: datetime) -> None:
        batches = {Asked(one.batch.name): one.batch for one in wholes if one.batch is not None}
        readings = await self.read(batches, now)
        # Aside: to decide a hundred takes as long as a few requests.
        self._decided += await asyncio.to_thread(self._foresee_all, wholes, readings)

    def _foresee_all(self, wholes: Sequence[ScheduleWithRefs], readings: Readings) -> list[Ahead]:
        accounts = frozenset(one.account for one in wholes if one.account is not None)
        defaults = self.defaults()
        foreseen = ((one, _foresee(one, accounts, readings, defaults)) for one in wholes)
        return [Ahead(one, decided) for one, decided in foreseen if decided is not None]


def _foresee(
    one: ScheduleWithRefs, accounts: Collection[str], readings: Readings, defaults: RunDefaults
) -> Foreseen | None:
    schedule, collector, batch = one.schedule, one.collector, one.batch
    with suppress(Exception):  # what is wrong with it is told when it is due
        return foresee(
            schedule, collector, batch, accounts=accounts, readings=readings, defaults=defaults
        )
    return None
