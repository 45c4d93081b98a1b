"""The guard at the door: who a request is from, whether they may, and whether they ask too much."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Final, Literal

import structlog
from starlette.requests import Request

from scheduler.actions.api_tokens import begin_session, end_session, follow_link, record_use
from scheduler.domain.access import Scope, digest_of, is_token
from scheduler.domain.errors import DatabaseError
from scheduler.views.api_tokens import TokenView, find_holder, find_session_holder
from scheduler.views.opening import Connection, present
from scheduler.web.access import Access, Caller
from scheduler.web.gate import too_large
from scheduler.web.problems import Refused
from scheduler.web.site import Site

log = structlog.get_logger()

COOKIE: Final = "dcas_session"
SECURE_COOKIE: Final = "__Host-dcas_session"
"""What a browser keeps a session under; behind TLS by the stricter name."""

_REMEMBERED_SECONDS: Final = 1.0
_USE_NOTED_AFTER: Final = timedelta(minutes=1)
_BURST_SECONDS: Final = 4.0
_FAILURES_A_MINUTE: Final = 10
_MOST_CLIENTS: Final = 10_000
MOST_AT_ONCE: Final = 200
"""So many requests are answered at once: each waits for a thread, and holds what it answers."""
MOST_OF_ONE: Final = 100
"""So many of one client, which so leaves room for others."""
_LETS_NOBODY_IN: Final = "this token lets nobody in: unknown, revoked or ended"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Buckets:
    """How often each client may do something: so many at once, and so many in a second."""

    rate: float
    most: float
    _left: "OrderedDict[str, tuple[float, float]]" = field(default_factory=OrderedDict)

    def take(self, client: str, *, cost: float = 1.0) -> float:
        """Take one; return the seconds to wait, 0 if it may be done now."""
        now = time.monotonic()
        left, at = self._left.pop(client, (self.most, now))
        left = min(self.most, left + (now - at) * self.rate)
        is_enough = left >= cost
        self._left[client] = (left - cost if is_enough else left, now)
        if len(self._left) > _MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if is_enough else (cost - left) / self.rate


@dataclass(slots=True)
class Guard:
    """Lets callers in; remembers each token for a second, so that a revoked one ends within it."""

    site: Site
    failures: int = 0
    """How many requests came with a token that lets nobody in."""
    _requests: Buckets = field(init=False)
    _failed: Buckets = field(init=False)
    _under_way: Counter[str] = field(default_factory=Counter)
    _known: "OrderedDict[str, tuple[float, TokenView | None]]" = field(default_factory=OrderedDict)
    _noted: dict[str, datetime] = field(default_factory=dict)
    _notes: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        rate = self.site.settings.requests_per_second
        self._requests = Buckets(rate, max(rate * _BURST_SECONDS, 1.0))
        self._failed = Buckets(_FAILURES_A_MINUTE / 60, _FAILURES_A_MINUTE)

    async def admit(self, request: Request, access: Access) -> Caller:
        """
        Return who asks, if they may; nothing of a body has been read then.

        Raises Refused: 401 without a token that lets anybody in, 403 for another scope or origin,
        413 for a body that is said to be too large, 429 for too many requests.
        """
        caller = request.state.caller = await self.identify(request)
        self._limit(caller)
        if not access.is_open(self.site.settings):
            self._check(caller, access)
        if caller.via == "session":
            check_origin(request)
        largest = self.site.settings.max_body if access.largest is None else access.largest
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > largest:
            raise too_large(largest)
        return caller

    @contextmanager
    def turn(self, caller: Caller) -> Iterator[None]:
        """Answer a request within; raises Refused where too many are answered at this moment."""
        client = _client(caller)
        if self._under_way[client] >= MOST_OF_ONE:
            detail = f"{MOST_OF_ONE} requests of yours are being answered: wait for them"
            raise Refused(429, "too-many", detail, headers={"Retry-After": "1"})
        if self._under_way.total() >= MOST_AT_ONCE:
            detail = f"{MOST_AT_ONCE} requests are being answered: ask again in 1s"
            raise Refused(503, "busy", detail, headers={"Retry-After": "1"})
        self._under_way[client] += 1
        try:
            yield
        finally:
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]

    async def admit_still(self, request: Request) -> None:
        """Refuse, 401, whose token or session ended while the body came; nothing is remembered."""
        caller: Caller = request.state.caller
        if caller.via != "nothing" and await self.identify(request, anew=True) != caller:
            raise _unauthorized("the token or session ended while the body came")

    async def identify(self, request: Request, *, anew: bool = False) -> Caller:
        """Return who asks, nobody included; raises Refused for a token that lets nobody in."""
        address = request.client.host if request.client else ""
        if (header := request.headers.get("authorization")) is not None:
            scheme, _, token = header.partition(" ")
            token = token.strip()
            if scheme.lower() != "bearer" or not token:
                raise self.failed(address, "say Authorization: Bearer TOKEN")
            holder = await self._holder(token, "token", anew) if is_token(token) else None
            if holder is None:
                raise self.failed(address, _LETS_NOBODY_IN)
            return self._caller(holder, address, "token")
        cookie = request.cookies.get(cookie_name(request))
        if cookie and (holder := await self._holder(cookie, "session", anew)) is not None:
            return self._caller(holder, address, "session", cookie)
        scope = Scope.READ if self.site.settings.anonymous == "read" else None
        return Caller(site=self.site, scope=scope, address=address)

    def failed(self, address: str, why: str) -> Refused:
        """Count a failure of *address*, and return how it is refused."""
        self.failures += 1
        if wait := self._failed.take(address):
            return _too_many(wait, "too many wrong tokens from this address")
        log.warning("http_not_let_in", address=address, why=why)
        return _unauthorized(why)

    async def sign_in(self, address: str, *, token: str, code: str) -> str:
        """
        Begin a session, and return its cookie; raises Refused.

        By a *token*, or by the *code* of a link, which works once.
        """

        def begin(conn: Connection) -> str | None:
            now = present(conn, self.site.clock)
            if code:
                return follow_link(conn, code, address=address, now=now)
            holder = find_holder(conn, token, now=now)
            if holder is None:
                return None
            return begin_session(conn, holder.name, address=address, now=now)

        cookie = await self.site.db.write(begin) if code or is_token(token) else None
        if cookie is None:
            used = "this link was used, or has ended: ask for another"
            raise self.failed(address, used if code else _LETS_NOBODY_IN)
        return cookie

    async def sign_out(self, cookie: str) -> None:
        """End a session at once."""
        await self.site.db.write(partial(end_session, secret=cookie))
        self._known.clear()

    def _limit(self, caller: Caller) -> None:
        if wait := self._requests.take(_client(caller)):
            raise _too_many(wait, "more than requests_per_second")

    def _check(self, caller: Caller, access: Access) -> None:
        if caller.scope is None:
            raise _unauthorized("a token is needed: Authorization: Bearer TOKEN")
        if not caller.may(*access.needed):
            needed = " or ".join(access.needed)
            detail = f"this takes a token of scope {needed}, and yours is {caller.scope}"
            raise Refused(403, "forbidden", detail)

    def _caller(
        self,
        holder: TokenView,
        address: str,
        via: Literal["token", "session"],
        session: str | None = None,
    ) -> Caller:
        self._note_use(holder, session)
        return Caller(
            site=self.site,
            name=holder.name,
            scope=holder.scope,
            collectors=holder.collectors,
            address=address,
            via=via,
        )

    async def _holder(
        self, secret: str, via: Literal["token", "session"], anew: bool
    ) -> TokenView | None:
        key = digest_of(f"{via} {secret}")
        until, holder = self._known.get(key, (0.0, None))
        if time.monotonic() < until and not anew:
            return holder
        find = find_holder if via == "token" else find_session_holder

        def look(conn: Connection) -> TokenView | None:
            return find(conn, secret, now=present(conn, self.site.clock))

        holder = await self.site.db.read(look)
        if holder is not None:  # strangers fill no memory
            self._known[key] = (time.monotonic() + _REMEMBERED_SECONDS, holder)
            if len(self._known) > _MOST_CLIENTS:
                self._known.popitem(last=False)
        return holder

    def _note_use(self, holder: TokenView, session: str | None) -> None:
        """Write down that a token is in use, once a minute, while nobody waits for it."""
        now = self.site.clock()
        key = f"{holder.name} {session and digest_of(session)}"
        last = self._noted.get(key)
        if last is not None and now - last < _USE_NOTED_AFTER:
            return
        if len(self._noted) > _MOST_CLIENTS:
            self._noted.clear()
        self._noted[key] = now
        task = asyncio.create_task(self._write_use(holder.name, session))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _write_use(self, name: str, session: str | None) -> None:
        def write(conn: Connection) -> None:
            record_use(conn, name, session=session, now=present(conn, self.site.clock))

        try:
            await self.site.db.write(write)
        except DatabaseError as error:
            log.warning("token_use_not_noted", name=name, error=str(error))


def _client(caller: Caller) -> str:
    """Return what counts as one client: a token, or an address without one."""
    return f"{caller.via}:{caller.name if caller.via != 'nothing' else caller.address}"


def check_origin(request: Request) -> None:
    """Refuse a request by cookie that changes something and was not made on a page of ours."""
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "null")
    is_our_host = origin.partition("://")[2] == request.headers.get("host")
    # A page without a referrer, as ours are, sends null for its origin.
    is_ours = is_our_host if site is None else site == "same-origin"
    if not is_ours or not (is_our_host or origin == "null"):
        raise Refused(
            403, "wrong-origin", "this was not sent from a page of this server: open it there"
        )


def cookie_name(request: Request) -> str:
    """Return what a session's cookie is called: behind TLS no other host may have set it."""
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE


def _unauthorized(why: str) -> Refused:
    return Refused(401, "unauthorized", why, headers={"WWW-Authenticate": 'Bearer realm="dca"'})


def _too_many(wait: float, why: str) -> Refused:
    seconds = ceil(wait)
    detail = f"{why}: ask again in {seconds}s"
    return Refused(429, "too-many", detail, headers={"Retry-After": str(seconds)})


def guard_of(request: Request) -> Guard:
    """Return the guard of the server that a request came to."""
    guard: Guard = request.app.state.guard
    return guard
