"""What a connection may be: one that is slow to ask, or to read its answer, is cut off."""

import asyncio
import json
import re
import socket
import sys
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from scheduler.web.gate import LONG_HEAD, MOST_HEADER_BYTES
from scheduler.web.problems import MEDIA_TYPE

_MOST_PIPELINED: Final = 16
_VERSIONS: Final = ("1.0", "1.1")
_UPGRADE: Final = re.compile(rb"\r\nupgrade:", re.I)


def protocol_with(header_seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol of connections that wait so long for a head, or for a reader."""

    class Patient(PatientProtocol):
        seconds = header_seconds

    return Patient


class PatientProtocol(HttpToolsProtocol):
    """
    uvicorn's HTTP/1.1, which by itself waits for ever, and holds whatever comes.

    A head must be there within *seconds* of its first byte, or of the connection's beginning, and
    whoever asked must go on reading what is sent. What is no body counts until something comes of
    it: a head, trailers, an extension of a chunk are as large as a head may be.
    """

    seconds = 10.0
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _unread = 0
    _is_in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first head; an answer's head and body leave without waiting for each other."""
        super().connection_made(transport)
        taken = transport.get_extra_info("socket")
        if taken is not None and taken.family != socket.AF_UNIX:
            with suppress(OSError):
                taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; wait on where it is not yet a whole head."""
        if self.transport.is_closing():
            return
        self._unread += len(data)
        super().data_received(self._without_upgrade(data))
        if self._unread > MOST_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(431)
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()
        else:
            self._stop_waiting()

    def _without_upgrade(self, data: bytes) -> bytes:
        """
        Rename the field that asks for another protocol, as Java's client does with every request.

        RFC 9110, 7.8: it may be ignored. The parser would take the body for the other protocol.
        """
        is_body = self.cycle is not None and not self.cycle.response_complete
        if is_body and not self._is_in_head:
            return data
        head, end, rest = data.partition(b"\r\n\r\n")
        return _UPGRADE.sub(b"\r\nno-upgrade:", head) + end + rest

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        super().on_message_begin()
        self._is_in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a line of the head; one behind the body (a trailer) says nothing here."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin with the request; raises _Unreadable for one that may be read in two ways."""
        if len(self.connections) >= (self.limit_concurrency or sys.maxsize):
            raise _Unreadable(503)
        self._is_in_head, self._unread = False, 0
        version = self.parser.get_http_version()
        if version not in _VERSIONS or not self.url.startswith(b"/"):
            raise _Unreadable(400)
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or version == "1.0"):
            raise _Unreadable(501)
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise _Unreadable(400, _TOO_MANY)
        super().on_headers_complete()
        if self.parser.should_upgrade():  # nothing that follows is HTTP/1.1
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand a piece of a body on."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Say that a body is whole."""
        self._unread = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read on."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it reads."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as a problem."""
        error = sys.exception()
        why = error and error.__context__
        if isinstance(why, _Unreadable):
            self._refuse(why.status, why.detail)
        else:
            self._refuse(400)

    def _refuse(self, status: int, detail: str | None = None) -> None:
        """Answer with a problem and close; where an answer has begun, only close."""
        if self.cycle is not None and self.cycle.response_started and not self._is_answered():
            self.transport.abort()
            return
        said = detail or _DETAILS[status]
        body = json.dumps(_problem(status, said, self._is_for_the_upstreams_clients())).encode()
        kind = b"application/json" if self._is_for_the_upstreams_clients() else MEDIA_TYPE.encode()
        head = b"content-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        again = b"retry-after: 1\r\n" if status == 503 else b""
        self.transport.write(STATUS_LINE[status] + again + head % (kind, len(body)) + body)
        self.transport.close()

    def _is_answered(self) -> bool:
        return bool(self.cycle.response_complete)

    def _is_for_the_upstreams_clients(self) -> bool:
        return getattr(self, "url", b"").startswith(b"/dca/")

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.seconds, self._head_is_late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self.transport.abort()


class _Unreadable(Exception):
    """A head that others may read in another way, that nobody here knows, or one too many."""

    def __init__(self, status: int, detail: str | None = None) -> None:
        self.status = status
        self.detail = detail


_TOO_MANY: Final = (
    f"more than {_MOST_PIPELINED + 1} requests on one connection before the first is answered: read"
    " its answer, then go on"
)
_DETAILS: Final = {
    400: "this is no HTTP/1.1 request",
    431: LONG_HEAD,
    503: "too many connections are open: close those that nobody needs, and ask again later",
    501: "no Transfer-Encoding is known here but chunked: send the body as it is",
}


def _problem(status: int, detail: str, is_upstreams: bool) -> dict[str, Any]:
    if is_upstreams:
        return {"error": detail}
    return {
        "type": f"urn:dca-scheduler:problem:{'busy' if status == 503 else 'malformed'}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
