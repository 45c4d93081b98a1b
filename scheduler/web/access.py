"""Who asks, and what they may: the first parameter of every route."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import Depends
from starlette.requests import Request

from scheduler.actions.once import run_key
from scheduler.config import HttpSettings
from scheduler.domain.access import ANY_COLLECTOR, Scope, may
from scheduler.views.opening import Connection, Database, present
from scheduler.web.problems import Refused
from scheduler.web.site import Site

Result = TypeVar("Result")

SMALL_BODY: Final = 8 * 1024**2
"""The largest body of what is no trigger."""

NOBODY: Final = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """
    Who asks: a token by its *name*, or nobody, with no scope.

    All calls are made off the event loop, and raise what their view or action does.
    """

    site: Site
    name: str = NOBODY
    scope: Scope | None = None
    collectors: tuple[str, ...] = ()
    address: str = ""
    via: Literal["token", "session", "nothing"] = "nothing"

    @property
    def by(self) -> str:
        """Return who the audit and a run's history say it was."""
        return f"http:{self.name}@{self.address}"

    def may(self, *needed: Scope) -> bool:
        """Tell whether it may do what takes any one of *needed*."""
        return self.scope is not None and may(self.scope, needed)

    def require_collector(self, name: str) -> None:
        """Refuse a collector that a trigger token may not trigger, whether there is one or not."""
        if self.scope is Scope.TRIGGER and not {name, ANY_COLLECTOR} & set(self.collectors):
            detail = f"this token may trigger no collector {name!r}"
            raise Refused(403, "not-its-collector", detail)

    @property
    def may_name_secrets(self) -> bool:
        """Tell whether it may say where a secret is sent; a trigger token may only trigger."""
        return self.scope is not Scope.TRIGGER

    def key(self, text: str) -> str:
        """Return what a run is known by that is asked for under this caller's key *text*."""
        return run_key(self.name, text)

    def asked_for(self, created_by: str | None) -> bool:
        """Tell whether a run may be seen: a trigger token sees those that it asked for."""
        if self.scope is not Scope.TRIGGER:
            return self.may(Scope.READ)
        return (created_by or "").startswith(f"http:{self.name}@")

    async def ask(self, view: Callable[..., Result], *words: Any, **named: Any) -> Result:
        """Return a view, of one moment, in a transaction that only reads."""
        return await self.site.db.read(partial(self._call, view, words, named))

    async def ask_lately(self, view: Callable[..., Result], **named: Any) -> Result:
        """Return a view as it was a second ago at most, or since the last change made here."""
        key = (view, *sorted(named.items()))
        found: Result = await self.site.lately.ask(key, partial(self.ask, view, **named))
        return found

    async def act(self, action: Callable[..., Result], *words: Any, **named: Any) -> Result:
        """Carry out an action in one transaction, in the caller's name; then wake the daemon."""
        named["by"] = self.by
        done = await self._doors().write(partial(self._call, action, words, named))
        self._tell()
        return done

    async def look_outside(self, view: Callable[..., Result], *words: Any, **named: Any) -> Result:
        """Return a view that takes a Database, and reads files outside of any transaction."""
        return await self.site.db.outside(partial(self._call_outside, view, words, named))

    async def act_outside(self, action: Callable[..., Result], *words: Any, **named: Any) -> Result:
        """Carry out an action that takes a Database; then wake the daemon."""
        done = await self.look_outside(action, *words, by=self.by, **named)
        self._tell()
        return done

    def _tell(self) -> None:
        self.site.lately.forget()
        self.site.wake()

    def _doors(self) -> Database:
        return self.site.db.signed(self.by)

    def _call(
        self,
        call: Callable[..., Result],
        words: tuple[Any, ...],
        named: dict[str, Any],
        conn: Connection,
    ) -> Result:
        if takes_now(call) and "now" not in named:
            named = {**named, "now": present(conn, self.site.clock)}
        return call(conn, *words, **named)

    def _call_outside(
        self, call: Callable[..., Result], words: tuple[Any, ...], named: dict[str, Any]
    ) -> Result:
        doors = self._doors()
        if takes_now(call) and "now" not in named:
            with doors.reading() as conn:
                named = {**named, "now": present(conn, self.site.clock)}
        return call(doors, *words, **named)


@cache
def takes_now(call: Callable[..., Any]) -> bool:
    """Tell whether a view or an action wants the present moment."""
    return "now" in inspect.signature(call).parameters


@dataclass(frozen=True, slots=True)
class Access:
    """
    What a route takes: one of the scopes *needed*, or none at all; *largest* bytes of a body.

    *largest* None is `max_body`. An answer takes `request_timeout` at most, unless *is_endless*.
    Where the settings say *opened_by*, anybody may.
    """

    needed: tuple[Scope, ...] = ()
    largest: int | None = SMALL_BODY
    is_endless: bool = False
    opened_by: Literal["open_metrics"] | None = None

    def is_open(self, settings: HttpSettings) -> bool:
        """Tell whether anybody may."""
        by_choice = self.opened_by is not None and getattr(settings, self.opened_by)
        return not self.needed or by_choice

    async def __call__(self, request: Request) -> Caller:
        """Return the caller whom the guard has let in."""
        caller: Caller = request.state.caller
        return caller


Anybody = Annotated[Caller, Depends(Access())]
Reader = Annotated[Caller, Depends(Access((Scope.READ,)))]
Trigger = Annotated[Caller, Depends(Access((Scope.TRIGGER,)))]
Operator = Annotated[Caller, Depends(Access((Scope.OPERATE,)))]
Admin = Annotated[Caller, Depends(Access((Scope.ADMIN,)))]
Scraper = Annotated[Caller, Depends(Access((Scope.READ,), opened_by="open_metrics"))]
"""Who reads metrics: anybody, where [http] says open_metrics."""
RunReader = Annotated[Caller, Depends(Access((Scope.READ, Scope.TRIGGER)))]
"""Who sees runs; of a trigger token only those that it `asked_for`."""
RunWaiter = Annotated[Caller, Depends(Access((Scope.READ, Scope.TRIGGER), is_endless=True))]
"""The same, who may wait for what becomes of one."""
Uploader = Annotated[Caller, Depends(Access((Scope.TRIGGER,), largest=None, is_endless=True))]
"""Who triggers, with a body of up to `max_body`."""
Listener = Annotated[Caller, Depends(Access((Scope.READ,), is_endless=True))]
"""Who reads a stream that does not end by itself."""
