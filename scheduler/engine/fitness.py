"""Ends a daemon whose database was upgraded, or restored, beneath it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.errors import DatabaseReplaced, DatabaseUnfit
from scheduler.storage import migrate
from scheduler.storage.database import Connection, Database
from scheduler.storage.origin import mark_origin, needs_mark, require_original
from scheduler.storage.restores import require_settled

_EVERY: Final = timedelta(seconds=5)


@dataclass(slots=True, kw_only=True)
class FitnessStep:
    """Looks at the schema that the database has; another one means that a newer program came."""

    db: Database
    revision: str = field(default_factory=migrate.newest_revision)
    _next_at: datetime | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Raise DatabaseReplaced if this program must not work on the database any more."""
        if self._next_at is None or now >= self._next_at:
            if await self.db.read(self._look):
                await self.db.write(mark_origin)  # the server became another, and we lived on
            self._next_at = now + _EVERY
        return self._next_at

    def _look(self, conn: Connection) -> bool:
        revision = migrate.current_revision(conn)
        if revision != self.revision:
            raise DatabaseReplaced(
                f"the database was brought to schema {revision} while this daemon, which knows"
                f" {self.revision}, worked on it: it stops; start the dca-scheduler that did that"
            )
        try:
            require_settled(conn)
            require_original(conn)
        except DatabaseUnfit as error:
            raise DatabaseReplaced(str(error)) from error
        return needs_mark(conn)
