"""A colleague reads the database: a role of PostgreSQL that may, and may nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.storage import reader_role
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedReader:
    """The role, and the tables that it may read."""

    role: str
    tables: Sequence[str]


def grant_reader(conn: Connection, role: str, *, by: str, now: datetime) -> GrantedReader:
    """Let *role* read all but the tokens; raises Conflict where that cannot be, or it may write."""
    tables = reader_role.grant_reader(conn, role)
    record_change(conn, by, "grant-reader", "database", {"reader": (None, role)}, now=now)
    return GrantedReader(role=role, tables=tables)
