"""`/queues`: named queues, accounts with their brake, freezes; and stopping and letting go."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.pauses import (
    freeze,
    pause_account,
    pause_queue,
    resume_account,
    resume_queue,
    thaw,
)
from scheduler.actions.queues import flush_counted
from scheduler.views.accounts import AccountView, list_accounts
from scheduler.views.history import LastHour, read_last_hour
from scheduler.views.opening import Connection
from scheduler.views.queues import QueueView, list_queues
from scheduler.views.schedules import FreezeView, list_freezes
from scheduler.web.access import Operator, Reader
from scheduler.web.api.words import Name
from scheduler.web.pages.forms import Form
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.times import zone_for
from scheduler.web.pictures.frame import Picture
from scheduler.web.pictures.minutes import draw_minutes

router = Pages()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What holds up sending, or may."""

    queues: tuple[QueueView, ...]
    accounts: tuple[AccountView, ...]
    freezes: tuple[FreezeView, ...]
    last_hour: Mapping[str, LastHour]


def read_limits(conn: Connection, *, now: datetime) -> Limits:
    """Read it all as of one moment."""
    return Limits(
        queues=list_queues(conn, now=now),
        accounts=list_accounts(conn, now=now),
        freezes=list_freezes(conn, now=now),
        last_hour=read_last_hour(conn, now=now),
    )


@router.show("/queues")
async def queues(caller: Reader, request: Request) -> Shown:
    """Show queues, accounts and freezes."""
    found = await caller.ask(read_limits)
    return Shown(
        template="queues.html",
        title="Queues and limits",
        data=found,
        terminal="dca-scheduler queues list",
        http="/api/v1/queues",
        values={"minutes": _draw(found, zone_for(request), caller.site.clock())},
    )


def _draw(limits: Limits, zone: ZoneInfo, now: datetime) -> list[tuple[str, Picture]]:
    """Draw the last hour of each account, by its name."""
    return [(row.name, _minutes(row, limits, zone, now)) for row in limits.accounts]


def _minutes(account: AccountView, limits: Limits, zone: ZoneInfo, now: datetime) -> Picture:
    hour = limits.last_hour.get(account.name)
    sends, throttles = ((), ()) if hour is None else (hour.sends, hour.throttles)
    most = account.requests_per_second * 60
    return draw_minutes(sends, throttles, per_minute=most, now=now, zone=zone)


@router.post("/queues/{name}/pause")
async def pause(caller: Operator, form: Form, name: Name) -> Response:
    """Send nothing of a queue."""
    how = {"reason": form.text("reason"), "until": form.moment("until")}
    done = f"queue {name} is paused"
    return await form.act(caller, pause_queue, name, then="/queues", done=done, **how)


@router.post("/queues/{name}/resume")
async def resume(caller: Operator, form: Form, name: Name) -> Response:
    """Let a queue send again."""
    done = f"queue {name} sends again"
    return await form.act(caller, resume_queue, name, then="/queues", done=done)


@router.post("/queues/{name}/flush")
async def flush(caller: Operator, form: Form, name: Name) -> Response:
    """Skip all that waits in a queue."""
    done = f"what waited in queue {name} is skipped"
    return await form.act(caller, flush_counted, name, then="/queues", done=done)


@router.post("/accounts/{name}/pause")
async def pause_of_account(caller: Operator, form: Form, name: Name) -> Response:
    """Send nothing for an account."""
    how = {"reason": form.text("reason"), "until": form.moment("until")}
    done = f"account {name} is paused"
    return await form.act(caller, pause_account, name, then="/queues", done=done, **how)


@router.post("/accounts/{name}/resume")
async def resume_of_account(caller: Operator, form: Form, name: Name) -> Response:
    """Let an account send again."""
    done = f"account {name} sends again"
    return await form.act(caller, resume_account, name, then="/queues", done=done)


@router.post("/freezes")
async def freeze_scope(caller: Operator, form: Form) -> Response:
    """Fire and send nothing of many schedules."""
    scope = form.text("scope")
    how = {"reason": form.text("reason"), "until": form.moment("until")}
    return await form.act(caller, freeze, scope, then="/queues", done=f"{scope} is frozen", **how)


@router.post("/freezes/thaw")
async def thaw_scope(caller: Operator, form: Form) -> Response:
    """End a freeze."""
    scope = form.text("scope")
    return await form.act(caller, thaw, scope, then="/queues", done=f"{scope} is thawed")
