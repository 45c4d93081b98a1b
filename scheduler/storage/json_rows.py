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
    Executable,
    Index,
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


class JsonRows:
    """
    A table that comes with the statement: `rows.c[NAME]` is a column's value in each row.

    The statement takes what `of` returns for the rows as its parameter *name*.
    """

    def __init__(self, name: str, /, **types: TypeEngine[Any]) -> None:
        self.name = name
        rows = _Rows(bindparam(name, type_=Text())).table_valued("value", name=name)
        self.c: dict[str, ColumnElement[Any]] = {
            column: _Item(rows.c.value, index, kind)
            for index, (column, kind) in enumerate(types.items())
        }

    def of(self, rows: Iterable[tuple[Any, ...]]) -> dict[str, str]:
        """Return the parameter for *rows*, each with its values in the order of the columns."""
        return {self.name: _ENCODER.encode(list(rows))}


class JsonValues:
    """A list of values to look among: a statement of one form for any number of them."""

    def __init__(self, name: str, kind: TypeEngine[Any]) -> None:
        self._rows = JsonRows(name, value=kind)

    def has(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that the value of *column* is among them: an index finds it."""
        return _IsAmong(column, select(self._rows.c["value"]).scalar_subquery())

    def of(self, values: Iterable[Any]) -> dict[str, str]:
        """Return the parameter for *values*."""
        return self._rows.of((value,) for value in values)


def insert_rows(
    conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, key: Index | None = None
) -> list[tuple[Any, ...]]:
    """
    Insert *rows*, all with the same columns in the same order, as `insert_new` does.

    Return the keys of those that are new.
    """
    if not rows:
        return []
    columns = tuple(rows[0])
    json_rows, insert = _insert_json(table, columns, key)
    new = conn.execute(insert, json_rows.of(tuple(row.values()) for row in rows))
    return [tuple(row) for row in new.all()]


@cache
def _insert_json(
    table: Table, columns: tuple[str, ...], key: Index | None
) -> tuple[JsonRows, Executable]:
    json_rows = JsonRows("rows", **{name: table.c[name].type for name in columns})
    # Without a condition SQLite would take ON CONFLICT for that of a join.
    selected = select(*json_rows.c.values()).where(true())
    insert = insert_new(table, key).from_select(columns, selected)
    return json_rows, insert.returning(
        *(key.columns if key is not None else table.primary_key.columns)
    )


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return text_of(value)
    raise TypeError(f"a {type(value).__name__} cannot be given in JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_as_text)


class _Rows(FunctionElement[Any]):
    """The JSON array taken apart into rows with a `value`."""

    name = "json_rows"
    inherit_cache = True


@compiles(_Rows, "sqlite")
def _rows_on_sqlite(rows: _Rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(rows.clauses, **options)})"


@compiles(_Rows, "postgresql")
def _rows_on_postgresql(rows: _Rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"jsonb_array_elements(CAST({compiler.process(rows.clauses, **options)} AS JSONB))"


class _Item(FunctionElement[Any]):
    """What stands at a place of the array that a row is."""

    name = "json_item"
    inherit_cache = True

    def __init__(self, row: ColumnElement[Any], index: int, kind: TypeEngine[Any]) -> None:
        super().__init__(row, literal_column(str(index)))
        self.type = kind


@compiles(_Item, "sqlite")
def _item_on_sqlite(item: _Item, compiler: SQLCompiler, **options: Any) -> str:
    row, index = (compiler.process(clause, **options) for clause in item.clauses)
    return f"json_extract({row}, '$[{index}]')"


@compiles(_Item, "postgresql")
def _item_on_postgresql(item: _Item, compiler: SQLCompiler, **options: Any) -> str:
    row, index = (compiler.process(clause, **options) for clause in item.clauses)
    kind = compiler.dialect.type_compiler_instance.process(item.type)
    return f"CAST({row} ->> {index} AS {kind})"


class _IsAmong(FunctionElement[Any]):
    """Tells whether a value is among those of a query."""

    name = "is_among"
    # Not Boolean: for that, SQLAlchemy writes `= 1` on SQLite, and no index helps any more.
    type = NullType()
    inherit_cache = True


@compiles(_IsAmong, "sqlite")
def _is_among_on_sqlite(is_among: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    value, query = (compiler.process(clause, **options) for clause in is_among.clauses)
    return f"{value} IN {query}"


@compiles(_IsAmong, "postgresql")
def _is_among_on_postgresql(is_among: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    value, query = (compiler.process(clause, **options) for clause in is_among.clauses)
    # As an array it counts as a few, and is looked up; as a query it counts as a hundred.
    return f"{value} = ANY (ARRAY{query})"
