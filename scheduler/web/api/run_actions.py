"""Runs asked for, cancelled, retried, resolved by hand; and backfills."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from scheduler.actions.runs import (
    abandon_run,
    act_on_chosen,
    adopt_run,
    cancel_run,
    resend_run,
    retry_chosen,
    retry_runs,
)
from scheduler.actions.trigger import Request as Trigger_
from scheduler.actions.trigger import request_trigger
from scheduler.domain.reasons import LONGEST
from scheduler.domain.request import SendAs, secret_names
from scheduler.domain.run_acts import RunAct
from scheduler.tools.calendar.backfill import (
    Ask,
    BackfillView,
    backfill_counted,
    backfill_view,
    prepare_backfill,
)
from scheduler.tools.calendar.choose_backfill import Reprocess
from scheduler.views.acting import list_chosen
from scheduler.views.page import Page
from scheduler.views.retrying import list_retryable
from scheduler.views.runs import RunView
from scheduler.web.access import Caller, Operator, Trigger
from scheduler.web.api.making import REPLAYED, Confirm, IdempotencyKey, Once, as_text, meant
from scheduler.web.api.named import files_of
from scheduler.web.api.runs import Wanted
from scheduler.web.api.words import CHECK_WHY, COLLECTION_ID, Asked, Moment, Name, RunId, example
from scheduler.web.models import answers, reply
from scheduler.web.problems import Refused
from scheduler.web.routing import Router

router = Router()

_LARGEST = 2**31 - 1
Object = dict[str, Any]
Why = Annotated[
    Annotated[str, CHECK_WHY] | None,
    Query(max_length=LONGEST, description="Why, for the run's history."),
]


def _or_dry(said: dict[str, Any]) -> dict[str, Any]:
    """Say that it may also be only told, which is 200."""
    said["responses"][200] = {**said["responses"][201], "description": "Only told: `dry_run`."}
    return said


class NewRun(Asked):
    """What is to be sent: exactly one of `batch` and `inputs`; all else is as the collector has."""

    model_config = example(collector="products", inputs=[{"url": "https://example.com/"}])

    collector: str = Field(max_length=200)
    """A name of a collector."""
    batch: str | None = Field(None, max_length=200)
    """The batch whose inputs are sent."""
    inputs: list[Object] | None = Field(None, min_length=1)
    """The inputs themselves."""
    send_as: Annotated[SendAs, Field(strict=False)] | None = None
    """The kind of body they are sent as."""
    queue: str | None = Field(None, max_length=200)
    """Behind what is in this named queue."""
    queue_next: bool = False
    """Behind the collector's jobs: the default."""
    confirm_cancel: bool = False
    """In place of the collector's running job."""
    deadline: str | None = Field(None, max_length=100)
    """The upstream ends the collection then, such as `90m`."""
    version: str | None = Field(None, max_length=100)
    """`dev` runs the development version."""
    no_downloads: bool | None = None
    """Whether media files are left alone."""
    name: str | None = Field(None, max_length=1000)
    """The job's name at the upstream."""
    notify: Object | None = None
    """Who is told when it is done."""
    deliver: Object | None = None
    """Where the result goes; credentials as `${secret:NAME}`."""
    priority: int = Field(0, ge=-_LARGEST, le=_LARGEST)
    """Higher goes first."""


@router.post("/runs", tags=["runs"], **answers(RunView, 404, 409, status_code=201))
async def create(caller: Trigger, body: NewRun, key: IdempotencyKey = None) -> Response:
    """
    Ask for a run, which a daemon sends; with `Idempotency-Key` again for the same one.

    A trigger token may trigger the collectors that it names, and may name no secret.
    """
    caller.require_collector(body.collector)
    asked = body.model_dump(exclude={"inputs", "notify", "deliver"})
    texts: dict[str, Any] = {"notify": as_text(body.notify), "deliver": as_text(body.deliver)}
    _check_secrets(caller, texts)
    request = Trigger_(
        **asked, **texts, inputs=body.inputs or (), key=None if key is None else caller.key(key)
    )
    made = await caller.act_outside(
        request_trigger, request, config=caller.site.config, files=files_of(caller)
    )
    headers = {"Location": f"/api/v1/runs/{made.run.id}"}
    if not made.is_new:
        headers[REPLAYED] = "true"
    return reply(made.run, 201, headers)


def _check_secrets(caller: Caller, texts: dict[str, str | None]) -> None:
    """Refuse a secret where somebody who may only trigger says where it is sent."""
    named = secret_names((key, text) for key, text in texts.items() if text is not None)
    if named and not caller.may_name_secrets:
        detail = "a trigger token may name no secret: let the collector's own deliver name it"
        raise Refused(403, "forbidden", detail)


@router.post(
    "/runs/retry", tags=["runs"], **_or_dry(answers(Page[RunView], 404, 409, status_code=201))
)
async def retry_many(
    caller: Operator,
    once: Once,
    wanted: Wanted,
    confirm: Confirm = None,
    dry_run: Annotated[bool, Query(description="Only tell which runs those are.")] = False,
) -> Response:
    """
    Send ended runs that a filter chooses once more, each as a run of its own.

    Without `state` failed ones; never what was retried before. 409 tells how many they are:
    repeat it with `confirm`.
    """
    if dry_run:
        return reply((await caller.ask(list_retryable, wanted)).runs)
    return await once.act(caller, meant, retry_chosen, confirm, wanted)


