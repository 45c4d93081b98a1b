"""The one way from an answer to JSON, for every surface."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, get_args

from scheduler.domain.timestamps import iso_time
from scheduler.views.decoding import Duration, hints_of, shown_fields
from scheduler.views.page import Page


def json_document(answer: Any) -> Any:
    """
    Turn an answer into the document that a surface gives; a list is always a page.

    Docs/json.md has the conventions, tests/views/test_json_conventions.py holds them.
    """
    return json_value(Page(items=answer) if isinstance(answer, list | tuple) else answer)


def json_value(value: Any) -> Any:
    """
    Turn a value into what JSON knows.

    Times are UTC, in microseconds, and end in Z. A duration stands as it was written, and beside
    it, under its name with `_seconds`, how long it is.
    """
    return _writer(type(value))(value)  # type: ignore[arg-type]  # a class is hashable


@cache
def _writer(kind: type) -> Callable[[Any], Any]:
    """Return what writes values of *kind*: found out once, for a page holds thousands."""
    for kinds, write in _WRITERS:
        if issubclass(kind, kinds):
            return write
    return _writer_of_fields(kind) if is_dataclass(kind) else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _write_items(items: Iterable[Any]) -> list[Any]:
    return [json_value(item) for item in items]


def _write_mapping(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(json_value(key)): json_value(item) for key, item in mapping.items()}


_WRITERS: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...]] = (
    (Enum, attrgetter("value")),
    (datetime, iso_time),
    (date, date.isoformat),
    ((Path, Duration), str),
    (Mapping, _write_mapping),
    ((list, tuple), _write_items),
)
"""The first that fits: a datetime is a date, too."""

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def _writer_of_fields(kind: type) -> Callable[[Any], dict[str, Any]]:
    """Return what reads all fields at once, and turns those that may hold more than JSON knows."""
    durations, hints = _durations(kind), hints_of(kind)
    fields, keys = [], []
    turned: list[tuple[str, Callable[[Any], Any]]] = []
    for name in shown_fields(kind):
        fields.append(name)
        keys.append(name)
        if not {*(get_args(hints[name]) or (hints[name],))} <= _PLAIN:
            turned.append((name, json_value))
        if name in durations:
            fields.append(name)
            keys.append(f"{name}_seconds")
            turned.append((f"{name}_seconds", _seconds_of))
    read = attrgetter(*fields, "__class__")  # of one name alone it would give no tuple

    def write(record: Any) -> dict[str, Any]:
        values = dict(zip(keys, read(record), strict=False))
        for key, turn in turned:
            if type(value := values[key]) not in _PLAIN:
                values[key] = turn(value)
        return values

    return write


def _seconds_of(duration: Any) -> float | None:
    seconds: float | None = duration.seconds
    return seconds


def _durations(kind: type) -> frozenset[str]:
    """Return which fields may hold a duration: their key in seconds is there whatever they hold."""
    hints = hints_of(kind)
    return frozenset(
        name for name, hint in hints.items() if hint is Duration or Duration in get_args(hint)
    )
