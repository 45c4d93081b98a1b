"""`/api/v1/runs` and `/api/v1/collections`: what was due or asked for, and what became of it."""

from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.responses import Response

from scheduler.domain.errors import NotFound
from scheduler.domain.moves import RunEvent
from scheduler.domain.records import Reason, RunState
from scheduler.views.collections import (
    CollectionDetail,
    CollectionFilter,
    count_collections,
    get_collection,
    list_collections,
)
from scheduler.views.page import Page
from scheduler.views.run_inputs import FailedInputs, RunInputs, list_failed_inputs, list_run_inputs
from scheduler.views.runs import (
    CollectionView,
    RunDetail,
    RunFilter,
    RunView,
    count_runs,
    list_events,
    list_runs,
    show_run,
)
from scheduler.web.access import Caller, Reader, RunReader
from scheduler.web.api.paging import Pages
from scheduler.web.api.words import COLLECTION_ID, LARGEST_ID, Moment
from scheduler.web.models import answers, reply
from scheduler.web.problems import shape
from scheduler.web.routing import Router

router = Router()

RunReference = Annotated[
    str,
    Path(
        pattern=shape(
            r"^([0-9]{1,18}|j_\w{1,190})$",
            "must be a run's id, such as 17, or that of one of its collections, such as j_abc123",
        ),
        description="The run's id, or that of one of its collections, `j_…`.",
    ),
]


async def run_filter(
    schedule: Annotated[str | None, Query(description="Only runs of this schedule.")] = None,
    collector: Annotated[str | None, Query(description="Only runs of this collector.")] = None,
    queue: Annotated[str | None, Query(description="Only runs in this named queue.")] = None,
    state: Annotated[list[RunState], Query(description="Only runs in one of these states.")] = [],  # noqa: B006 - fastapi copies it
    reason: Annotated[list[Reason], Query(description="Only runs with one of these.")] = [],  # noqa: B006
    batch: Annotated[str | None, Query(description="Only runs of this batch.")] = None,
    label: Annotated[str | None, Query(description="Only runs with this label.")] = None,
    collection: Annotated[str | None, Query(description="Only the run of this one.")] = None,
    since: Annotated[Moment | None, Query(description="Only runs due then or later.")] = None,
    until: Annotated[Moment | None, Query(description="Only runs due then or earlier.")] = None,
    ended_since: Annotated[Moment | None, Query(description="Only runs that ended since.")] = None,
    ended_until: Annotated[
        Moment | None, Query(description="Only runs that ended by then.")
    ] = None,
) -> RunFilter:
    """Return which runs are meant: those that all parameters choose."""
    return RunFilter(
        schedule=schedule,
        collector=collector,
        queue=queue,
        states=state,
        reasons=reason,
        batch=batch,
        label=label,
        collection=collection,
        since=since,
        until=until,
        ended_since=ended_since,
        ended_until=ended_until,
    )


Wanted = Annotated[RunFilter, Depends(run_filter)]


@router.get("/runs", tags=["runs"], **answers(Page[RunView], 404))
async def list_(caller: Reader, pages: Pages, wanted: Wanted) -> Response:
    """
    List runs, the newest first.

    20,000 runs are looked through at once: a page may have few, or none, and go on all the same.
    404 for a name that nothing bears, and no run.
    """
    page = await caller.ask(list_runs, wanted, before=pages.number, **pages.looked_through)
    return pages.reply(page, await pages.counted(caller, count_runs, wanted))


@router.get("/runs/{run_id}", tags=["runs"], **answers(RunDetail, 404))
async def show(caller: RunReader, run_id: RunReference) -> Response:
    """Show one run, its history, attempts and collections; a trigger token those it asked for."""
    return reply(await find_run(caller, run_id))


@router.get("/runs/{run_id}/events", tags=["runs"], **answers(Page[RunEvent], 404))
async def events(
    caller: RunReader,
    run_id: RunReference,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID, description="Since this event's id.")] = 0,
) -> Response:
    """List what has happened to a run, in order."""
    run = await find_run(caller, run_id)
    return reply(await caller.ask(list_events, run.id, after=after))


@router.get("/runs/{run_id}/inputs", tags=["runs"], **answers(RunInputs, 404))
async def inputs(
    caller: RunReader,
    run_id: RunReference,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    skip: Annotated[int, Query(ge=0, le=LARGEST_ID, description="How many to leave out.")] = 0,
) -> Response:
    """Show what a run sends or has sent: its first inputs, or those after *skip* of them."""
    run = await find_run(caller, run_id)
    return reply(await caller.ask(list_run_inputs, run.id, limit=limit, skip=skip))


@router.get("/runs/{run_id}/failed-inputs", tags=["runs"], **answers(FailedInputs, 404))
async def failed(
    caller: RunReader,
    run_id: RunReference,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    after: Annotated[int, Query(ge=-1, le=LARGEST_ID, description="Behind this position.")] = -1,
) -> Response:
    """Show which inputs of a run failed and why, in the order they were sent."""
    run = await find_run(caller, run_id)
    return reply(await caller.ask(list_failed_inputs, run.id, limit=limit, after=after))


async def find_run(caller: Caller, reference: str) -> RunDetail:
    """Return the run; NotFound for one of somebody else's, where a trigger token asks."""
    run = await caller.ask(show_run, int(reference) if reference.isdecimal() else reference)
    if not caller.asked_for(run.created_by):
        raise NotFound(f"no run has the id {reference}")
    return run


async def collection_filter(
    account: Annotated[str | None, Query(description="Only those of this account.")] = None,
    collector_id: Annotated[str | None, Query(description="Only those of `c_…`.")] = None,
    is_open: Annotated[bool, Query(description="Only those that have not ended.")] = False,
) -> CollectionFilter:
    """Return which collections are meant."""
    return CollectionFilter(account=account, collector_id=collector_id, is_open=is_open)


@router.get("/collections", tags=["collections"], **answers(Page[CollectionView]))
async def collections(
    caller: Reader,
    pages: Pages,
    wanted: Annotated[CollectionFilter, Depends(collection_filter)],
) -> Response:
    """
    List collections, that of the newest run first, as they were last seen.

    Those of 20,000 runs are looked through at once: a page may have few, or none, and go on.
    """
    page = await caller.ask(list_collections, wanted, after=pages.name, **pages.looked_through)
    return pages.reply(page, await pages.counted(caller, count_collections, wanted))


@router.get("/collections/{id}", tags=["collections"], **answers(CollectionDetail, 404))
async def collection(
    caller: Reader, id: Annotated[str, Path(pattern=COLLECTION_ID, description="Its id.")]
) -> Response:
    """Show one collection as it was last seen, and what was asked about it."""
    return reply(await caller.ask(get_collection, id))