def _add_acts(act: RunAct) -> None:
    """Add the route that does *act* to all that a filter chooses."""

    @router.post(
        f"/runs/{act}",
        tags=["runs"],
        operation_id=f"{act}_many",
        **answers(Page[RunView], 404, 409),
    )
    async def many(
        caller: Operator,
        wanted: Wanted,
        confirm: Confirm = None,
        why: Why = None,
        dry_run: Annotated[bool, Query(description="Only tell which runs those are.")] = False,
    ) -> Response:
        """
        Do this to all runs that a filter chooses; without one, to all that it is for.

        409 tells how many they are: repeat it with `confirm`. All of them, or none.
        """
        if dry_run:
            return reply((await caller.ask(list_chosen, act, wanted)).runs)
        return reply(await caller.act(meant, act_on_chosen, confirm, act, wanted, why=why))


for _each in RunAct:
    _add_acts(_each)


@router.post("/runs/{run_id}/retry", tags=["runs"], **answers(RunView, 404, 409, status_code=201))
async def retry(caller: Operator, once: Once, run_id: RunId, confirm: Confirm = None) -> Response:
    """Send an ended run once more, as a run of its own; one with a result only on a word."""
    return await once.act(caller, _retry_one, run_id, confirm, place=_place)


def _retry_one(conn: Any, run_id: int, confirm: int | None, **who: Any) -> RunView:
    (run,) = meant(conn, retry_runs, confirm, [run_id], **who)
    made: RunView = run
    return made


def _place(run: Any) -> str:
    return f"/api/v1/runs/{run['id']}"


@router.post("/runs/{run_id}/cancel", tags=["runs"], **answers(RunView, 404, 409))
async def cancel(caller: Operator, run_id: RunId, why: Why = None) -> Response:
    """End a run that waits, or let the daemon ask the upstream to cancel its collection."""
    return reply(await caller.act(cancel_run, run_id, why=why))


@router.post("/runs/{run_id}/resend", tags=["runs"], **answers(RunView, 404, 409))
async def resend(caller: Operator, run_id: RunId, why: Why = None) -> Response:
    """Send a lost run again: it was not accepted."""
    return reply(await caller.act(resend_run, run_id, why=why))


@router.post("/runs/{run_id}/abandon", tags=["runs"], **answers(RunView, 404, 409))
async def abandon(caller: Operator, run_id: RunId, why: Why = None) -> Response:
    """Give a lost run up, whether it was accepted or not."""
    return reply(await caller.act(abandon_run, run_id, why=why))


class Adoption(Asked):
    """The collection that a lost run became."""

    model_config = example(collection_id="j_abc123")

    collection_id: str = Field(pattern=COLLECTION_ID)
    """Its id at the upstream."""


@router.post("/runs/{run_id}/adopt", tags=["runs"], **answers(RunView, 404, 409))
async def adopt(caller: Operator, run_id: RunId, body: Adoption, why: Why = None) -> Response:
    """Say which collection a lost run became."""
    return reply(await caller.act(adopt_run, run_id, body.collection_id, why=why))


class NewBackfill(Asked):
    """Occurrences of the past that are to be sent after the fact."""

    model_config = example(since="2026-11-01T00:00:00Z", until="2026-11-07T00:00:00Z")

    since: Moment
    """From this time on."""
    until: Moment
    """Up to this time, included."""
    max_concurrent: int = Field(1, ge=1, le=_LARGEST)
    """How many occurrences may be under way at once."""
    reprocess: Annotated[Reprocess, Field(strict=False)] = Reprocess.NONE
    """Also send again those whose run failed, or all that ended."""
    past_pauses: bool = False
    """Send them while the schedule or its queue is paused or frozen, too."""


@router.post(
    "/schedules/{name}/backfill",
    tags=["schedules"],
    **_or_dry(answers(BackfillView, 404, 409, status_code=201)),
)
async def backfills(
    caller: Operator,
    once: Once,
    name: Name,
    body: NewBackfill,
    confirm: Confirm = None,
    dry_run: Annotated[bool, Query(description="Only tell what would be sent.")] = False,
) -> Response:
    """
    Send occurrences of the past that have no run, with the batch as it is now, in order.

    409 tells how many runs that makes: repeat it with `confirm`. Doing it twice adds nothing.
    """
    ask = Ask(
        schedule=name,
        start=body.since,
        end=body.until,
        reprocess=body.reprocess,
        max_concurrent=body.max_concurrent,
        past_pauses=body.past_pauses,
    )
    prepared = await caller.ask(prepare_backfill, ask, files=files_of(caller))
    if dry_run:
        return reply(backfill_view(prepared, ()))
    return await once.act(
        caller, meant, backfill_counted, confirm, prepared, config=caller.site.config
    )
