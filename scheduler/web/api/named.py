"""Collectors, batches, calendars, queues, accounts, freezes: what schedules are made of."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from scheduler.actions.input_files import input_files
from scheduler.inputs import InputFiles
from scheduler.views.accounts import AccountView, get_account, list_accounts
from scheduler.views.batches import (
    BatchContents,
    BatchDiff,
    BatchSummary,
    BatchView,
    count_batches,
    diff_batch,
    page_batches,
    show_batch,
)
from scheduler.views.calendars import CalendarView, list_calendars
from scheduler.views.collectors import CollectorView, list_collectors
from scheduler.views.page import Page
from scheduler.views.queues import QueueView, list_queues
from scheduler.views.schedules import FreezeView, list_freezes
from scheduler.web.access import Caller, Reader
from scheduler.web.api.definitions import definition_reply
from scheduler.web.api.paging import Pages
from scheduler.web.api.words import LARGEST_ID, Name
from scheduler.web.models import answers, reply
from scheduler.web.routing import Router

router = Router()


@router.get("/collectors", tags=["collectors"], **answers(Page[CollectorView]))
async def collectors(caller: Reader, pages: Pages) -> Response:
    """List what may be triggered, by name, with the defaults of its triggers."""
    return pages.cut(await caller.ask(list_collectors))


@router.get("/collectors/{name}", tags=["collectors"], **answers(CollectorView, 404))
async def collector(caller: Reader, name: Name) -> Response:
    """Show one collector."""
    return await definition_reply(caller, "collectors", name)


@router.get("/batches", tags=["batches"], **answers(Page[BatchSummary]))
async def batches(caller: Reader, pages: Pages) -> Response:
    """List batches by name: their rules, and where their inputs are, but not the inputs."""
    page = await caller.ask(page_batches, limit=pages.limit, after=pages.name)
    return pages.reply(page, await caller.ask(count_batches) if pages.count else None)


@router.get("/batches/{name}", tags=["batches"], **answers(BatchView, 404))
async def batch(caller: Reader, name: Name) -> Response:
    """Show one batch as it is stored, with the inputs that the database holds."""
    return await definition_reply(caller, "batches", name)


@router.get("/batches/{name}/contents", tags=["batches"], **answers(BatchContents, 404))
async def contents(
    caller: Reader,
    name: Name,
    limit: Annotated[int, Query(ge=0, le=1000, description="How many inputs to show.")] = 5,
) -> Response:
    """Read a batch as it would be sent now: its file, its rules, what is doubtful in it."""
    return reply(await caller.ask(show_batch, name, limit=limit, files=files_of(caller)))


@router.get("/batches/{name}/diff", tags=["batches"], **answers(BatchDiff, 404, 409))
async def diff(
    caller: Reader,
    name: Name,
    run: Annotated[
        int | None,
        Query(ge=1, le=LARGEST_ID, description="Compare with this run; the last, unless said."),
    ] = None,
) -> Response:
    """Compare a batch as it is now with what was last sent of it."""
    return reply(await caller.ask(diff_batch, name, run_id=run, files=files_of(caller)))


def files_of(caller: Caller) -> InputFiles:
    """Return which files batches may be read from."""
    return input_files(caller.site.config, caller.site.environ)


@router.get("/calendars", tags=["calendars"], **answers(Page[CalendarView]))
async def calendars(caller: Reader, pages: Pages) -> Response:
    """List the calendars at whose times schedules do not fire, by name."""
    return pages.cut(await caller.ask(list_calendars))


@router.get("/calendars/{name}", tags=["calendars"], **answers(CalendarView, 404))
async def calendar(caller: Reader, name: Name) -> Response:
    """Show one calendar."""
    return await definition_reply(caller, "calendars", name)


@router.get("/queues", tags=["queues"], **answers(Page[QueueView]))
async def queues(caller: Reader, pages: Pages) -> Response:
    """List the named queues of each collector, and what the head of each waits for."""
    listed = await caller.ask(list_queues)
    return pages.cut(listed, lambda row: f"{row.name}\n{row.collector_id or ''}")


@router.get("/queues/{name}", tags=["queues"], **answers(Page[QueueView], 404))
async def queue(caller: Reader, name: Name) -> Response:
    """Show the queues of that name: one for each collector that has runs in it."""
    return await definition_reply(caller, "queues", name)


@router.get("/accounts", tags=["accounts"], **answers(Page[AccountView]))
async def accounts(caller: Reader, pages: Pages) -> Response:
    """List the accounts, and the brake of each; a token is only named, never told."""
    return pages.cut(await caller.ask(list_accounts))


@router.get("/accounts/{name}", tags=["accounts"], **answers(AccountView, 404))
async def account(caller: Reader, name: Name) -> Response:
    """Show one account and its brake."""
    return reply(await caller.ask(get_account, name))


@router.get("/freezes", tags=["freezes"], **answers(Page[FreezeView]))
async def freezes(caller: Reader, pages: Pages) -> Response:
    """List what is frozen, by whom, and why."""
    return pages.cut(await caller.ask(list_freezes), lambda row: row.scope)
