"""The two ways into the database: `db.write()` and `db.read()`, one transaction each."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Self

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from scheduler.domain.errors import DatabaseError
from scheduler.storage.dialect import create_engines, parse_url, sqlite_file


class Database:
    """
    The doors to one database, safe to share between tasks of one event loop.

    Both doors raise DatabaseError, with the way out, when the database cannot be
    reached, opened or written; a broken rule of a table stays what it is.
    """

    def __init__(self, url: str) -> None:
        self._writer, self._reader = create_engines(url)
        self._name = parse_url(url).render_as_string(hide_password=True)
        self.file: Path | None = sqlite_file(url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; the doors may be used again afterwards."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that may write; it commits at the end, or takes everything back."""
        return self._transaction(self._writer)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that only reads: one moment's view, never waiting for a writer."""
        return self._transaction(self._reader)

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with engine.connect() as conn:
                try:
                    await conn.begin()
                    yield conn
                except BaseException:
                    await asyncio.shield(conn.rollback())
                    raise
                # A commit that was asked for runs to its end, whoever is cancelled.
                await asyncio.shield(conn.commit())
        except (OperationalError, sqlite3.OperationalError, OSError) as error:
            raise DatabaseError(self._explain(error)) from error
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise DatabaseError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        first_line = cause.splitlines()[0] if cause else type(error).__name__
        return f"{self._name}: {first_line}{_way_out(first_line)}"


_WAYS_OUT = {
    "unable to open database file": "does its folder exist, and may this user write there?",
    "readonly database": "may this user write the file and its folder?",
    "disk is full": "free some space; the daemon goes on by itself",
    "disk I/O error": "is the disk full, or failing?",
    "no such table": "run `dca-scheduler db upgrade`",
    "does not exist": "create it, or run `dca-scheduler db upgrade`",
    "file is not a database": "database.url names a file of another kind",
    "malformed": "the file is damaged: restore a backup",
    "database is locked": "another program holds a transaction open",
    "connection refused": "is the server running, and at this address?",
    "Connection refused": "is the server running, and at this address?",
    "authentication failed": "check user and password",
}


def _way_out(message: str) -> str:
    return next((f" ({hint})" for words, hint in _WAYS_OUT.items() if words in message), "")
