"""From a row to a record, by the record's own annotations."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from sqlalchemy import CursorResult

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record")


def record(kind: type[Record], row: Mapping[Any, Any]) -> Record:
    """Build a *kind* from the columns of *row* that bear its fields' names; enums by value."""
    return kind(
        **{
            name: value if (value := row[name]) is None else convert(value)
            for name, convert in _converters(kind)  # type: ignore[arg-type]  # a class is hashable
        }
    )


def records(kind: type[Record], found: CursorResult[Any]) -> list[Record]:
    """Build a *kind* from each row of *found*, whose columns are looked up once for them all."""
    place = {name: index for index, name in enumerate(found.keys())}
    columns = [(name, place[name], convert) for name, convert in _converters(kind)]  # type: ignore[arg-type]  # a class is hashable
    return [
        kind(
            **{
                name: value if (value := row[index]) is None else convert(value)
                for name, index, convert in columns
            }
        )
        for row in found
    ]


def values_of(one: "DataclassInstance") -> dict[str, Any]:
    """Return a record's fields by name, as a row: unlike asdict it copies nothing."""
    return {field.name: getattr(one, field.name) for field in fields(one)}


@cache
def _converters(kind: type[Any]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, _converter(hints[field.name])) for field in fields(kind))


def _converter(hint: Any) -> Callable[[Any], Any]:
    choices = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    enums = [choice for choice in choices if isinstance(choice, type)]
    return next((enum for enum in enums if issubclass(enum, StrEnum)), _as_it_is)


def _as_it_is(value: Any) -> Any:
    return value
