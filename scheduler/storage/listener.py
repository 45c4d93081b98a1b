"""News of committed work, where the database can tell it: only a hint, polling finds all."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from scheduler.domain.errors import DatabaseError
from scheduler.storage.dialect import CHANNEL
from scheduler.storage.lines import STATEMENT_SECONDS
from scheduler.storage.postgresql import is_pooled, listening_arguments, session_settings
from scheduler.storage.urls import parse_url


@dataclass(slots=True)
class Listener:
    """Waits for PostgreSQL's NOTIFY on a connection of its own, opened when first needed."""

    url: str
    _conn: Any = field(default=None)

    async def wait(self, limit: timedelta) -> bool:
        """
        Return True as soon as there is news, False after *limit* without any.

        Raises DatabaseError when the server cannot be reached; the next call tries again.
        A connection that was opened anew counts as news: something may have been missed.
        """
        import psycopg

        try:
            if self._conn is None:
                self._conn = await self._connect()
                return True
            async for _ in self._conn.notifies(timeout=limit.total_seconds(), stop_after=1):
                return True
            # Nothing was heard: is the connection still there at all?
            async with asyncio.timeout(STATEMENT_SECONDS):
                await self._conn.execute("SELECT 1")
        except (psycopg.Error, OSError) as error:
            await self.close()
            reason = str(error) or "the server does not answer"
            raise DatabaseError(f"cannot listen for news: {reason}".splitlines()[0]) from error
        return False

    async def _connect(self) -> Any:
        import psycopg

        arguments = listening_arguments(self.url)
        conn = await psycopg.AsyncConnection.connect(**arguments, autocommit=True)
        cursor = await conn.execute("SELECT pg_backend_pid()")
        (pid,) = await cursor.fetchone() or (None,)
        # A pooler gives the session to others: whoever has it next would be told, and not we.
        if not is_pooled(conn, pid):
            url = parse_url(self.url)
            await conn.execute(session_settings(url, conn.info.server_version))
            await conn.execute(f"LISTEN {CHANNEL}")
        return conn

    async def close(self) -> None:
        """Close the connection, if there is one."""
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()
