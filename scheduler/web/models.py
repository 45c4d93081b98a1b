"""From a view to what OpenAPI says of it, and to an answer: both as `--json` has it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, Field, create_model
from starlette.responses import JSONResponse, Response

from scheduler.views.decoding import Duration, hints_of
from scheduler.views.json_document import json_document
from scheduler.views.page import Page
from scheduler.web.problems import MEDIA_TYPE


class ProblemDocument(BaseModel):
    """A problem, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] = Field(default_factory=list)


def reply(value: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a view, or with a page of several."""
    return JSONResponse(json_document(value), status_code=status_code, headers=headers)


def answers(
    kind: Any, *problems: int, status_code: int = 200, description: str = "Done"
) -> dict[str, Any]:
    """Return what a route's decorator says of its answers: a view, and *problems* by status."""
    said = sorted({401, 403, 422, 429, 503, *problems})
    return {
        "status_code": status_code,
        "response_model": None,
        "response_description": description,
        "responses": {
            status_code: {"model": _document_model(kind)},
            **{status: problem_answer(status) for status in said},
        },
    }


def problem_answer(status: int) -> dict[str, Any]:
    """Return what the document says of an answer that is a problem."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {"description": _PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": schema}}}


_PROBLEMS: Final[Mapping[int, str]] = {
    400: "The request, or its body, cannot be read.",
    401: "No token, or one that lets nobody in.",
    403: "The token's scope or collectors do not allow this.",
    404: "Nothing has that name or id.",
    408: "The body came too slowly: send it again.",
    409: "Its state does not allow this, a file owns it, or it needs a word: `confirm`.",
    412: "It was changed since it was read.",
    413: "The body is too large.",
    415: "The body is of another type, or compressed.",
    421: "`Host` is no name of this server.",
    422: "The request can never be carried out as it stands: `errors` says where.",
    429: "Too many requests: `Retry-After` says when.",
    431: "The head of the request is too large: send less.",
    503: "The database, or the time for an answer, was not enough: ask again.",
}


def _document_model(kind: Any) -> Any:
    """Return the model of what a route answers with: several are a page."""
    origin, words = get_origin(kind), get_args(kind)
    is_several = isinstance(origin, type) and issubclass(origin, Sequence)
    return _page_model(words[0]) if is_several else model_of(kind)


def model_of(kind: Any) -> Any:
    """Return the pydantic model of a view, of a list or a mapping of views, or of plain values."""
    origin, words = get_origin(kind), get_args(kind)
    if kind is Duration:
        return str
    if is_dataclass(kind) and isinstance(kind, type):
        return _model(kind)
    if origin is Page:
        return _page_model(*words)
    if origin in (Union, UnionType):
        return Union[tuple(model_of(word) for word in words)]  # noqa: UP007 - of a tuple
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, model_of(words[1])]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Sequence):
        inner = words[0] if words[1:] in ((), (Ellipsis,)) else Any
        return list[model_of(inner)]  # type: ignore[misc]
    return kind


@cache
def _page_model(kind: Any) -> type[BaseModel]:
    item = model_of(kind)
    items = list[item]  # type: ignore[valid-type]
    columns: dict[str, Any] = {
        "items": (items, ...),
        "next": (str | None, Field(description="The next page's `cursor`; null at the end.")),
        "total_count": (int, Field(default=0, description="Only with `count=true`.")),
        "total_is_capped": (bool, Field(default=False, description="There are more than that.")),
    }
    return create_model(f"{item.__name__}Page", __doc__=Page.__doc__, **columns)


_NAMES: Final = {
    ("scheduler.actions.comparing", "Change"): "DefinitionChange",
    ("scheduler.storage.definitions", "Queue"): "QueueRules",
}
"""What is called as another view is."""


@cache
def _model(kind: type) -> type[BaseModel]:
    """Return the model of a dataclass; beside a duration stands how many seconds it is."""
    hints = hints_of(kind)
    columns: dict[str, Any] = {}
    for each in fields(kind):
        hint = hints[each.name]
        columns[each.name] = (model_of(hint), ...)
        if hint is Duration or Duration in get_args(hint):
            columns[f"{each.name}_seconds"] = (float | None, ...)
    name = _NAMES.get((kind.__module__, kind.__name__), kind.__name__.removesuffix("View"))
    return create_model(name, __doc__=kind.__doc__, **columns)
