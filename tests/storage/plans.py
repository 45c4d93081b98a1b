"""Statements caught on their way to the database, and what its plan for each of them reads."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection, event

from scheduler.storage import tables
from scheduler.storage.database import Database

GROWING: Final = (
    *("runs", "schedules", "attempts", "collections", "bodies", "last_ends"),
    *("alerts", "notices", "deliveries", "changes", "holds", "results"),
)

_GROWING_INDEXES: Final = (
    "uq_runs_schedule_due_at_chunk",
    "ix_runs_waits_for",
    "ix_runs_retry_of",
    "ix_schedules_due",
)

OPEN_WORK: Final = {
    index.name
    for table in tables.metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["postgresql"]["where"] is not None
    and index.name not in _GROWING_INDEXES
}
"""Indexes that follow open work: reading through one of them costs what is open."""


_PLANNED: Final = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


@contextmanager
def caught(db: Database) -> Iterator[tuple[Connection, list[tuple[str, Any]]]]:
    """Give a transaction that is taken back, and every statement that is sent in it."""
    statements: list[tuple[str, Any]] = []
    with suppress(_Undo), db.writing() as conn:

        @event.listens_for(conn, "before_cursor_execute")
        def catch(*sent: Any) -> None:
            _, _, statement, parameters, _, is_many = sent
            if statement.startswith(_PLANNED):
                statements.append((statement, parameters[0] if is_many else parameters))

        yield conn, statements
        raise _Undo


class _Undo(Exception):
    """Takes the transaction back."""


def plan(conn: Connection, statement: str, parameters: Any) -> Any:
    """Return the database's plan for a statement: steps on SQLite, a tree on PostgreSQL."""
    if conn.dialect.name == "sqlite":
        found = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row.detail for row in found]
    # The plan for any parameters, which is the one that our sessions ask for.
    driver: Any = conn.connection.driver_connection
    with driver.cursor() as cursor:
        # What the driver prepares, it has no parameters for.
        explain = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {_numbered(statement)}"
        (answer,) = cursor.execute(explain, prepare=False).fetchone()
    return answer


def plan_carried_out(conn: Connection, statement: str, parameters: Any) -> dict[str, Any]:
    """Carry a statement out again on PostgreSQL; return its plan with the rows of each step."""
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {_repeatable(statement)}"
    answer = conn.exec_driver_sql(explain, parameters).scalar_one()
    found = answer if isinstance(answer, list) else json.loads(answer)
    return dict(found[0]["Plan"])


def _repeatable(statement: str) -> str:
    """Return what an INSERT selects: a unique index refuses the rest the second time."""
    if not statement.startswith("INSERT"):
        return statement
    return statement[statement.index("SELECT") :].split("ON CONFLICT")[0]


def _numbered(statement: str) -> str:
    """Return the statement with its parameters as PostgreSQL writes them: $1, $2, …"""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    return re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", statement)


_FIRST_OF_ALL: Final = re.compile(r"\sFROM (\w+) ORDER BY \1\.id\s+LIMIT ")


def scans(conn: Connection, statement: str, parameters: Any) -> list[str]:
    """
    Return the steps of the statement's plan that read through a table that grows.

    The least and the most of an index, and the first of all rows up to a limit, are read from its
    ends, and that does not.
    """
    if re.match(r"SELECT (min|max)\(runs\.id\)", statement) or _FIRST_OF_ALL.search(statement):
        return []
    found = plan(conn, statement, parameters)
    if conn.dialect.name == "sqlite":
        return [step for step in found if _is_sqlite_scan(step, _names(statement))]
    return [step for node in nodes(found[0]["Plan"]) if (step := _postgresql_scan(node))]


def _names(statement: str) -> set[str]:
    """Return the growing tables, and the other names that the statement gives them."""
    aliased = re.findall(rf"\b({'|'.join(GROWING)}) AS (\w+)", statement)
    return {*GROWING, *(alias for _, alias in aliased)}


def _is_sqlite_scan(step: str, names: set[str]) -> bool:
    scan = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
    return scan is not None and scan[1] in names and scan[2] not in OPEN_WORK


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a step of a plan, and all below it."""
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


_THROUGH_AN_INDEX: Final = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")


def _postgresql_scan(node: dict[str, Any]) -> str | None:
    kind, table, index = node["Node Type"], node.get("Relation Name"), node.get("Index Name")
    if kind == "Seq Scan" and table in GROWING:
        return f"{kind} on {table}"
    is_whole = kind in _THROUGH_AN_INDEX and "Index Cond" not in node and index not in OPEN_WORK
    if is_whole and (table is None or table in GROWING):
        return f"{kind} through all of {index}"
    return None
