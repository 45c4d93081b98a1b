"""Credentials out of `notify` and `deliver`: each gives way to a reference, and is kept nowhere."""

import re
from collections.abc import Mapping
from typing import Any

from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import check_references

_Path = tuple[str | int, ...]


def take_credentials(value: Mapping[str, Any], *, place: str) -> tuple[dict[str, Any], list[str]]:
    """
    Return *value* with `${secret:NAME}` in place of each credential, and those names.

    Raises InvalidInput where that is not enough for it to be kept.
    """
    names: list[str] = []
    taken = _replaced(dict(value), (place,), names)
    check_references(taken, place=place)
    return taken, names


def _replaced(value: Any, path: _Path, names: list[str]) -> Any:
    match value:
        case dict():
            return {key: _replaced(item, (*path, key), names) for key, item in value.items()}
        case list():
            return [_replaced(item, (*path, index), names) for index, item in enumerate(value)]
        case str() | int() | float() if not isinstance(value, bool) and _is_credential(value, path):
            words = (re.sub(r"[^A-Za-z0-9_]", "_", str(step)) for step in path)
            names.append("-".join(words))
            return f"${{secret:{names[-1]}}}"
        case _:
            return value


def _is_credential(value: Any, path: _Path) -> bool:
    """Ask the rule that guards what is stored, with nothing but this value in its place."""
    for step in reversed(path[1:]):
        value = [value] if isinstance(step, int) else {step: value}
    try:
        check_references(value, place=str(path[0]))
    except InvalidInput:
        return True
    return False
