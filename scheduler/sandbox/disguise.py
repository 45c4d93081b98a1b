"""Faults that change what an answer says, not how it travels. Pure; see faults for the rest."""

import json
from collections.abc import Callable
from dataclasses import replace

from scheduler.sandbox.answers import Answer, error_answer
from scheduler.sandbox.endpoints import LIMIT_TEXT
from scheduler.sandbox.fault_plan import Fault, FaultKind
from scheduler.sandbox.gate import too_many_requests

_JSON = "application/json"
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"
_ELSEWHERE = "http://127.0.0.1:9/login?next=secret"
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
        case FaultKind.PAGE:
            page = f"default backend - {fault.status}".encode()
            shown = Answer(status=fault.status, body=page, content_type="text/plain")
        case FaultKind.REDIRECT:
            shown = Answer(status=fault.status, headers={"Location": _ELSEWHERE})
        case FaultKind.BROKEN_JSON:
            shown = Answer(body=answer.body[: len(answer.body) // 2])
        case FaultKind.EMPTY:
            shown = replace(answer, body=b"")
        case FaultKind.BUILDING_AS_200:
            shown = replace(answer, status=200)
        case FaultKind.JSON_LINES if answer.content_type == _JSON:
            shown = replace(answer, body=_as_lines(answer.body), content_type="application/jsonl")
        case kind if kind in _REWRITTEN and answer.content_type == _JSON:
            value = _rewrite(json.loads(answer.body), fault)
            shown = replace(answer, body=json.dumps(value).encode())
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


def _rewrite(value: object, fault: Fault) -> object:
    """Rewrite an answer, and each row where it is a list of jobs."""
    rows = value.get("data") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(rows, list) and fault.kind is not FaultKind.WRAPPED:
        value = value | {"data": [_REWRITTEN[fault.kind](row, fault) for row in rows]}
    return _REWRITTEN[fault.kind](value, fault)


def _as_documented(value: object, _: Fault) -> object:
    """Write the keys as the vendor's page does: all but the moments with a capital."""
    if not isinstance(value, dict):
        return value
    return {_documented(name): inner for name, inner in value.items()}


def _documented(name: str) -> str:
    return name if name in _MOMENTS else name.capitalize()


_MOMENTS = ("created", "queued", "started", "finished")


def _as_text(value: object, _: Fault) -> object:
    if not isinstance(value, dict):
        return value
    texts = {name: str(inner) for name, inner in value.items() if type(inner) in (int, float)}
    if "success_rate" in texts:
        texts["success_rate"] = f"{100 * float(texts['success_rate']):g}%"
    return value | texts


def _wrapped(value: object, _: Fault) -> object:
    return {"data": value}


def _with_word(value: object, fault: Fault) -> object:
    is_over = isinstance(value, dict) and value.get("finished")
    return {**value, "status": fault.word} if isinstance(value, dict) and is_over else value


def _without_rows(value: object, _: Fault) -> object:
    if not isinstance(value, dict) or "data" in value:
        return value
    if "data_lines" in value:
        return value | {"data_lines": 0, "failed_pages": 0}
    return value | {"lines": 0, "fails": 0, "success": 0, "success_rate": 1}


def _bare(value: object, _: Fault) -> object:
    """Leave of a row what tells that there is a job, and of a list its rows."""
    if not isinstance(value, dict):
        return value
    return {name: inner for name, inner in value.items() if name in ("id", "status", "data")}


_REWRITTEN: dict[FaultKind, Callable[[object, Fault], object]] = {
    FaultKind.OTHER_KEYS: _as_documented,
    FaultKind.NUMBERS_AS_TEXT: _as_text,
    FaultKind.WRAPPED: _wrapped,
    FaultKind.OTHER_WORD: _with_word,
    FaultKind.NO_ROWS: _without_rows,
    FaultKind.BARE_ROWS: _bare,
}
