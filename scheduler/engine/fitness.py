"""Ends a daemon whose database was upgraded, or restored, beneath it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from scheduler.domain.errors import DatabaseReplaced, DatabaseUnfit
from scheduler.storage import daemons, migrate
from scheduler.storage.database import Connection, Database
from scheduler.storage.origin import find_last_written, mark_origin, needs_mark, require_original
from scheduler.storage.restores import find_unsettled, insert_restore, require_settled

_EVERY: Final = timedelta(seconds=5)
_FORGOTTEN_AFTER: Final = timedelta(days=1)


@dataclass(slots=True, kw_only=True)
class FitnessStep:
    """Looks at the schema that the database has; another one means that a newer program came."""

    db: Database
    owner: str
    revision: str = field(default_factory=migrate.newest_revision)
    _next_at: datetime | None = None
    _beats: int = 0
    _looked_at: datetime | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Raise DatabaseReplaced if this program must not work on the database any more."""
        if self._next_at is None or now >= self._next_at:
            if self.db.file is None:
                await self._look_back(now)
            if await self.db.read(self._look):
                await self.db.write(mark_origin)  # the server became another, and we lived on
            self._next_at = now + _EVERY
        return self._next_at

    async def _look_back(self, now: datetime) -> None:
        """Note a restore where the database lacks heartbeats that were in it: `_look` ends us."""
        beats = await self.db.read(partial(daemons.count_beats, daemon_id=self.owner))
        before, self._looked_at = self._looked_at, now
        # One that hung for days was forgotten by the others.
        was_here = self._beats > 0 and before is not None and now - before < _FORGOTTEN_AFTER
        if was_here and before is not None and (beats is None or beats < self._beats):
            await self.db.write(partial(_note_loss, before=before))
        self._beats = beats or 0

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


def _note_loss(conn: Connection, *, before: datetime) -> None:
    """Hold every daemon, also one that starts anew, until somebody has settled it."""
    if find_unsettled(conn) is None:
        insert_restore(conn, backup_at=find_last_written(conn, before=before))
