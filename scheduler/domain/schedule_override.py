"""Temporary overrides: what an operator sets above a schedule's own fields, until a moment."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import CatchUp, Overlap, Schedule
from scheduler.domain.request import check_name_template


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One field of one schedule, and what it is until then; None: what it is by default."""

    schedule: str
    field: str
    value: str | None
    made_at: datetime
    made_by: str
    reason: str
    until: datetime


def read_field(name: str, text: str | None) -> Any:
    """Return what the text of an override means; raises InvalidInput naming the field."""
    if name not in _READERS:
        raise InvalidInput(f"{name!r} cannot be overridden: choose one of {', '.join(FIELDS)}")
    if text is None:
        if name not in _MAY_BE_LEFT_OUT:
            raise InvalidInput(f"{name} must not be empty")
        return None
    try:
        return _READERS[name](text)
    except (ValueError, InvalidInput) as error:
        raise InvalidInput(f"{name} {text!r}: {_why(name, error)}") from None


def overridden(schedule: Schedule, overrides: Iterable[Override]) -> Schedule:
    """
    Return the schedule as it is while *overrides* hold.

    One that cannot be read (written by hand) changes nothing: the others, and the schedule's
    own fields, go on.
    """
    fields: dict[str, Any] = {}
    for override in overrides:
        try:
            value = read_field(override.field, override.value)
        except InvalidInput:
            continue
        fields[_COLUMNS.get(override.field, override.field)] = value
    return replace(schedule, **fields) if fields else schedule


def _why(name: str, error: Exception) -> str:
    return _WANTED.get(name) or str(error)


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _template(text: str) -> str:
    check_name_template(text)
    return text


def _count(text: str) -> int:
    if (count := _whole(text)) < 1:
        raise ValueError
    return count


def _whole(text: str) -> int:
    if abs(number := int(text)) > _LARGEST:
        raise ValueError
    return number


_LARGEST: Final = 2**31 - 1  # of the database's integer columns


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _version(text: str) -> str:
    if text != "dev":
        raise ValueError
    return text


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "batch": str,
    "deadline": _duration,
    "priority": _whole,
    "misfire_grace": _duration,
    "catch_up": CatchUp,
    "overlap": Overlap,
    "max_attempts": _count,
    "no_downloads": _switch,
    "version": _version,
    "name": _template,
}
FIELDS: Final = tuple(_READERS)
"""The fields that can be overridden, as the configuration calls them."""

_COLUMNS: Final = {"name": "trigger_name"}


def field_of(column: str) -> str | None:
    """Return the field that overrides a column; None for a column that cannot be overridden."""
    fields = {_COLUMNS.get(field, field): field for field in FIELDS}
    return fields.get(column)


_MAY_BE_LEFT_OUT: Final = frozenset({"deadline", "max_attempts", "no_downloads", "version", "name"})
_WANTED: Final = {
    "priority": "write a whole number",
    "catch_up": f"write one of {', '.join(CatchUp)}",
    "overlap": f"write one of {', '.join(Overlap)}",
    "max_attempts": "write a whole number of at least 1",
    "no_downloads": "write true or false",
    "version": "write dev",
}
