"""What OpenAPI says of the drop-in endpoint: its routes read their requests by themselves."""

from collections.abc import Mapping
from typing import Any, Final

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What, where, and the way out."},
        "run_id": {"type": "integer", "description": "The run, where there is one."},
    },
}
_COLLECTION: Final = {
    "type": "object",
    "required": ["collection_id", "start_eta"],
    "properties": {
        "collection_id": {"type": "string"},
        "start_eta": {"type": ["string", "null"]},
        "collections": {
            "type": "array",
            "items": {"type": "object"},
            "description": "All of them, where the inputs were divided among several triggers.",
        },
    },
    "example": {"collection_id": "j_abc123def456", "start_eta": "2021-11-07T13:26:22.702Z"},
}
_NOT_YET: Final = {
    "type": "object",
    "required": ["run_id", "state", "message"],
    "properties": {
        "run_id": {"type": "integer"},
        "state": {"type": "string"},
        "message": {"type": "string"},
    },
}
_FLAG: Final = {"type": "string", "enum": ["0", "1", "true", "false"]}
_TEXT: Final = {"type": "string"}
_TABLE: Final = {"type": "string", "description": "CSV with a header row."}
_QUERY: Final[Mapping[str, tuple[Mapping[str, Any], str]]] = {
    "version": (
        {"type": "string", "enum": ["dev"]},
        "Run the development version.",
    ),
    "name": (_TEXT, "The job's name at the upstream."),
    "queue_next": (_FLAG, "Behind the collector's jobs: the default."),
    "queue": (_TEXT, "Behind what is in this named queue."),
    "confirm_cancel": (_FLAG, "In place of the collector's running job."),
    "no_downloads": (_FLAG, "Leave media files alone."),
    "deadline": ({"type": "string", "example": "1h"}, "The upstream ends the job then."),
    "notify": (_TEXT, "A JSON object: who is told when it is done."),
    "deliver": (_TEXT, "A JSON object: where the result goes; without credentials."),
}

_WRONG: Final = "Refused: what is wrong, and the way out"


def _answer(what: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def error_answer(status: int) -> dict[str, Any]:
    """Return what is said of a refusal in the vendor's form, whatever its *status*."""
    return _answer(_WRONG, _ERROR)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: error_answer(status) for status in (*statuses, 401, 403, 404, 429, 503)}


def _parameter(name: str, place: str, schema: Mapping[str, Any], what: str) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema, "description": what}


_WAIT: Final = _parameter("Prefer", "header", {"type": "string", "example": "wait=10"}, "wait=N")
_WAITED: Final[Mapping[int | str, dict[str, Any]]] = {
    200: _answer("Accepted by the upstream", _COLLECTION),
    202: _answer("Not yet: Location tells how it goes", _NOT_YET),
    # The upstream's own, in its own words.
    "4XX": _answer("Refused by the upstream", _ERROR),
}

TRIGGER: Final[Mapping[str, Any]] = {
    "responses": {**_WAITED, **_errors(409, 422, 502)},
    "openapi_extra": {
        "parameters": [
            {
                **_parameter("collector", "query", _TEXT, "The upstream's id, or our name."),
                "required": True,
            },
            *(_parameter(name, "query", *said) for name, said in _QUERY.items()),
            _parameter("Idempotency-Key", "header", _TEXT, "The same again makes no second run."),
            _WAIT,
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "array", "items": {"type": "object"}, "minItems": 1},
                    "example": [{"url": "https://example.com/1"}],
                },
                "text/csv": {"schema": _TABLE},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["data"],
                        "properties": {"data": {"type": "string", "format": "binary"}},
                    }
                },
            },
        },
    },
}
OUTCOME: Final[Mapping[str, Any]] = {
    "responses": {**_WAITED, **_errors(409, 422, 502)},
    "openapi_extra": {"parameters": [_WAIT]},
}


def passed_on(
    *query: str, required: tuple[str, ...] = (), body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what is said of a question that the upstream answers."""
    parameters = [
        {**_parameter(name, "query", _TEXT, ""), "required": name in required}
        for name in (*required, *query)
    ]
    extra: dict[str, Any] = {"parameters": parameters}
    if body is not None:
        extra["requestBody"] = {"content": {"application/json": {"schema": body}}}
    theirs = {
        "description": "The upstream's own answer",
        "content": {"application/json": {}, "text/plain": {}},
    }
    return {
        "responses": {200: theirs, 202: theirs, "4XX": theirs, **_errors(422, 502)},
        "openapi_extra": extra,
    }
