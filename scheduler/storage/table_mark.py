"""
On PostgreSQL: a comment of `daemons` that tells which table it is.

A dump carries the comment along, and the table that a restore makes of it is another: so a
database that `pg_restore` brought back is known, at any time, by no more than a look. A dump
without comments, a physical copy and rows alone that are restored are not.
"""

import re
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from scheduler.domain.errors import DatabaseUnfit
from scheduler.storage.restores import SETTLE_COMMAND

_READ: Final = text(
    "SELECT CAST(CAST('daemons' AS regclass) AS oid)::bigint AS oid,"
    " obj_description(CAST('daemons' AS regclass), 'pg_class') AS comment"
)
_MARK: Final = re.compile(r"dca-scheduler made table (\d+)")


def mark_tables(conn: Connection) -> None:
    """Have the table say which one it is, if it says nothing yet; who does not own it may not."""
    if conn.dialect.name != "postgresql":
        return
    oid, marked = _read(conn)
    if marked is None:
        try:
            with conn.begin_nested():
                conn.execute(text(f"COMMENT ON TABLE daemons IS 'dca-scheduler made table {oid}'"))
        except DBAPIError:
            return  # the role does not own it: no restore is noticed


def forget_mark(conn: Connection) -> None:
    """Let the tables be those of this database, wherever they came from."""
    if conn.dialect.name == "postgresql" and _read(conn)[1] is not None:
        conn.execute(text("COMMENT ON TABLE daemons IS NULL"))


def find_restored(conn: Connection) -> str | None:
    """Say that the tables were brought here from a dump; None where nothing tells of it."""
    if conn.dialect.name != "postgresql":
        return None
    oid, marked = _read(conn)
    if marked in (None, oid):
        return None
    return (
        "the tables of this database were restored from a dump, and what was sent since it was made"
        f" is not in them. Nothing is sent until `{SETTLE_COMMAND}` says how to go on"
    )


def require_original(conn: Connection) -> None:
    """Raise DatabaseUnfit for tables that were restored from a dump, and not settled since."""
    if restored := find_restored(conn):
        raise DatabaseUnfit(restored)


def _read(conn: Connection) -> tuple[int, int | None]:
    oid, comment = conn.execute(_READ).one()
    mark = _MARK.fullmatch(comment or "")
    return int(oid), int(mark[1]) if mark else None
