"""
The parts of large bodies: written while a body is made, read while it is sent.

They are there before it is known which body they make. What becomes none, because its maker died,
is deleted a day later by whoever writes the next large body.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, bindparam, delete, insert, select

from scheduler.domain.errors import NotFound
from scheduler.domain.records import StoredBody
from scheduler.storage.body_tables import bodies, body_parts
from scheduler.storage.database import Database

_LEFT_OVER_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DatabaseSpool:
    """Keeps the parts of large bodies in *db*, each in a transaction of its own."""

    db: Database
    now: datetime

    def begin(self) -> str:
        """Return the key of a new body's parts."""
        with self.db.writing() as conn:
            _delete_left_over(conn, self.now)
        return uuid4().hex

    def put(self, parts: str, number: int, text: str) -> None:
        """Keep a part."""
        row = {"parts": parts, "number": number, "text": text, "created_at": self.now}
        with self.db.writing() as conn:
            conn.execute(insert(body_parts), row)

    def drop(self, parts: str) -> None:
        """Forget parts that become no body."""
        with self.db.writing() as conn:
            delete_parts(conn, parts)

    @contextmanager
    def dropping_unused(self, *made: StoredBody) -> Iterator[None]:
        """Drop the parts of these bodies if what they were made for fails."""
        try:
            yield
        except BaseException:
            for body in made:
                if body.parts is not None:
                    self.drop(body.parts)
            raise


def delete_parts(conn: Connection, parts: str) -> None:
    """Delete the parts of that key."""
    conn.execute(delete(body_parts).where(body_parts.c.parts == parts))


def find_part(conn: Connection, parts: str, number: int) -> str | None:
    """Return a part's text; None behind the last one."""
    text: str | None = conn.scalar(_PART, {"parts": parts, "number": number})
    return text


_PART: Final = select(body_parts.c.text).where(
    body_parts.c.parts == bindparam("parts"), body_parts.c.number == bindparam("number")
)


def iter_text(conn: Connection, body: StoredBody) -> Iterator[str]:
    """Yield the text of a body piece by piece; raises NotFound where a part is missing."""
    if body.parts is None:
        yield body.text
        return
    length = number = 0
    while (text := find_part(conn, body.parts, number := number + 1)) is not None:
        length += len(text.encode())
        yield text
    if length != body.byte_count:
        raise NotFound(f"body {body.fingerprint} is not whole any more: parts of it were deleted")


def _delete_left_over(conn: Connection, now: datetime) -> None:
    begun = select(body_parts.c.parts).where(
        body_parts.c.number == 1, body_parts.c.created_at < now - _LEFT_OVER_AFTER
    )
    used = select(bodies.c.parts).where(bodies.c.parts == body_parts.c.parts).exists()
    conn.execute(delete(body_parts).where(body_parts.c.parts.in_(begun), ~used))
