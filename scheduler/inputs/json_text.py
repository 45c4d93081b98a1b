"""Inputs from JSON: an array of objects, one object, or an object a line."""

import json
from typing import Any, NoReturn

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject


def read_json(text: str, place: str) -> list[JsonObject]:
    """Read an array of objects, or one object; *place* is named in errors."""
    value = _load(text, place, first_line=1)
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise InputsError(f"{place}: must be an array of objects, not {_kind(value)}")
    for number, one in enumerate(value, 1):
        if not isinstance(one, dict):
            raise InputsError(f"{place}: input {number} is {_kind(one)}, not an object")
    return value


def read_json_lines(text: str, place: str) -> list[JsonObject]:
    """Read an object from each line that is not blank."""
    inputs = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value = _load(line, place, first_line=number)
            if not isinstance(value, dict):
                raise InputsError(f"{place}:{number}: is {_kind(value)}, not an object")
            inputs.append(value)
    return inputs


def _load(text: str, place: str, *, first_line: int) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise InputsError(f"{place}:{line}:{error.colno}: {error.msg.lower()}") from None
    except (ValueError, RecursionError) as error:
        where = f"{place}:{first_line}" if first_line > 1 else place
        raise InputsError(f"{where}: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return found


def _kind(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return "text"
        case None:
            return "null"
        case bool():
            return "true or false"
        case _:
            return "a number"
