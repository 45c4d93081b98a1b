"""
What a route without a body takes from a request, found out once: FastAPI does so for each request.

For a list with fifteen filters that is a third of the answer's whole processor time.
"""

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

Answer = Callable[[Request], Coroutine[Any, Any, Response]]

_OF_FASTAPI: Final = (
    *("body_params", "cookie_params", "websocket_param_name", "http_connection_param_name"),
    *("response_param_name", "background_tasks_param_name", "security_scopes_param_name"),
    *("own_oauth_scopes", "parent_oauth_scopes", "concurrency"),
)
"""What only FastAPI knows to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    """A parameter: where it stands in a request, and what it is where it does not."""

    name: str
    alias: str
    place: str
    is_several: bool
    is_needed: bool
    default: Any
    field: Any
    """FastAPI's own, whose class it keeps to itself."""

    def read(self, given: Any) -> tuple[Any, Sequence[Any]]:
        """Return its value, or what is wrong with it."""
        said = (given.getlist(self.alias) or None) if self.is_several else given.get(self.alias)
        where = (self.place, self.alias)
        if said is not None:
            found: tuple[Any, Sequence[Any]] = self.field.validate(said, loc=where)
            return found
        missing = {"type": "missing", "loc": where, "msg": "Field required", "input": None}
        return copy(self.default), [missing] if self.is_needed else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A function to be called, and what it is called with."""

    call: Callable[..., Any]
    name: str | None
    request_name: str | None
    needs: tuple["_Call", ...]
    values: tuple[_Value, ...]


def quick_handler(dependant: Dependant) -> Answer | None:
    """Return what calls a route's function as FastAPI would; None for what only that can."""
    planned = _plan(dependant)
    if planned is None:
        return None

    async def handle(request: Request) -> Response:
        given = {
            "query": request.query_params,
            "path": request.path_params,
            "header": request.headers,
        }
        values, errors = await _solve(planned, request, given, {})
        if errors:
            raise RequestValidationError(errors)
        answer = await planned.call(**values)
        if not isinstance(answer, Response):
            raise TypeError(f"{planned.call.__qualname__}: answer with a Response, as `reply` does")
        return answer

    return handle


def _plan(dependant: Dependant) -> _Call | None:
    call = dependant.call
    if call is None or not dependant.use_cache or not _is_coroutine_function(call):
        return None
    if any(getattr(dependant, name) for name in _OF_FASTAPI):
        return None
    needs = [_plan(each) for each in dependant.dependencies]
    fields = [*dependant.path_params, *dependant.query_params, *dependant.header_params]
    values = [_value(field) for field in fields]
    return (
        _Call(
            call=call,
            name=dependant.name,
            request_name=dependant.request_param_name,
            needs=tuple(need for need in needs if need is not None),
            values=tuple(value for value in values if value is not None),
        )
        if None not in needs and None not in values
        else None
    )


def _is_coroutine_function(call: Callable[..., Any]) -> bool:
    is_function = inspect.isfunction(call)
    return inspect.iscoroutinefunction(call if is_function else type(call).__call__)


def _value(field: Any) -> _Value | None:
    info: Any = field.field_info
    annotation = info.annotation
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    if is_model or info.validation_alias not in (None, field.alias) or info.validate_default:
        return None
    is_needed = info.is_required()
    return _Value(
        name=field.name,
        alias=field.alias,
        place=info.in_.value,
        is_several=is_several(annotation),
        is_needed=is_needed,
        default=None if is_needed else field.default,
        field=field,
    )


def is_several(annotation: Any) -> bool:
    """Tell whether a parameter of that type may be there several times."""
    origin = get_origin(annotation) or annotation
    if origin in (Union, UnionType):
        return any(map(is_several, get_args(annotation)))
    return isinstance(origin, type) and issubclass(origin, (list, tuple, set, frozenset))


async def _solve(
    planned: _Call, request: Request, given: Mapping[str, Any], done: dict[Any, Any]
) -> tuple[dict[str, Any], list[Any]]:
    """Return what *planned* is called with, and what is wrong; *done* are calls made before."""
    values: dict[str, Any] = {}
    errors: list[Any] = []
    for need in planned.needs:
        theirs, wrong = await _solve(need, request, given, done)
        if wrong:
            errors += wrong
            continue
        if need.call not in done:
            done[need.call] = await need.call(**theirs)
        if need.name is not None:
            values[need.name] = done[need.call]
    for value in planned.values:
        values[value.name], wrong_here = value.read(given[value.place])
        errors += wrong_here
    if planned.request_name is not None:
        values[planned.request_name] = request
    return values, errors
