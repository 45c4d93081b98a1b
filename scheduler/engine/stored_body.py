"""A body that was stored: as it leaves, and the inputs that were sent in it."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from scheduler.domain.errors import NotFound
from scheduler.domain.records import JsonObject, StoredBody
from scheduler.domain.request import Pieces, body_content, body_frame, body_inputs
from scheduler.inputs import iter_stored
from scheduler.storage import body_parts
from scheduler.storage.database import Connection, Database

Answer = TypeVar("Answer")


def content_of(db: Database, body: StoredBody) -> tuple[str, bytes | Pieces]:
    """Return the Content-Type of *body* and what is sent: of a large one, part by part."""
    if body.parts is None:
        return body_content(body)
    content_type, head, tail = body_frame(body)
    return content_type, StoredPieces(db, body, head.encode(), tail.encode())


class StoredPieces:
    """A large body, read while it is sent: no more of it is held than a part."""

    def __init__(self, db: Database, body: StoredBody, head: bytes, tail: bytes) -> None:
        self.length = len(head) + body.byte_count + len(tail)
        self._db, self._body = db, body
        self._head, self._tail = head, tail

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Read it; raises NotFound where parts of it were deleted."""
        if self._head:
            yield self._head
        sent = number = 0
        while (text := await self._part(number := number + 1)) is not None:
            piece = text.encode()
            sent += len(piece)
            yield piece
        if sent != self._body.byte_count:
            raise NotFound(f"parts of body {self._body.fingerprint} were deleted")
        if self._tail:
            yield self._tail

    async def _part(self, number: int) -> str | None:
        find = partial(body_parts.find_part, parts=str(self._body.parts), number=number)
        return await self._db.read(find)


@dataclass(slots=True)
class SentInputs:
    """The inputs of a stored body, read as often as something is asked about them."""

    db: Database
    body: StoredBody
    _held: list[JsonObject] | None = field(default=None)

    async def ask(self, question: Callable[[Iterable[JsonObject]], Answer]) -> Answer:
        """Put *question* to the inputs; those of a large body pass by and are not held."""
        if self.body.parts is not None:
            return await self.db.read(partial(self._ask_stored, question=question))
        if self._held is None:
            self._held = body_inputs(self.body)
        return question(self._held)

    def _ask_stored(
        self, conn: Connection, *, question: Callable[[Iterable[JsonObject]], Answer]
    ) -> Answer:
        return question(iter_stored(self.body.send_as, body_parts.iter_text(conn, self.body)))
