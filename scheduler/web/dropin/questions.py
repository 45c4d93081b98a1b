"""What a client asks about what it triggered: passed on, or answered from what is known."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scheduler.actions.relayed import record_verb
from scheduler.domain.errors import NotFound
from scheduler.domain.relayed import RelayCall, RelayQuestion
from scheduler.domain.timestamps import vendor_time
from scheduler.views.collectors import find_called
from scheduler.views.requested import AskedCollection, find_asked
from scheduler.web.access import Caller, Operator, Reader, RunReader
from scheduler.web.dropin.documents import passed_on
from scheduler.web.dropin.parameters import NO_COLLECTOR, bad, read_query
from scheduler.web.dropin.relay import relayed
from scheduler.web.routing import Router

router = Router(prefix="/dca", tags=["drop-in"])

_ID: Final = re.compile(r"[!-~]{1,200}")
_FAILED_ONLY: Final = {"type": "object", "properties": {"failed_only": {"const": 1}}}
_JOBS_PARAMS: Final = ("from_date", "to_date", "offset", "limit", "sort_asc")


@router.get("/dataset", **passed_on(required=("id",)))
async def dataset(caller: RunReader, request: Request) -> Response:
    """Return a collection's rows, as the upstream has them."""
    said = request.query_params.get("id", "")
    if not said:
        raise bad("Missing id parameter: add ?id=j_…, the collection_id of a trigger's answer")
    asked = await _asked(caller, said)
    return await _relayed(caller, RelayCall.DATASET, asked)


@router.get("/log/{collection_id}", **passed_on())
async def log(caller: RunReader, collection_id: str) -> Response:
    """Return how a collection fares; of one that has ended, what is known here."""
    asked = await _asked(caller, collection_id)
    if asked.finished_at is not None:
        return JSONResponse(_known(asked))
    return await _relayed(caller, RelayCall.LOG, asked)


@router.get("/collector/jobs", **passed_on(*_JOBS_PARAMS, required=("collector",)))
async def jobs(caller: Reader, request: Request) -> Response:
    """Return the jobs of a collector, as the upstream lists them."""
    given = read_query(request.query_params.multi_items(), ("collector", *_JOBS_PARAMS))
    said = given.pop("collector", "")
    if not said:
        raise bad(NO_COLLECTOR)
    collector = await caller.ask(find_called, said)
    question = RelayQuestion(
        call=RelayCall.JOBS,
        account=collector.account,
        subject=collector.collector_id,
        params=tuple(given.items()),
    )
    return await relayed(caller.site, question)


@router.get("/jobs/{collection_id}/hp_errors", **passed_on())
async def errors(caller: RunReader, collection_id: str) -> Response:
    """Return the inputs of a collection that failed, and why, as the upstream has them."""
    asked = await _asked(caller, collection_id)
    return await _relayed(caller, RelayCall.ERRORS, asked)


def _add_verb(verb: RelayCall) -> None:
    async def change(caller: Operator, request: Request, collection_id: str) -> Response:
        asked = await _asked(caller, collection_id)
        is_rerun = verb is RelayCall.RERUN
        failed_only = is_rerun and b"failed_only" in await request.body()
        await caller.act(record_verb, asked.collection_id, verb)
        return await _relayed(caller, verb, asked, failed_only=failed_only)

    change.__name__ = f"{verb}_job"
    change.__doc__ = _VERBS[verb]
    body = _FAILED_ONLY if verb is RelayCall.RERUN else None
    router.post(f"/jobs/{{collection_id}}/{verb}", **passed_on(body=body))(change)


_VERBS: Final = {
    RelayCall.CANCEL: "Have the upstream cancel a collection.",
    RelayCall.PAUSE: "Have the upstream pause a collection.",
    RelayCall.RESUME: "Have the upstream resume a collection.",
    RelayCall.RERUN: "Have the upstream run a collection again: billed, and a run of its own.",
}
for _verb in _VERBS:
    _add_verb(_verb)


async def _asked(caller: Caller, collection_id: str) -> AskedCollection:
    """Return the collection, if the caller may see it; an unknown one looks the same."""
    is_id = _ID.fullmatch(collection_id) is not None
    asked = await caller.ask(find_asked, collection_id) if is_id else None
    if asked is None or not caller.asked_for(asked.created_by):
        raise NotFound(f"no collection of this server has the id {collection_id[:80]!r}")
    return asked


async def _relayed(
    caller: Caller, call: RelayCall, asked: AskedCollection, *, failed_only: bool = False
) -> Response:
    question = RelayQuestion(
        call=call,
        account=asked.account,
        subject=asked.collection_id,
        failed_only=failed_only,
        by=caller.by,
    )
    return await relayed(caller.site, question)


def _known(asked: AskedCollection) -> dict[str, object]:
    times = {"started": asked.started_at, "finished": asked.finished_at}
    return {
        "id": asked.collection_id,
        "status": asked.status,
        "collector": asked.collector_id,
        "inputs": asked.inputs,
        "lines": asked.lines,
        "fails": asked.fails,
        "pages": asked.pages,
        "success_rate": asked.success_rate,
        **{name: moment and vendor_time(moment) for name, moment in times.items()},
    }
