"""A body while it comes: handed from the event loop to the thread that reads it, piece by piece."""

import asyncio
import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from starlette.requests import Request

from scheduler.domain.request import SendAs
from scheduler.web.dropin.form import iter_file
from scheduler.web.problems import Refused

_FORM: Final = re.compile(rb"\s*[A-Za-z_][\w.%\[\]-]*=")
_SMALL: Final = 64 * 1024


class Upload:
    """
    The pieces of a request's body, for a thread to iterate over: no more than one is held.

    Whatever ends the request early is raised in that thread. A small body is read before, so that
    whoever sends slowly holds no thread for it.
    """

    def __init__(self, request: Request, send_as: SendAs) -> None:
        self._stream = request.stream()
        self._content_type = request.headers.get("content-type", "")
        self._send_as = send_as
        self._loop = asyncio.get_running_loop()
        length = request.headers.get("content-length", "")
        self.is_small = length.isdecimal() and int(length) <= _SMALL
        self._read: list[bytes] = []

    async def read_small(self) -> None:
        """Read a small body whole."""
        if self.is_small:
            self._read = [piece async for piece in self._stream]

    def __iter__(self) -> Iterator[bytes]:
        pieces = self._pieces()
        if self._send_as is SendAs.MULTIPART:
            return iter_file(pieces, self._content_type)
        first = next(pieces, b"")
        if self._send_as is SendAs.JSON and _FORM.match(first):
            raise Refused(
                400,
                "form-as-json",
                "the body is a form (name=value) and not JSON, as Content-Type says: in Python"
                " requests write json=[{…}] in place of data=, in curl --data '[{…}]'",
            )
        return chain((first,), pieces)

    def _pieces(self) -> Iterator[bytes]:
        if self.is_small:
            yield from self._read
            return
        while True:
            piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if piece is None:
                return
            if piece:
                yield piece

    async def _next(self) -> bytes | None:
        return await anext(self._stream, None)
