"""`/runs/ID`: one run's life, its request, and what a person may do with it."""

from typing import Annotated, Final

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.collection_requests import request_act
from scheduler.actions.runs import abandon_run, adopt_run, cancel_run, resend_run, retry_runs
from scheduler.domain.collection_acts import CollectionAct
from scheduler.domain.records import ENDED_STATES, RunState
from scheduler.views.run_inputs import list_run_inputs
from scheduler.views.run_page import read_run_page
from scheduler.views.schedules import zone_of
from scheduler.web.access import Operator, Reader
from scheduler.web.api.runs import RunReference
from scheduler.web.api.words import LARGEST_ID
from scheduler.web.pages.forms import Form
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.run_gantt import draw_run
from scheduler.web.pages.times import zone_for

router = Pages()

RunId = Annotated[int, Path(ge=1, le=LARGEST_ID)]

_LOST: Final = (RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION)
_INPUTS: Final = 200


@router.show("/runs/{run_id}")
async def run(caller: Reader, request: Request, run_id: RunReference) -> Shown:
    """Show one run, by its id or by that of its collection."""
    reference = run_id if run_id.startswith("j_") else int(run_id)
    found = await caller.ask(read_run_page, reference)
    its = found.run
    zone = await caller.ask(zone_of, its.schedule)
    return Shown(
        template="run.html",
        title=f"Run {its.id}",
        data=found,
        terminal=f"dca-scheduler runs show {its.id}",
        http=f"/api/v1/runs/{its.id}",
        zone=zone.key,
        values={
            "run": its,
            "gantt": draw_run(its, zone=zone_for(request, zone.key), now=caller.site.clock()),
            "is_lost": its.state in _LOST,
            "can_cancel": its.state in (RunState.QUEUED, RunState.COLLECTING),
            "collection": next(
                (one for one in its.collections if one.id == its.collection_id), None
            ),
            "can_retry": its.state in ENDED_STATES and its.body is not None,
        },
    )


@router.show("/runs/{run_id}/inputs")
async def inputs(caller: Reader, request: Request, run_id: RunId, skip: int = 0) -> Shown:
    """Show what a run sends or has sent, so many at a time."""
    found = await caller.ask(list_run_inputs, run_id, limit=_INPUTS, skip=max(skip, 0))
    return Shown(
        template="run_inputs.html",
        title=f"Inputs of run {run_id}",
        data=found,
        terminal=f"dca-scheduler runs inputs {run_id}",
        http=f"/api/v1/runs/{run_id}/inputs?skip={max(skip, 0)}",
        is_live=False,
    )


@router.post("/runs/{run_id}/cancel")
async def cancel(caller: Operator, form: Form, run_id: RunId) -> Response:
    """End a run that waits, or have its collection cancelled."""
    how = {"then": f"/runs/{run_id}", "done": f"run {run_id} is being cancelled"}
    return await form.act(caller, cancel_run, run_id, why=form.find("reason"), **how)


@router.post("/runs/{run_id}/collection/{act}")
async def ask(caller: Operator, form: Form, run_id: RunId, act: CollectionAct) -> Response:
    """Have a daemon ask the upstream to pause, resume or rerun a collection."""
    return await form.act(
        caller,
        request_act,
        act,
        [form.text("collection_id")],
        why=form.find("reason"),
        failed_only=form.find("failed_only") is not None,
        then=f"/runs/{run_id}",
        done=f"the upstream is asked to {act} the collection",
    )


@router.post("/runs/{run_id}/retry")
async def retry(caller: Operator, form: Form, run_id: RunId) -> Response:
    """Send an ended run once more, as a run of its own."""
    how = {"then": f"/runs/{run_id}", "done": f"run {run_id} is sent once more"}
    return await form.act(caller, retry_runs, [run_id], **how)


@router.post("/runs/{run_id}/adopt")
async def adopt(caller: Operator, form: Form, run_id: RunId) -> Response:
    """Say which collection a lost run became."""
    collection_id = form.text("collection_id")
    how = {"then": f"/runs/{run_id}", "done": f"run {run_id} is {collection_id}"}
    return await form.act(caller, adopt_run, run_id, collection_id, why=form.find("reason"), **how)


@router.post("/runs/{run_id}/resend")
async def resend(caller: Operator, form: Form, run_id: RunId) -> Response:
    """Send a lost run again: it was not accepted."""
    how = {"then": f"/runs/{run_id}", "done": f"run {run_id} is sent again"}
    return await form.act(caller, resend_run, run_id, why=form.find("reason"), **how)


@router.post("/runs/{run_id}/abandon")
async def abandon(caller: Operator, form: Form, run_id: RunId) -> Response:
    """Give a lost run up."""
    how = {"then": f"/runs/{run_id}", "done": f"run {run_id} is given up"}
    return await form.act(caller, abandon_run, run_id, why=form.find("reason"), **how)
