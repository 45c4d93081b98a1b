"""
All rows of one database into another of any brand, whole or not at all.

Which tables there are is `tables.metadata`'s matter: a new one is copied without a word here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, delete, func, insert, inspect, literal, select
from sqlalchemy.exc import DBAPIError

from scheduler.domain.errors import Conflict
from scheduler.storage.dialect import defer_foreign_keys, last_number, set_last_number, triggers_off
from scheduler.storage.run_events import places_without_transactions
from scheduler.storage.tables import event_cursors, metadata

Progress = Callable[[str, int, int], None]
"""Is told a table, how many of its rows are done, and how many there are."""

_WRITTEN_BY_MIGRATIONS: Final = frozenset({event_cursors.name})
_FETCHED: Final = 100
_ROWS_AT_ONCE: Final = 1000
_TEXT_AT_ONCE: Final = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many rows a table has, and a checksum of all that stands in them, in any order."""

    table: str
    rows: int
    checksum: str


def no_progress(table: str, done: int, total: int) -> None:
    """Tell nobody."""


def is_empty(conn: Connection) -> bool:
    """Tell whether none of our tables is there, or none has a row but what migrations write."""
    there = set(inspect(conn).get_table_names()) & metadata.tables.keys()
    return not any(
        conn.execute(select(literal(1)).select_from(metadata.tables[name]).limit(1)).first()
        for name in there - _WRITTEN_BY_MIGRATIONS
    )


def copy_all(
    source: Connection, target: Connection, *, progress: Progress = no_progress
) -> list[Tally]:
    """
    Replace all rows of *target* by those of *source*, one moment's; both have the newest schema.

    No trigger fires on them. They are read back: raises Conflict where a row cannot be written,
    or a table is not what was read. All is in the transactions of the two connections.
    """
    places = places_without_transactions(source)
    with triggers_off(target, [table.name for table in metadata.sorted_tables]):
        defer_foreign_keys(target)
        for table in reversed(metadata.sorted_tables):
            target.execute(delete(table))
        copied = [
            _copy(source, target, table, places, progress) for table in metadata.sorted_tables
        ]
    for table in metadata.sorted_tables:
        set_last_number(target, table, last_number(source, table))
    _require_same(copied, tally(target, progress=progress))
    return copied


def tally(conn: Connection, *, progress: Progress = no_progress) -> list[Tally]:
    """Read all rows of all tables, and count them."""
    return [
        _tallied(table, _counted(conn, table, progress, "reading back "))
        for table in metadata.sorted_tables
    ]


def _copy(
    source: Connection, target: Connection, table: Table, places: dict[str, int], progress: Progress
) -> Tally:
    def rows() -> Iterator[Sequence[Any]]:
        for chunk in _chunks(_counted(source, table, progress)):
            values = [_adapted(table, row, places) for row in chunk]
            _write(target, table, values)
            yield from (tuple(one.values()) for one in values)

    return _tallied(table, rows())


def _counted(
    conn: Connection, table: Table, progress: Progress, what: str = ""
) -> Iterator[Row[Any]]:
    total = conn.scalar(select(func.count()).select_from(table)) or 0
    # By key: a row that names another of its table comes after it.
    query = select(table).order_by(*table.primary_key.columns)
    rows = conn.execute(query, execution_options={"yield_per": _FETCHED})
    for done, row in enumerate(rows, start=1):
        yield row
        if done % _ROWS_AT_ONCE == 0:
            progress(what + table.name, done, total)
    progress(what + table.name, total, total)


def _chunks(rows: Iterable[Row[Any]]) -> Iterator[list[Row[Any]]]:
    chunk: list[Row[Any]] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(len(value) for value in row if isinstance(value, str))
        if len(chunk) >= _ROWS_AT_ONCE or size >= _TEXT_AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _adapted(table: Table, row: Row[Any], places: dict[str, int]) -> dict[str, Any]:
    """Return the columns of a row, without the numbers of the source's own transactions."""
    values = dict(row._mapping)
    if "transaction_id" in values:
        values["transaction_id"] = 0
    if table is event_cursors:
        values["event_id"] = places[values["consumer"]]
    return values


def _write(target: Connection, table: Table, values: list[dict[str, Any]]) -> None:
    try:
        with target.begin_nested():
            target.execute(insert(table), values)
    except DBAPIError as error:
        if len(values) > 1:
            for one in values:
                _write(target, table, [one])
            return
        key = ", ".join(str(values[0][column.name]) for column in table.primary_key.columns)
        reason = str(error.orig).strip().splitlines()[0]
        raise Conflict(
            f"the row {key} of {table.name} cannot be copied: {reason}: mend it, and begin anew"
        ) from error


def _tallied(table: Table, rows: Iterable[Sequence[Any]]) -> Tally:
    count = total = 0
    for row in rows:
        count += 1
        text = repr(tuple(row)).encode("utf-8", "backslashreplace")
        # A sum, for two databases sort text each in its own way.
        total += int.from_bytes(blake2b(text, digest_size=16).digest())
    return Tally(table=table.name, rows=count, checksum=f"{total % 2**128:032x}")


def _require_same(copied: list[Tally], read_back: list[Tally]) -> None:
    for one, other in zip(copied, read_back, strict=True):
        if one != other:
            raise Conflict(
                f"{one.table} reads back otherwise than it was written: {one.rows} rows"
                f" ({one.checksum}), {other.rows} rows ({other.checksum}); nothing was kept"
            )
