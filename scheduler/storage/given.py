"""
Rows given to a statement as a table: any number of them, in one parameter of JSON.

A statement for each row costs Python ten times what it costs the database; on PostgreSQL each is
a message of its own as well.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Table,
    Text,
    bindparam,
    literal_column,
    select,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine

from scheduler.storage.dialect import insert_new, text_of


class Given:
    """
    A table that comes with the statement: `given.c[NAME]` is a column's value in each row.

    The statement takes what `of` returns for the rows as its parameter *name*.
    """

    def __init__(self, name: str, /, **types: TypeEngine[Any]) -> None:
        self.name = name
        rows = _Rows(bindparam(name, type_=Text())).table_valued("value", name=name)
        self.c: dict[str, ColumnElement[Any]] = {
            column: _Item(rows.c.value, place, kind)
            for place, (column, kind) in enumerate(types.items())
        }

    def of(self, rows: Iterable[tuple[Any, ...]]) -> dict[str, str]:
        """Return the parameter for *rows*, each with its values in the order of the columns."""
        return {self.name: _ENCODER.encode(list(rows))}


class GivenValues:
    """A list of values to look among: a statement of one form for any number of them."""

    def __init__(self, name: str, kind: TypeEngine[Any]) -> None:
        self._rows = Given(name, value=kind)

    def has(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that the value of *column* is among them: an index finds it."""
        return _IsAmong(column, select(self._rows.c["value"]).scalar_subquery())

    def of(self, values: Iterable[Any]) -> dict[str, str]:
        """Return the parameter for *values*."""
        return self._rows.of((value,) for value in values)


def insert_rows(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert *rows*, all with the same columns in the same order, as `insert_new` does."""
    if rows:
        columns = tuple(rows[0])
        given, insert = _insert_given(table, columns)
        conn.execute(insert, given.of(tuple(row.values()) for row in rows))


@cache
def _insert_given(table: Table, columns: tuple[str, ...]) -> tuple[Given, Insert]:
    given = Given("rows", **{name: table.c[name].type for name in columns})
    # Without a condition SQLite would take ON CONFLICT for that of a join.
    selected = select(*given.c.values()).where(true())
    return given, insert_new(table).from_select(columns, selected)


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return text_of(value)
    raise TypeError(f"a {type(value).__name__} cannot be given in JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_as_text)


class _Rows(FunctionElement[Any]):
    """The JSON array taken apart into rows with a `value`."""

    name = "given_rows"
    inherit_cache = True


@compiles(_Rows, "sqlite")
def _rows_on_sqlite(rows: _Rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(rows.clauses, **options)})"


@compiles(_Rows, "postgresql")
def _rows_on_postgresql(rows: _Rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"jsonb_array_elements(CAST({compiler.process(rows.clauses, **options)} AS JSONB))"


class _Item(FunctionElement[Any]):
    """What stands at a place of the array that a row is."""

    name = "given_item"
    inherit_cache = True

    def __init__(self, row: ColumnElement[Any], place: int, kind: TypeEngine[Any]) -> None:
        super().__init__(row, literal_column(str(place)))
        self.type = kind


@compiles(_Item, "sqlite")
def _item_on_sqlite(item: _Item, compiler: SQLCompiler, **options: Any) -> str:
    row, place = (compiler.process(one, **options) for one in item.clauses)
    return f"json_extract({row}, '$[{place}]')"


@compiles(_Item, "postgresql")
def _item_on_postgresql(item: _Item, compiler: SQLCompiler, **options: Any) -> str:
    row, place = (compiler.process(one, **options) for one in item.clauses)
    kind = compiler.dialect.type_compiler_instance.process(item.type)
    return f"CAST({row} ->> {place} AS {kind})"


class _IsAmong(FunctionElement[Any]):
    """Tells whether a value is among those of a query."""

    name = "is_among"
    # Not Boolean: for that, SQLAlchemy writes `= 1` on SQLite, and no index helps any more.
    type = NullType()
    inherit_cache = True


@compiles(_IsAmong, "sqlite")
def _is_among_on_sqlite(is_among: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    value, query = (compiler.process(one, **options) for one in is_among.clauses)
    return f"{value} IN {query}"


@compiles(_IsAmong, "postgresql")
def _is_among_on_postgresql(is_among: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    value, query = (compiler.process(one, **options) for one in is_among.clauses)
    # As an array it counts as a few, and is looked up; as a query it counts as a hundred.
    return f"{value} = ANY (ARRAY{query})"
