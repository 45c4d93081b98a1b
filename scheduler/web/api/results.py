"""`/api/v1/results`: files that the rows of runs are saved to."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from scheduler.actions.results import dismiss_result, retry_result
from scheduler.domain.results import ResultState
from scheduler.views.page import Page
from scheduler.views.results import ResultView, count_results, get_result, list_results
from scheduler.web.access import Operator, Reader
from scheduler.web.api.paging import Pages
from scheduler.web.api.words import Asked, RunId, Why, example
from scheduler.web.models import answers, reply
from scheduler.web.routing import Router

router = Router(prefix="/results", tags=["runs"])


class Dismissal(Asked):
    """Why a result is done without."""

    model_config = example(reason="the day is collected anew")

    reason: Why | None = None
    """Why, for whoever looks next."""


@router.get("", **answers(Page[ResultView]))
async def list_(
    caller: Reader,
    pages: Pages,
    schedule: Annotated[str | None, Query(description="Only of this schedule.")] = None,
    state: Annotated[ResultState | None, Query(description="Only in this state.")] = None,
) -> Response:
    """
    List what is saved of runs, or is to be: the newest runs first.

    Those of 20,000 runs are looked through at once: a page may have few, or none, and go on.
    """
    wanted = {"schedule": schedule, "states": () if state is None else (state,)}
    page = await caller.ask(list_results, **wanted, **pages.looked_through, before=pages.number)
    return pages.reply(page, await pages.counted(caller, count_results, **wanted))


@router.get("/{run_id}", **answers(ResultView, 404))
async def show(caller: Reader, run_id: RunId) -> Response:
    """Show what is saved of a run: where, its checksum, or why not."""
    return reply(await caller.ask(get_result, run_id))


@router.post("/{run_id}/retry", **answers(ResultView, 404, 409))
async def retry(caller: Operator, run_id: RunId) -> Response:
    """Have a result saved that is not, by the `save_to` that holds now."""
    return reply(await caller.act(retry_result, run_id))


@router.post("/{run_id}/dismiss", **answers(ResultView, 404, 409))
async def dismiss(caller: Operator, run_id: RunId, body: Dismissal) -> Response:
    """Do without a result: nobody tries to save it, nor is told of it, any more."""
    return reply(await caller.act(dismiss_result, run_id, reason=body.reason))
