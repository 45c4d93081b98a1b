"""Forgets what is old, a little at a time, and gives the file's empty pages back."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from scheduler.domain.retention import Retention
from scheduler.storage import retention
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import give_back_pages
from scheduler.storage.retention import Sweep

log = structlog.get_logger()

_BETWEEN_CHUNKS: Final = timedelta(seconds=0.25)
_BETWEEN_SWEEPS: Final = timedelta(hours=1)
_OTHERS_AT_ONCE: Final = 200


@dataclass(slots=True, kw_only=True)
class PruneStep:
    """A transaction of a few hundred rows, four times a second at most; a sweep each hour."""

    db: Database
    rules: Callable[[], Retention]
    _sweep: Sweep = field(default_factory=Sweep)
    _gone: Counter[str] = field(default_factory=Counter)
    _next_at: datetime | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Forget a few rows if it is time to; return when there next are some."""
        if self._next_at is None or now >= self._next_at:
            is_through = await self.db.write(partial(self._prune, now=now))
            self._next_at = now + (_BETWEEN_SWEEPS if is_through else _BETWEEN_CHUNKS)
            if is_through and any(self._gone.values()):
                log.info("pruned", **{name: rows for name, rows in self._gone.items() if rows})
                self._gone.clear()
        return self._next_at

    def _prune(self, conn: Connection, *, now: datetime) -> bool:
        rules = self.rules()
        if rules.runs is None and rules.runs_per_schedule is None:
            self._sweep.done = True
        if not self._sweep.done:
            self._gone.update(retention.prune_runs(conn, self._sweep, rules, now=now))
            return False
        gone = retention.prune_others(conn, rules, now=now, limit=_OTHERS_AT_ONCE)
        self._gone.update(gone)
        if any(gone.values()) or give_back_pages(conn):
            return False
        self._sweep = Sweep()
        return True
