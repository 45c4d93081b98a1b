"""Definitions: read with their ETag, made, changed and deleted, one at a time."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Query
from starlette.responses import Response

from scheduler.actions.definitions import (
    change_definition,
    create_definition,
    definition_tag,
    delete_definition,
    override_definition,
)
from scheduler.config import Defaults
from scheduler.domain.reasons import LONGEST
from scheduler.views.batches import BatchView, get_batch
from scheduler.views.budgets import BudgetView, get_budget
from scheduler.views.calendars import CalendarView, get_calendar
from scheduler.views.collectors import CollectorView, get_collector
from scheduler.views.opening import Connection
from scheduler.views.page import Page
from scheduler.views.queues import QueueView, get_queues
from scheduler.views.schedules import ScheduleView, get_schedule
from scheduler.web.access import Admin, Caller, takes_now
from scheduler.web.api.bodies import CHANGES, NEW
from scheduler.web.api.making import Confirm, IfMatch, Once, meant
from scheduler.web.api.words import CHECK_WHY, Moment, Name, Written
from scheduler.web.models import answers, reply
from scheduler.web.problems import Refused
from scheduler.web.routing import Router

router = Router()

View = Callable[..., Any]
ScheduleChange = CHANGES["schedules"]

_VIEWS: Final[Mapping[str, tuple[View, Any]]] = {
    "collectors": (get_collector, CollectorView),
    "batches": (get_batch, BatchView),
    "calendars": (get_calendar, CalendarView),
    "queues": (get_queues, Page[QueueView]),
    "schedules": (get_schedule, ScheduleView),
    "budgets": (get_budget, BudgetView),
}


async def definition_reply(caller: Caller, table: str, name: str) -> Response:
    """Answer with a definition, and with the ETag of what it says."""
    found, tag = await caller.ask(_tagged, table, name)
    return reply(found, headers={} if tag is None else {"ETag": tag})


def _tagged(conn: Connection, table: str, name: str, *, now: datetime) -> tuple[Any, str | None]:
    return _view(conn, table, name, now), definition_tag(conn, table, name)


def _view(conn: Connection, table: str, name: str, now: datetime) -> Any:
    view, _ = _VIEWS[table]
    moment = {"now": now} if takes_now(view) else {}
    return view(conn, name, **moment)


def _create(
    conn: Connection,
    table: str,
    values: dict[str, Any],
    *,
    defaults: Defaults,
    by: str,
    now: datetime,
) -> Any:
    name = values.pop("name")
    create_definition(conn, table, name, values, defaults=defaults, by=by, now=now)
    return _view(conn, table, name, now)


def _change(conn: Connection, table: str, name: str, *, by: str, now: datetime, **how: Any) -> Any:
    change_definition(conn, table, name, by=by, now=now, **how)
    return _tagged(conn, table, name, now=now)


def _override(conn: Connection, name: str, *, by: str, now: datetime, **how: Any) -> Any:
    override_definition(conn, name, by=by, now=now, **how)
    return _tagged(conn, "schedules", name, now=now)


def _add_routes(table: str) -> None:
    """Add what makes, changes and deletes the definitions of *table*."""
    _, shown = _VIEWS[table]
    new, change = NEW[table], CHANGES[table]

    def route(verb: str, *problems: int, kind: Any = shown, status_code: int = 200) -> Any:
        said = answers(kind, 409, *problems, status_code=status_code)
        return {"operation_id": f"{verb}_{table}", "tags": [table], **said}

    @router.post(f"/{table}", **route("create", status_code=201))
    async def create(caller: Admin, once: Once, body: new) -> Response:  # type: ignore[valid-type]
        """Make a definition, which belongs to the database and to no file."""
        defaults = caller.site.config.defaults
        place = partial(_place, table)
        return await once.act(caller, _create, table, said(body), defaults=defaults, place=place)

    @router.delete(f"/{table}/{{name}}", **route("delete", 404, 412, kind=None, status_code=204))
    async def delete(
        caller: Admin, name: Name, tag: IfMatch = None, confirm: Confirm = None
    ) -> Response:
        """Delete a definition that no file owns and no other names; its history stays."""
        await caller.act(meant, delete_definition, confirm, table, name, tag=tag)
        return Response(status_code=204)

    if table == "schedules":
        router.patch(f"/{table}/{{name}}", **route("change", 404, 412))(change_schedule)
        return

    @router.patch(f"/{table}/{{name}}", **route("change", 404, 412))
    async def patch(
        caller: Admin,
        name: Name,
        body: change,  # type: ignore[valid-type]
        tag: IfMatch = None,
    ) -> Response:
        """Change a definition: what the body names, and nothing else (RFC 7396)."""
        return await _patched(caller, table, name, body, tag)


async def _patched(
    caller: Caller, table: str, name: str, body: Written, tag: str | None
) -> Response:
    defaults = caller.site.config.defaults
    found, now_tag = await caller.act(
        _change, table, name, values=said(body), tag=tag, defaults=defaults
    )
    return reply(found, headers={"ETag": now_tag})


def said(body: Written) -> dict[str, Any]:
    """Return the fields that a body names, as JSON has them."""
    return body.model_dump(mode="json", exclude_unset=True)


def _place(table: str, made: Any) -> str:
    name = made["items"][0]["name"] if "items" in made else made["name"]
    return f"/api/v1/{table}/{quote(name, safe='')}"


async def change_schedule(
    caller: Admin,
    name: Name,
    body: ScheduleChange,  # type: ignore[valid-type]
    tag: IfMatch = None,
    override: Annotated[
        Moment | None,
        Query(description="Until then only, as overrides: also of a schedule that a file owns."),
    ] = None,
    reason: Annotated[
        Annotated[str, CHECK_WHY] | None,
        Query(max_length=LONGEST, description="Why; goes with override."),
    ] = None,
) -> Response:
    """Change a schedule: what the body names, and nothing else (RFC 7396)."""
    if (override is None) != (reason is None):
        raise Refused(422, "invalid", "override and reason go together: until when, and why")
    if override is None:
        return await _patched(caller, "schedules", name, body, tag)
    found, now_tag = await caller.act(
        _override, name, values=said(body), tag=tag, until=override, reason=reason
    )
    return reply(found, headers={"ETag": now_tag})


for _table in _VIEWS:
    _add_routes(_table)
