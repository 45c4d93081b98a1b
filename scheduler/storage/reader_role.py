"""A role of PostgreSQL that may read our tables, and nothing else."""

from typing import Final

from sqlalchemy import Connection, text

from scheduler.domain.errors import Conflict
from scheduler.storage import access_tables
from scheduler.storage.tables import metadata

_NOT_SHOWN: Final = frozenset({access_tables.api_tokens.name, access_tables.api_sessions.name})
"""Who may ask over HTTP is no reader's business, not even as a digest."""


def grant_reader(conn: Connection, role: str) -> list[str]:
    """
    Let *role* read every table of ours but those of tokens; return their names.

    Raises Conflict where there are no roles (SQLite), where the server has none of that name, or
    where it could write: a reader that may write is none.
    """
    if conn.dialect.name != "postgresql":
        raise Conflict(
            "an SQLite file knows no roles: let the reader's user into the group of the file"
            " (docs/installation.md), or use `dca-scheduler db backup` and read the copy"
        )
    if conn.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is None:
        raise Conflict(f"the server has no role {role!r}: create it first, as `createuser` does")
    quote = conn.dialect.identifier_preparer.quote
    schema = quote(str(conn.scalar(text("SELECT current_schema()"))))
    reader = conn.dialect.identifier_preparer.quote_identifier(role)
    shown = {table.name for table in metadata.sorted_tables} - _NOT_SHOWN
    names = sorted(shown | {"alembic_version"})
    may_write = text("SELECT has_table_privilege(:role, 'runs', 'INSERT, UPDATE, DELETE')")
    if conn.scalar(may_write, {"role": role}):
        raise Conflict(f"role {role!r} may write to our tables: name one that may not")
    conn.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {reader}")
    for name in names:
        conn.exec_driver_sql(f"GRANT SELECT ON {schema}.{quote(name)} TO {reader}")
    return names
