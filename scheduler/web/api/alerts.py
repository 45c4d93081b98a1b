"""`/api/v1/alerts` and `/api/v1/notices`: what is wrong, who knows, and who was told."""

from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from scheduler.actions.alerts import Acknowledged, acknowledge
from scheduler.views.alerts import (
    AlertView,
    NoticeView,
    count_alerts,
    count_notices,
    list_alerts,
    list_notices,
)
from scheduler.views.page import Page
from scheduler.web.access import Operator, Reader
from scheduler.web.api.paging import Pages
from scheduler.web.api.words import Asked, Moment, Why, example
from scheduler.web.models import answers, reply
from scheduler.web.routing import Router

router = Router()


class Ack(Asked):
    """What is done about it, and until when nobody needs to be reminded."""

    model_config = example(reason="the vendor is told", until="2099-01-01T00:00:00Z")

    reason: Why | None = None
    """What is done about it, for whoever looks next."""
    until: Moment | None = None
    """When reminders begin again; left out: not before it has recovered."""


@router.get("/alerts", tags=["alerts"], **answers(Page[AlertView]))
async def list_(
    caller: Reader,
    pages: Pages,
    recovered: Annotated[bool, Query(description="What is over, too.")] = False,
) -> Response:
    """List what is wrong, the newest first."""
    page = await caller.ask(
        list_alerts, with_recovered=recovered, limit=pages.limit, before=pages.number
    )
    total = await caller.ask(count_alerts, with_recovered=recovered) if pages.count else None
    return pages.reply(page, total)


@router.post("/alerts/{id}/ack", tags=["alerts"], **answers(Acknowledged, 404))
async def ack(
    caller: Operator, id: Annotated[int, Path(description="The alert's.", ge=1)], body: Ack
) -> Response:
    """Say that somebody knows: nobody is reminded of it, until then or its end."""
    done = await caller.act(acknowledge, [str(id)], reason=body.reason, until=body.until)
    return reply(done)


@router.get("/notices", tags=["alerts"], **answers(Page[NoticeView]))
async def notices(
    caller: Reader,
    pages: Pages,
    channel: Annotated[str | None, Query(description="Only of this channel.")] = None,
    open: Annotated[bool, Query(description="Only what has not arrived yet.")] = False,
) -> Response:
    """
    List what was told in which channel, or is to be, and whether it arrived: newest first.

    20,000 are looked through at once: a page may have few, or none, and go on all the same.
    """
    which: dict[str, Any] = {"channel": channel, "only_open": open}
    page = await caller.ask(list_notices, **which, **pages.looked_through, before=pages.number)
    return pages.reply(page, await pages.counted(caller, count_notices, **which))
