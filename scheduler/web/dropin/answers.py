"""From the triggers of a request to an answer as the vendor's clients understand it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from scheduler.domain.records import RunState
from scheduler.domain.timestamps import vendor_time
from scheduler.views.requested import RequestedTrigger

_ASK_AGAIN: Final = "5"
_OF_THE_TOKEN: Final = (401, 403)


def answer_of(triggers: Sequence[RequestedTrigger], *, waited: int | None) -> Response:
    """
    Answer with the collection, or with what became of the request instead.

    200 once all are accepted; the upstream's own status and words where it refused; 409 where
    somebody cancelled it or a policy skipped it; 502 where it failed otherwise; else 202 with
    where to ask. *waited* are the seconds that the caller preferred to wait, None by default.
    """
    headers = {"X-Run-Id": str(triggers[0].run_id)}
    if waited is not None:
        headers["Preference-Applied"] = f"wait={waited}"
    ended = next((one for one in triggers if _has_failed(one)), None)
    if ended is not None:
        status, error = _failure(ended)
        return JSONResponse({"error": error, "run_id": ended.run_id}, status, headers)
    if all(one.collection_id is not None for one in triggers):
        return JSONResponse(_collection(triggers), 200, headers)
    return _not_yet(triggers, headers)


def _has_failed(one: RequestedTrigger) -> bool:
    is_over = one.state in (RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED)
    return is_over and one.collection_id is None


def _collection(triggers: Sequence[RequestedTrigger]) -> dict[str, Any]:
    first = _told(triggers[0])
    return first if len(triggers) == 1 else {**first, "collections": [*map(_told, triggers)]}


def _told(one: RequestedTrigger) -> dict[str, Any]:
    eta = one.start_eta
    return {"collection_id": one.collection_id, "start_eta": eta and vendor_time(eta)}


def _not_yet(triggers: Sequence[RequestedTrigger], headers: Mapping[str, str]) -> Response:
    waiting = next(one for one in triggers if one.collection_id is None)
    place = f"/dca/trigger/{triggers[0].run_id}"
    body = {
        "run_id": triggers[0].run_id,
        "state": waiting.state,
        "message": f"not accepted yet: {waiting.why_waiting or 'it is being sent'}; ask {place}",
    }
    return JSONResponse(body, 202, {**headers, "Location": place, "Retry-After": _ASK_AGAIN})


def _failure(one: RequestedTrigger) -> tuple[int, str]:
    said = one.detail or one.reason
    if one.refused_with in _OF_THE_TOKEN:
        return 502, (
            f"the upstream refuses the account's token, not yours: {said}: once that is mended,"
            f" `dca-scheduler runs retry {one.run_id}` sends it, or send it again"
        )
    if one.refused_with is not None:
        return one.refused_with, said
    status = 502 if one.state is RunState.FAILED else 409
    again = f"`dca-scheduler runs retry {one.run_id}`, or another Idempotency-Key, sends it again"
    return status, f"run {one.run_id} was not sent to its end: {one.state}, {said}: {again}"
