"""Faults that change what an answer says, not how it travels. Pure; see faults for the rest."""

import json
from dataclasses import replace

from scheduler.sandbox.answers import Answer, error_answer
from scheduler.sandbox.endpoints import LIMIT_TEXT
from scheduler.sandbox.fault_plan import Fault, FaultKind
from scheduler.sandbox.gate import too_many_requests

_JSON = "application/json"
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"
_FIELDS = {
    FaultKind.NO_ID: "collection_id",
    FaultKind.NO_ETA: "start_eta",
    FaultKind.NO_STATUS: "status",
}


def disguise(fault: Fault, answer: Answer) -> Answer:
    """Return what is sent in place of *answer*; it still knows the job that was created."""
    match fault.kind:
        case FaultKind.ERROR:
            shown = error_answer(fault.status, "Internal error")
        case FaultKind.THROTTLE:
            shown = too_many_requests(fault.retry_after)
        case FaultKind.JOB_LIMIT:
            shown = error_answer(429, LIMIT_TEXT.format(limit=100))
        case FaultKind.HTML:
            shown = Answer(body=_PAGE, content_type="text/html")
        case FaultKind.BROKEN_JSON:
            shown = Answer(body=answer.body[: len(answer.body) // 2])
        case FaultKind.EMPTY:
            shown = replace(answer, body=b"")
        case FaultKind.BUILDING_AS_200:
            shown = replace(answer, status=200)
        case FaultKind.JSON_LINES if answer.content_type == _JSON:
            shown = replace(answer, body=_as_lines(answer.body), content_type="application/jsonl")
        case kind if kind in _FIELDS and answer.content_type == _JSON:
            shown = replace(answer, body=_without(answer.body, _FIELDS[kind]))
        case _:
            return answer
    return replace(shown, collection_id=answer.collection_id)


def _without(body: bytes, name: str) -> bytes:
    value = json.loads(body)
    if isinstance(value, dict):
        value.pop(name, None)
    return json.dumps(value).encode()


def _as_lines(body: bytes) -> bytes:
    value = json.loads(body)
    rows = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
