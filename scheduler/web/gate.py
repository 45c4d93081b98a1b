"""What every request passes, in this order: its id, where it comes from, its Host, its head."""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.config import HttpSettings
from scheduler.config.http_settings import LOOPBACK_NAMES
from scheduler.domain.errors import DatabaseError
from scheduler.web.problems import FORESEEN, Refused, problem_of, problem_response

log = structlog.get_logger()

UNIX_PEER: Final = "unix"
"""The address of whoever comes by a Unix socket."""

MOST_HEADER_BYTES: Final = 32 * 1024
"""The largest head of a request."""

LONG_HEAD: Final = f"the head of the request is larger than {MOST_HEADER_BYTES:,} bytes"

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})
_BODY: Final = "dca_scheduler.body"
_LEAST_PER_SECOND: Final = 1024
_AT_ONCE_SECONDS: Final = 0.1
"""A body that was waited for no longer came with its head."""


class Gate:
    """
    Stands before all routes: checks what needs no token, and says what became of each request.

    Nothing of a body is read here. Whatever is raised behind it becomes a problem, never a trace.
    """

    def __init__(self, inner: ASGIApp, *, app: Starlette, settings: HttpSettings) -> None:
        self._inner = inner
        self._app = app
        self._settings = settings
        self._proxies = [ip_network(proxy) for proxy in settings.proxies if proxy != UNIX_PEER]
        self._silence = settings.header_timeout.total_seconds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["app"] = self._app
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        body = Body(receive, self._silence)
        scope[_BODY] = body
        answer = _Answer(send, request_id, body, expects="expect" in headers)
        try:
            self._place(scope, headers)
            self._check(scope, headers)
            answer.is_https = scope["scheme"] == "https"
            await self._inner(scope, body.receive, answer.send)
        except ClientDisconnect:
            answer.status = 499
        except Exception as error:
            _log_failure(scope, error)
            if answer.status is not None:
                raise _CutOff from None
            response = problem_response(Request(scope), problem_of(error))
            await response(scope, receive, answer.send)
        finally:
            _log(scope, answer)

    def _place(self, scope: Scope, headers: Headers) -> None:
        """Find out where it comes from; only a named proxy is believed."""
        peer = scope["client"][0] if scope.get("client") else UNIX_PEER
        scope["client"] = (peer, 0)
        if not self._is_proxy(peer):
            if not self._settings.is_local and not _is_loopback(peer):
                raise Refused(
                    403,
                    "not-through-the-proxy",
                    "only the proxies that [http] names may ask here: what is sent directly would"
                    " travel unencrypted",
                )
            return
        for address in reversed(headers.get("x-forwarded-for", "").split(",")):
            if _is_address(address.strip()):
                scope["client"] = (address.strip(), 0)
                if not self._is_proxy(address.strip()):
                    break
        if headers.get("x-forwarded-proto", "").strip().lower() == "https":
            scope["scheme"] = "https"

    def _is_proxy(self, peer: str) -> bool:
        if peer == UNIX_PEER:
            return UNIX_PEER in self._settings.proxies
        return _is_address(peer) and any(ip_address(peer) in each for each in self._proxies)

    def _check(self, scope: Scope, headers: Headers) -> None:
        size = len(scope["raw_path"]) + len(scope["query_string"])
        size += sum(len(name) + len(value) for name, value in scope["headers"])
        if size > MOST_HEADER_BYTES:
            raise Refused(431, "malformed", LONG_HEAD)
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            raise Refused(400, "malformed", "a request has one Host, no more and no less")
        if not self._is_ours(hosts[0].lower()):
            raise Refused(
                421,
                "wrong-host",
                "this server is not called that: name it in [http] allowed_hosts",
            )
        if "content-length" in headers and "transfer-encoding" in headers:
            raise Refused(
                400, "malformed", "Content-Length and Transfer-Encoding exclude each other"
            )
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise Refused(
                415, "encoded", f"a body in {encoding[:20]!r} is not read: send it as it is"
            )
        if not scope["raw_path"].startswith(b"/"):
            raise Refused(400, "malformed", "the target of a request begins with /")

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        name = name if port.isdecimal() else host
        return name in LOOPBACK_NAMES or {host, name} & {*self._settings.allowed_hosts} != set()


class _CutOff(Exception):
    """An answer that has begun cannot be mended: its connection is cut."""


class Body:
    """A request's body: closed until the guard opens it, and never larger or slower than said."""

    def __init__(self, receive: Receive, silence: float) -> None:
        self._receive = receive
        self._silence = silence
        self._largest = 0
        self._size = 0
        self._waited = 0.0
        self._is_over = False
        self.is_begun = False
        self._check_again: Callable[[], Awaitable[None]] | None = None

    def open(self, largest: int, check_again: Callable[[], Awaitable[None]]) -> None:
        """Let so many bytes in; before the last of a slow body is had, *check_again* is asked."""
        self._largest = largest
        self._check_again = check_again

    async def receive(self) -> Message:
        """Return the next part; raises Refused where it is too large, or too slow."""
        if self._is_over:  # only a disconnection is waited for
            return await self._receive()
        self.is_begun = True
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._silence):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        self._waited += time.monotonic() - begun
        self._size += len(message.get("body", b""))
        self._is_over = not message.get("more_body", False)
        if self._size > self._largest:
            raise too_large(self._largest)
        if self._waited > self._silence and self._size < self._waited * _LEAST_PER_SECOND:
            raise self._too_slow()
        if self._is_over and self._waited > _AT_ONCE_SECONDS and self._check_again is not None:
            await self._check_again()
        return message

    def _too_slow(self) -> Refused:
        detail = f"the body came too slowly: {self._silence:g}s without a byte, or hardly any"
        return Refused(408, "too-slow", detail, headers={"Connection": "close"})


def too_large(largest: int) -> Refused:
    """Return the refusal of a body that is larger than *largest* bytes."""
    detail = f"the body is larger than {largest:,} bytes: send less at once"
    return Refused(413, "too-large", detail)


def body_of(request: HTTPConnection) -> Body:
    """Return the body of a request that has passed the gate."""
    body: Body = request.scope[_BODY]
    return body


class _Answer:
    """What is sent back: with the headers that every answer has."""

    def __init__(self, send: Send, request_id: str, body: Body, *, expects: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._body = body
        self._expects = expects
        self.begun = time.monotonic()
        self.status: int | None = None
        self.is_https = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if self._expects and not self._body.is_begun:  # it would wait, or send it as a request
                headers["Connection"] = "close"
            if self.is_https:
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        await self._send(message)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(peer: str) -> bool:
    return _is_address(peer) and ip_address(peer).is_loopback


def _log_failure(scope: Scope, error: Exception) -> None:
    if isinstance(error, DatabaseError):
        log.error("http_database", path=scope["path"], error=str(error))
    elif not isinstance(error, FORESEEN):
        log.exception("http_failed", path=scope["path"])


def _log(scope: Scope, answer: _Answer) -> None:
    """Write one line of a request: its path without the query, which may hold secrets."""
    caller = scope["state"].get("caller")
    event: dict[str, Any] = {
        "method": scope["method"],
        "path": scope["path"],
        "status": answer.status,
        "seconds": round(time.monotonic() - answer.begun, 4),
        "address": (scope.get("client") or (None,))[0],
        "by": caller and caller.name,
    }
    is_quiet = scope["path"] in _QUIET and answer.status == 200
    (log.debug if is_quiet else log.info)("http_request", **event)
