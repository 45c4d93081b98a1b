"""`POST /dca/trigger`, and what became of one: `GET /dca/trigger/RUN`."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from scheduler.actions.trigger import Request, check_request, request_trigger
from scheduler.actions.uploads import take_upload
from scheduler.domain.access import ANY_COLLECTOR, Scope
from scheduler.domain.errors import InvalidInput, NotFound
from scheduler.views.collectors import find_called
from scheduler.views.requested import RequestedTrigger, list_request
from scheduler.views.runs import RunView
from scheduler.web.access import Caller, RunWaiter, Uploader
from scheduler.web.api.words import RunId
from scheduler.web.dropin.answers import answer_of
from scheduler.web.dropin.documents import OUTCOME, TRIGGER
from scheduler.web.dropin.parameters import bad, read_key, read_kind, read_parameters, read_wait
from scheduler.web.dropin.upload import Upload
from scheduler.web.dropin.waiting import waiters_of
from scheduler.web.routing import Router

router = Router(prefix="/dca", tags=["drop-in"])


@router.post("/trigger", **TRIGGER)
async def trigger(caller: Uploader, request: HttpRequest) -> Response:
    """Trigger a collector as the vendor's endpoint does; the run is durable before it is sent."""
    asked = read_parameters(request.query_params.multi_items())
    key = read_key(request.headers.getlist("idempotency-key"), caller.name)
    wait = read_wait(request.headers.get("prefer"))
    send_as = read_kind(request.headers.get("content-type"))
    asked = await _checked(caller, replace(asked, key=key))
    upload = Upload(request, send_as)
    await upload.read_small()
    turn = nullcontext() if upload.is_small else waiters_of(request).upload(caller.name)
    async with turn:
        taken = await caller.look_outside(take_upload, asked, upload, send_as)
    if isinstance(taken, RunView):
        run_id = taken.id
    else:
        whole = replace(asked, bodies=taken)
        made = await caller.act_outside(request_trigger, whole, config=caller.site.config)
        run_id = made.run.id
    return await _answer(caller, request, run_id, wait)


@router.get("/trigger/{run_id}", **OUTCOME)
async def show(caller: RunWaiter, request: HttpRequest, run_id: RunId) -> Response:
    """Say what became of a trigger, as the POST would have; `Prefer: wait=N` waits for it."""
    triggers = await _request_of(caller, run_id)
    if not caller.asked_for(triggers[0].created_by):
        raise NotFound(f"no run has the id {run_id}")
    wait = read_wait(request.headers.get("prefer")) or 0
    return await _answer(caller, request, run_id, wait)


async def _checked(caller: Caller, asked: Request) -> Request:
    """Return the request with our name of its collector; refuse what needs no body to be wrong."""
    among = caller.collectors if caller.scope is Scope.TRIGGER else (ANY_COLLECTOR,)
    try:
        collector = await caller.ask(find_called, asked.collector, among=among)
    except NotFound:
        caller.require_collector(asked.collector)
        raise
    named = replace(asked, collector=collector.name)
    try:
        await caller.ask(check_request, named, config=caller.site.config)
    except InvalidInput as error:
        raise bad(str(error)) from None
    return named


async def _answer(caller: Caller, request: HttpRequest, run_id: int, wait: int | None) -> Response:
    triggers = await _request_of(caller, run_id)
    seconds = caller.site.settings.wait.total_seconds() if wait is None else wait
    await waiters_of(request).wait([one.run_id for one in triggers], seconds)
    return answer_of(await _request_of(caller, run_id), waited=wait)


async def _request_of(caller: Caller, run_id: int) -> Sequence[RequestedTrigger]:
    return await caller.ask(list_request, run_id)
