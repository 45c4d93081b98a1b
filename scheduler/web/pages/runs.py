"""`/runs`: what was due or asked for; and what is done with all that a filter chooses."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.runs import act_on_chosen, retry_chosen
from scheduler.domain.records import ENDED_STATES, OPEN_STATES, Reason
from scheduler.domain.run_acts import ACTS_ON, DONE, RunAct
from scheduler.views.acting import list_chosen
from scheduler.views.names import list_suggestions
from scheduler.views.retrying import list_retryable
from scheduler.views.run_list import NEWEST, read_run_list
from scheduler.views.runs import RunFilter
from scheduler.web.access import Operator, Reader
from scheduler.web.api.words import LARGEST_ID
from scheduler.web.pages.forms import Form
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.run_filter import NAMES, options_of, query_of, read_run_filter

router = Pages()

_LIMIT: Final = 50
_LISTED: Final = 200

Before = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]


@router.show("/runs")
async def runs(caller: Reader, request: Request, before: Before = None) -> Shown:
    """List the runs that the address chooses, the newest first."""
    wanted = read_run_filter(request)
    found = await caller.ask(read_run_list, wanted, limit=_LIMIT, before=before)
    return Shown(
        template="runs.html",
        title="Runs",
        data=found,
        terminal=f"dca-scheduler runs list{options_of(wanted)}",
        http=f"/api/v1/runs{query_of(wanted)}",
        values={
            "wanted": wanted,
            "query": query_of(wanted),
            "suggestions": await caller.ask_lately(list_suggestions),
            "names": NAMES,
            "tabs": (*OPEN_STATES, *ENDED_STATES),
            "reasons": tuple(Reason),
            "is_first": before is None,
            "newest": NEWEST,
            "acts": [act for act in RunAct if _makes_sense(act, wanted)],
        },
    )


@router.show("/runs/retry")
async def retry_which(caller: Operator, request: Request) -> Shown:
    """List which runs would be sent once more, before that is done."""
    wanted = read_run_filter(request)
    found = await caller.ask(list_retryable, wanted)
    return Shown(
        template="runs_retry.html",
        title="Send runs once more",
        data=found,
        terminal=f"dca-scheduler runs retry{options_of(wanted)}",
        http=_dry_run("retry", wanted),
        is_live=False,
        values={
            "wanted": wanted,
            "shown": found.runs[:_LISTED],
            "query": query_of(wanted),
            "options": options_of(wanted),
        },
    )


@router.post("/runs/retry")
async def retry(caller: Operator, form: Form) -> Response:
    """Send all that the address chooses once more: as many as were listed, or it asks again."""
    wanted = read_run_filter(form.request)
    count = form.confirm or 0
    return await form.act(
        caller, retry_chosen, wanted, then="/runs", done=f"{count} runs are sent once more"
    )


def _dry_run(act: str, wanted: RunFilter) -> str:
    return f"POST /api/v1/runs/{act}{query_of(wanted) or '?'}&dry_run=true".replace("?&", "?")


def _makes_sense(act: RunAct, wanted: RunFilter) -> bool:
    """Tell whether an act may be for runs that were chosen; of lost ones only where they were."""
    if not wanted.states:
        return act is RunAct.CANCEL
    return not {*wanted.states}.isdisjoint(ACTS_ON[act])


def _add_act(act: RunAct) -> None:
    """Add the page that lists the runs an act is for, and what carries it out."""

    @router.show(f"/runs/{act}")
    async def which(caller: Operator, request: Request) -> Shown:
        wanted = read_run_filter(request)
        found = await caller.ask(list_chosen, act, wanted)
        return Shown(
            template="runs_act.html",
            title=_ASKED[act],
            data=found,
            terminal=f"dca-scheduler runs {act} --all-matching{options_of(wanted)}",
            http=_dry_run(act, wanted),
            is_live=False,
            values={
                "act": act,
                "becomes": DONE[act],
                "shown": found.runs[:_LISTED],
                "query": query_of(wanted),
                "options": options_of(wanted),
            },
        )

    @router.post(f"/runs/{act}")
    async def carry_out(caller: Operator, form: Form) -> Response:
        wanted = read_run_filter(form.request)
        how = {"why": form.text("reason"), "then": f"/runs{query_of(wanted)}"}
        done = f"{form.confirm or 0} runs are {DONE[act]}"
        return await form.act(caller, act_on_chosen, act, wanted, done=done, **how)


_ASKED: Final = {
    RunAct.CANCEL: "Cancel runs",
    RunAct.RESEND: "Send lost runs again",
    RunAct.ABANDON: "Give lost runs up",
}

for _each in RunAct:
    _add_act(_each)
