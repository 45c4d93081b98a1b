"""From a record to what is shown of it: lists, objects and durations in place of their text."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import check_references

View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration as it was written, and in seconds where it can be read."""

    text: str

    @property
    def seconds(self) -> float | None:
        """How long it is; None for a text that is none."""
        try:
            return parse_duration(self.text).total_seconds()
        except InvalidInput:
            return None

    def __str__(self) -> str:
        return self.text


def view(kind: type[View], record: object, **more: object) -> View:
    """Build a *kind* from the fields of *record* of the same names, decoded, and *more*."""
    names, read, decoders = _decoding(kind, tuple(more))  # type: ignore[arg-type]  # it is hashable
    values = dict(zip(names, read(record), strict=True))
    for name, decode in decoders:
        values[name] = decode(values[name])
    return kind(**values, **more)


def read_json(text: str | None) -> Any:
    """Return what a column of JSON holds; its text where that is none."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text


def read_shown(text: str | None) -> Any:
    """Return what a column of `notify` or `deliver` holds, unless a credential stands in it."""
    value = read_json(text)
    try:
        check_references({"it": value}, place="it")
    except InvalidInput:
        return {"hidden": "it holds a credential"}
    return value


def read_address(text: str) -> str:
    """Return an address, unless a credential stands in it."""
    return "(holds a credential)" if "@" in text else text


def read_names(text: str | None) -> tuple[str, ...]:
    """Return the names of a column that has them between commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def shown_fields(record: Any) -> list[str]:
    """Return the names of a view's fields, or of its class's, as they are shown: its id first."""
    return sorted((field.name for field in fields(record)), key=lambda name: name != "id")


@cache
def hints_of(kind: type[Any]) -> dict[str, Any]:
    """Return the annotation of each field, with what *kind* puts in place of a type variable."""
    meant: dict[Any, Any] = {}
    bases = (base for each in kind.__mro__ for base in vars(each).get("__orig_bases__", ()))
    for base in bases:
        parameters = getattr(get_origin(base), "__parameters__", ())
        for parameter, meaning in zip(parameters, get_args(base), strict=False):
            meant.setdefault(parameter, meaning)
    return {name: _meaning(hint, meant) for name, hint in get_type_hints(kind).items()}


def _meaning(hint: Any, meant: Mapping[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return meant.get(hint, hint)
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple(meant.get(each, each) for each in variables)] if variables else hint


@cache
def _decoding(
    kind: type[Any], given: tuple[str, ...]
) -> tuple[
    tuple[str, ...],
    Callable[[object], tuple[Any, ...]],
    tuple[tuple[str, Callable[[Any], Any]], ...],
]:
    """Return which fields come from a record, all but those *given*, and which are decoded how."""
    hints = hints_of(kind)  # type: ignore[arg-type]  # a class is hashable
    names = tuple(field.name for field in fields(kind) if field.name not in given)
    decoders = ((name, _BY_NAME.get(name) or _decoder(hints[name])) for name in names)
    decoded = tuple((name, decode) for name, decode in decoders if decode is not None)
    if len(names) > 1:  # all of them at once, by C
        return names, attrgetter(*names), decoded
    return names, lambda record: tuple(getattr(record, name) for name in names), decoded


_BY_NAME: Final[Mapping[str, Callable[[Any], Any]]] = {
    "notify": read_shown,
    "deliver": read_shown,
    "base_url": read_address,
}


def _decoder(hint: Any) -> Callable[[Any], Any] | None:
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if Duration in choices:
        return lambda text: None if text is None else Duration(text)
    if hint == tuple[str, ...]:
        return read_names
    return read_json if any(get_origin(choice) is dict for choice in choices) else None
