"""
Counts for the metrics: small aggregate rows, so that a scrape costs nothing for a stored run.

A daemon writes what it has counted into rows of its own, in absolute figures: a commit whose answer
was lost is written again and counts once. When it is gone its rows are added to those without a
writer, so that no sum ever falls.
"""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, exists, func, literal, select, true

from scheduler.domain.tally import Key
from scheduler.storage.dialect import Inserted, insert_or_update
from scheduler.storage.json_rows import JsonRows
from scheduler.storage.tables import daemons, tallies

_NOBODY: Final = ""
_ROWS = JsonRows("rows", **{name: column.type for name, column in tallies.c.items()})


def write(conn: Connection, daemon: str, values: Mapping[Key, float]) -> None:
    """Note how far *daemon* has counted; what is not among *values* stays as it is."""
    _insert(conn, daemon, values, lambda row: {"value": row.value})


def add(conn: Connection, values: Mapping[Key, float]) -> None:
    """Add *values* to what belongs to no daemon."""
    _insert(conn, _NOBODY, values, lambda row: {"value": tallies.c.value + row.value})


def fold(conn: Connection, daemon: str) -> None:
    """Add what *daemon* counted to what belongs to nobody: it writes no more."""
    _fold(conn, tallies.c.writer == daemon)


def fold_all(conn: Connection) -> None:
    """Add what any daemon counted to what belongs to nobody: none of them lives."""
    _fold(conn, tallies.c.writer > _NOBODY)


def fold_gone(conn: Connection) -> None:
    """Add what daemons counted that are known no more to what belongs to nobody."""
    is_known = exists(select(literal(1)).where(daemons.c.id == tallies.c.writer))
    _fold(conn, tallies.c.writer > _NOBODY, ~is_known)


def read_sums(conn: Connection, metrics: Collection[str]) -> dict[Key, float]:
    """Return how far all have counted together."""
    rows = conn.execute(
        select(tallies.c.metric, tallies.c.labels, func.sum(tallies.c.value))
        .where(tallies.c.metric.in_(metrics))
        .group_by(tallies.c.metric, tallies.c.labels)
    )
    return {(metric, _labels_of(labels)): value for metric, labels, value in rows}


def _insert(
    conn: Connection,
    writer: str,
    values: Mapping[Key, float],
    update: Callable[[Inserted], Mapping[str, Any]],
) -> None:
    if not values:
        return
    # In one order: two that add to the same rows never wait for each other in a circle.
    rows = [
        (metric, _text_of(labels), writer, values[metric, labels])
        for metric, labels in sorted(values)
    ]
    # Without a condition SQLite would take ON CONFLICT for that of a join.
    given = select(*_ROWS.c.values()).where(true())
    conn.execute(
        insert_or_update(tallies, update).from_select(tuple(_ROWS.c), given), _ROWS.of(rows)
    )


def _fold(conn: Connection, *which: ColumnElement[bool]) -> None:
    gone = conn.execute(
        delete(tallies).where(*which).returning(tallies.c.metric, tallies.c.labels, tallies.c.value)
    )
    sums: dict[Key, float] = {}
    for metric, labels, value in gone:
        key = (metric, _labels_of(labels))
        sums[key] = sums.get(key, 0.0) + value
    add(conn, sums)


def _text_of(labels: tuple[str, ...]) -> str:
    return json.dumps(labels, ensure_ascii=False, separators=(",", ":"))


def _labels_of(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
