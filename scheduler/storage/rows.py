"""From a row to a record, by the record's own annotations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from functools import cache
from operator import attrgetter, itemgetter
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from sqlalchemy import ColumnElement, CursorResult, FromClause

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


def records(kind: type[Record], result: CursorResult[Any]) -> list[Record]:
    """Build a *kind* from each row of *found*."""
    read = reader(kind, tuple(result.keys()))  # type: ignore[arg-type]  # a class is hashable
    return [read(row) for row in result.all()]


@cache
def reader(
    kind: type[Record], columns: tuple[str, ...], prefix: str = ""
) -> Callable[[Sequence[Any]], Record]:
    """
    Return what builds a *kind* from a row of these *columns*.

    Its fields' columns begin with *prefix*. They are looked up once, for any number of rows.
    """
    index_of = {column: index for index, column in enumerate(columns)}
    converters = _converters(kind)  # type: ignore[arg-type]  # a class is hashable
    names = [name for name, _ in converters]
    converted = [(name, convert) for name, convert in converters if convert is not _as_it_is]
    places = [index_of[prefix + name] for name in names]
    # One column alone is given as it is, and not as a tuple of one.
    pick = itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)
    build = _builder(kind)

    def read(row: Sequence[Any]) -> Record:
        values = dict(zip(names, pick(row), strict=True))
        for name, convert in converted:
            if (value := values[name]) is not None:
                values[name] = convert(value)
        return build(values)

    return read


def _builder(kind: type[Record]) -> Callable[[dict[str, Any]], Record]:
    """
    Return what makes a *kind* of the values of all its fields, which it keeps.

    A frozen class sets them one by one, which takes four times as long as giving it all at once;
    only one without slots, as those of rows are, can be given them so.
    """
    if any(getattr(base, "__slots__", ()) for base in kind.__mro__):
        return lambda values: kind(**values)

    def build(values: dict[str, Any]) -> Record:
        made = object.__new__(kind)
        object.__setattr__(made, "__dict__", values)
        return made

    return build


def columns_of(kind: type[Any], table: FromClause) -> list[ColumnElement[Any]]:
    """Return the columns of *table* that bear the names of *kind*'s fields."""
    return [table.c[field.name] for field in fields(kind)]


def values_of(item: "DataclassInstance") -> dict[str, Any]:
    """Return a record's fields by name, as a row: unlike asdict it copies nothing."""
    names, pick = _picked(type(item))
    return dict(zip(names, pick(item), strict=True))


@cache
def _picked(kind: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(field.name for field in fields(kind))
    return names, attrgetter(*names) if len(names) > 1 else lambda item: (getattr(item, names[0]),)


@cache
def _converters(kind: type[Any]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, _converter(hints[field.name])) for field in fields(kind))


def _converter(hint: Any) -> Callable[[Any], Any]:
    choices = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    enums = [each for each in choices if isinstance(each, type) and issubclass(each, StrEnum)]
    # To call an enum takes nine times as long as to look its member up.
    return {each.value: each for each in enums[0]}.__getitem__ if enums else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
