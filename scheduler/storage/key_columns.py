"""Columns out of the keys of a file: type, default and CHECK are what the key declares."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, Final

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo
from sqlalchemy import Boolean, CheckConstraint, Column, Float, Integer, Text, text
from sqlalchemy.schema import SchemaItem

from scheduler.config import Defaults
from scheduler.config.shape import kind_of
from scheduler.config.table import TomlTable
from scheduler.storage.metadata import added_flag

LARGEST: Final = 2**31 - 1
"""Of PostgreSQL's integers. A bound keeps words out of SQLite's number columns as well."""


def key_columns(keys: type[TomlTable], *, added: bool = False) -> Iterator[SchemaItem]:
    """
    Yield a column, and its CHECK, for each key of a group of a definition's keys.

    Of those *added* to a table that was there, as all fractions were, the CHECK is the column's
    own, as SQLite adds it.
    """
    for name, field in keys.model_fields.items():
        kind = kind_of(keys, name)
        if kind is bool:
            is_first = name in _FLAGS_OF_THE_FIRST_REVISION
            yield _flag(name) if is_first else added_flag(name)
        elif kind in (int, float):
            check = CheckConstraint(f"{name} BETWEEN {' AND '.join(_bounds(field))}", name=name)
            number, is_own = (Integer, added) if kind is int else (Float, True)
            yield Column(name, number, *([check] if is_own else []), **_default(name, field))
            if not is_own:
                yield check
        else:
            yield Column(name, Text, **_default(name, field))
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            yield one_of(name, kind)


_FLAGS_OF_THE_FIRST_REVISION: Final = frozenset({"manual"})


def _flag(name: str) -> Column[bool]:
    return Column(name, boolean(name), nullable=False, server_default=text("FALSE"))


def boolean(column: str) -> Boolean:
    """Return the type of a column that is true or false, with its CHECK on SQLite."""
    return Boolean(create_constraint=True, name=column)


def one_of(column: str, values: type[StrEnum] | Iterable[str]) -> CheckConstraint:
    """Return the CHECK that a column has one of these values."""
    return CheckConstraint(f"{column} IN ({quoted(values)})", name=column)


def quoted(values: Iterable[str]) -> str:
    """Write values as SQL has them in a list."""
    return ", ".join(f"'{value}'" for value in values)


def _default(name: str, field: FieldInfo) -> dict[str, Any]:
    """Return what a row has that says nothing: the key's default, or that of [defaults]."""
    value = field.default
    if value is None and name in Defaults.model_fields:
        value = Defaults.model_fields[name].default
    return {} if value in (None, ()) else {"nullable": False, "server_default": str(value)}


def _bounds(field: FieldInfo) -> tuple[str, str]:
    """Return the least and the largest number that a key may have, as it declares them."""
    found = list(_metadata(field))
    least = next(bound.ge for bound in found if isinstance(bound, Ge))
    return str(least), str(next(bound.le for bound in found if isinstance(bound, Le)))


def _metadata(field: FieldInfo) -> Iterator[Any]:
    """Yield what is annotated to a key's value, in `… | None` as well."""
    yield from field.metadata
    for part in getattr(field.annotation, "__args__", ()):
        for note in getattr(part, "__metadata__", ()):
            yield from note.metadata if isinstance(note, FieldInfo) else (note,)
