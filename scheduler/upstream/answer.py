"""An answer as it comes off the line: its head, then its body piece by piece."""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import httptools
import httpx

from scheduler.upstream.failures import as_httpx

_LONGEST_HEAD: Final = 64 * 1024
_PIECE: Final = 64 * 1024
_MOST_UNREAD: Final = 1024 * 1024
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_LENGTHS: Final = frozenset({"content-length", "transfer-encoding"})
# What aiohttp and other clients of today take: old gateways end a line with LF alone.
_LENIENT: Final = {
    "lenient_headers": True,
    "lenient_optional_cr_before_lf": True,
    "lenient_spaces_after_chunk_size": True,
}


class Answer:
    """
    What comes back for one request.

    The connection feeds it, and whoever asked reads it. *release* gives the connection back, and
    *hold* has it read no more while a MiB was not taken yet, or go on. httptools calls the methods
    `on_…`.
    """

    def __init__(
        self, *, release: Callable[["Answer"], None], hold: Callable[[bool], None]
    ) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.is_whole = False
        self.is_last = True
        self._release = release
        self._hold = hold
        self._unread = 0
        self._is_held = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**_LENIENT)
        self._has_head = False
        self._head_size = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: deque[bytes] = deque()
        self._unpack: Unpack | None = None
        self._unpacked: Iterator[bytes] = iter(())
        self._failure: httpx.HTTPError | None = None
        self._news: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Wait until status and headers are there."""
        while not self._has_head:
            await self._more()

    async def read(self) -> bytes:
        """Return the next piece of the body, once it is there; nothing at its end."""
        while True:
            for piece in self._unpacked:
                return piece
            if self._pieces:
                packed = self._pieces.popleft()
                self._count(-len(packed))
                if self._unpack is None:
                    return packed
                self._unpacked = self._unpack(packed)
            elif self.is_whole:
                return b""
            else:
                await self._more()

    def close(self) -> None:
        """Give the connection back, once; one that still owes something is closed."""
        del self._parser  # else each would keep the other until Python looks for cycles
        if self._is_held:
            self._hold(False)
        self._release(self)

    def feed(self, data: bytes) -> None:
        """Take what came."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_last = True
            self._fail(httpx.RemoteProtocolError(_NO_HTTP))
        if not self._has_head:
            self._head_size += len(data)
            if self._head_size > _LONGEST_HEAD:
                self._fail(httpx.RemoteProtocolError(_NO_HTTP))
        self._tell()

    def end(self, error: Exception | None) -> None:
        """Take it that the connection is gone."""
        if self._has_head and error is None and not self._has_length():
            self.is_whole = True  # its end is the connection's
        elif self._has_head:
            self._fail(httpx.ReadError("the answer broke off"))
        elif error is None:
            self._fail(httpx.RemoteProtocolError("the connection was closed without an answer"))
        else:
            self._fail(as_httpx(error))
        self._tell()

    def on_message_begin(self) -> None:
        """Note an answer that begins; a second one was not asked for."""
        self.is_last = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after the body is of no use to anybody."""
        if not self._has_head:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the head, unless it only says that the answer is yet to come (1xx)."""
        if self._has_head:
            return
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200
        if self._has_head:
            self.headers = _read_headers(self._fields)
            self._unpack = _unpacker(self.headers.get("content-encoding", ""))
        else:
            self._fields.clear()
            self._head_size = 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if body and not self.is_whole:
            self._pieces.append(body)
            self._count(len(body))

    def _count(self, size: int) -> None:
        """Hold the connection while too much waits for its reader."""
        self._unread += size
        if self._is_held != (self._unread > _MOST_UNREAD):
            self._is_held = not self._is_held
            self._hold(self._is_held)

    def on_message_complete(self) -> None:
        """Take the end."""
        if self._has_head and not self.is_whole:
            self.is_whole = True
            self.is_last = not self._parser.should_keep_alive()

    def _has_length(self) -> bool:
        return not _LENGTHS.isdisjoint(self.headers)

    def _fail(self, failure: httpx.HTTPError) -> None:
        if not self.is_whole:
            self._failure = self._failure or failure

    def _tell(self) -> None:
        """Wake who waits, if anything came of it."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _more(self) -> asyncio.Future[None]:
        """Return what is done once something came; raises why nothing will."""
        if self._failure is not None:
            raise self._failure
        self._news = asyncio.get_running_loop().create_future()
        return self._news


_NO_HTTP: Final = "the answer is not HTTP, or its head is too long"


def _read_headers(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode(errors="replace").lower(), raw_value.decode(errors="replace")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


Unpack = Callable[[bytes], Iterator[bytes]]


def _unpacker(encoding: str) -> Unpack | None:
    """Return what unpacks a body, in bounded pieces; we ask for none that is packed."""
    if encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        return None
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)

    def unpack(packed: bytes) -> Iterator[bytes]:
        while packed:
            try:
                piece = inflater.decompress(packed, _PIECE)
            except zlib.error:
                raise httpx.ReadError("the answer broke off") from None
            packed = inflater.unconsumed_tail
            if piece:
                yield piece

    return unpack
