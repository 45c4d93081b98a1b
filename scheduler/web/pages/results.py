"""`/results`: the files that rows of runs are saved to, and what is not saved, and why."""

from shlex import quote
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.results import dismiss_result, retry_result
from scheduler.domain.errors import InvalidInput
from scheduler.domain.results import ResultState
from scheduler.views.page import Page
from scheduler.views.results import ResultView, list_results
from scheduler.web.access import Operator, Reader
from scheduler.web.api.words import LARGEST_ID, RunId
from scheduler.web.pages.forms import Form
from scheduler.web.pages.page import Pages, Shown

router = Pages()

_LIMIT: Final = 50

Before = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]
State = Annotated[ResultState | None, Query()]
Text = Annotated[str, Query(max_length=200)]


@router.show("/results")
async def results(
    caller: Reader,
    request: Request,
    state: State = None,
    schedule: Text = "",
    before: Before = None,
) -> Shown:
    """List what is saved of runs, or is to be: the newest runs first."""
    if "\0" in schedule:
        raise InvalidInput("no name holds a NUL")
    name = schedule.strip() or None
    states = () if state is None else (state,)
    found: Page[ResultView] = await caller.ask(
        list_results, limit=_LIMIT, schedule=name, states=states, before=before
    )
    chosen = {"state": state and state.value, "schedule": name}
    query = urlencode({key: value for key, value in chosen.items() if value})
    options = f" --schedule {quote(name)}" if name else ""
    options += f" --state {state}" if state else ""
    return Shown(
        template="results.html",
        title="Results",
        data=found,
        terminal=f"dca-scheduler results list{options}",
        http=f"/api/v1/results{'?' if query else ''}{query}",
        values={
            "states": tuple(ResultState),
            "state": state,
            "schedule": name or "",
            "is_first": before is None,
        },
    )


@router.post("/results/{run_id}/retry")
async def retry(caller: Operator, form: Form, run_id: RunId) -> Response:
    """Have it saved by the `save_to` that holds now."""
    done = f"the result of run {run_id} is saved anew"
    return await form.act(caller, retry_result, run_id, then=f"/runs/{run_id}", done=done)


@router.post("/results/{run_id}/dismiss")
async def dismiss(caller: Operator, form: Form, run_id: RunId) -> Response:
    """Do without it."""
    done = f"nobody saves the result of run {run_id} any more"
    how = {"reason": form.text("reason")}
    return await form.act(caller, dismiss_result, run_id, then=f"/runs/{run_id}", done=done, **how)
