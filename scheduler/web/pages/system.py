"""`/system`: daemons, the database, what `doctor` finds, and who may ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.api_tokens import create_token, revoke_token
from scheduler.domain.access import Scope
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.views.api_tokens import TokenView, list_tokens
from scheduler.views.database_size import DatabaseSizeView, read_database_size
from scheduler.views.health import HealthView, read_health
from scheduler.views.status import DaemonView, list_daemons
from scheduler.web.access import Admin, Reader
from scheduler.web.api.words import Name
from scheduler.web.pages.forms import Form
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.rendering import page_response
from scheduler.web.pages.sparks import lags_of

router = Pages()

_LONGEST: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What runs, and who may ask; *health* and *size* where they were asked for."""

    daemons: tuple[DaemonView, ...]
    tokens: tuple[TokenView, ...]
    health: HealthView | None
    size: DatabaseSizeView | None


@router.show("/system")
async def system(
    caller: Reader, request: Request, check: bool = False, measure: bool = False
) -> Shown:
    """Show daemons and tokens; the checks, and the sizes of the tables, where asked for."""
    site = caller.site
    how = {"config": site.config, "config_error": site.config_error}
    health = await caller.ask(read_health, **how) if check else None
    return Shown(
        template="system.html",
        title="System",
        data=System(
            daemons=await caller.ask(list_daemons),
            tokens=await caller.ask(list_tokens) if caller.may(Scope.ADMIN) else (),
            health=health,
            size=await caller.ask(read_database_size) if measure else None,
        ),
        terminal=f"dca-scheduler {'db size' if measure else 'doctor' if check else 'status'}",
        http="/api/v1/doctor" if check else "/api/v1/daemons",
        is_live=not (check or measure),
        values={"scopes": tuple(Scope), "lags_of": lags_of},
    )


@router.post("/system/tokens")
async def make_token(caller: Admin, form: Form) -> Response:
    """Make a token, and show it: this once."""
    name = form.text("name")
    made = await caller.act(
        create_token,
        name,
        scope=_scope(form.text("scope")),
        collectors=_collectors(form.find("collectors")),
        expires_at=_end(form.find("lasts"), caller.site.clock()),
    )
    shown = Shown(
        template="token.html",
        title=f"Token {name}",
        data=made.view,
        terminal="",
        http="",
        is_live=False,
        values={"token": made.token},
    )
    return page_response(form.request, caller, shown)


@router.post("/system/tokens/{name}/revoke")
async def revoke(caller: Admin, form: Form, name: Name) -> Response:
    """Let a token in no more."""
    done = f"token {name} lets nobody in any more"
    return await form.act(caller, revoke_token, name, then="/system", done=done)


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise InvalidInput(f"scope: {text[:40]!r} is none of {', '.join(Scope)}") from None


def _collectors(text: str | None) -> Sequence[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _end(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    lasts = parse_duration(text)
    if lasts > _LONGEST:
        raise InvalidInput(f"a token lasts {_LONGEST.days} days at most, or without an end")
    return now + lasts
