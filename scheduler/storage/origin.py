"""
On PostgreSQL: whether the rows were written here, or brought from elsewhere since.

One row names its own table and the transaction that wrote it. Whatever brings rows (pg_restore,
also of data alone, a logical replica) writes it anew, in another transaction: so that is known at
any time, by no more than a look. It names the server and its timeline as well: a base backup that
was recovered, to whatever point in time, is on another, and so is a standby that was promoted,
which lacks nothing. Daemons that live through such a change are told by their heartbeats.
"""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.exc import DBAPIError

from scheduler.domain.errors import DatabaseUnfit
from scheduler.domain.timestamps import display_time
from scheduler.storage.restores import MOVED_COMMAND, SETTLE_COMMAND
from scheduler.storage.tables import changes, run_events
from scheduler.storage.upkeep_tables import daemons, origins

_LIVED_THROUGH: Final = timedelta(minutes=15)
"""A standby takes over sooner; what takes longer may be a copy that was put back."""

_NOT_NOTICED: Final = {
    "postgresql": "files of a stopped server that are put back into their place, or a standby that"
    " lagged, while no daemon worked",
    "sqlite": "an old file without the .seen and .departed of the one that it replaces beside it",
}


class Origin(NamedTuple):
    """Where a row was written."""

    table_oid: int
    transaction_id: int
    system_identifier: str | None
    timeline: int | None

    def has_rows_of(self, other: "Origin") -> bool:
        """Tell whether it is the same row of the same table."""
        return self[:2] == other[:2]

    def is_on_server_of(self, other: "Origin") -> bool:
        """Tell whether both are of one server's one life; also where that may not be asked."""
        return None in (*self[2:], *other[2:]) or self[2:] == other[2:]


def mark_origin(conn: Connection) -> bool:
    """Have the row say where it is, if it says nothing yet, or the server's life is another."""
    if not needs_mark(conn):
        return False
    written = conn.execute(_WRITE, _read_server(conn)).scalar_one()
    conn.execute(_NAME_ITSELF, {"transaction_id": written})
    return True


def needs_mark(conn: Connection) -> bool:
    """Tell whether there is something to write for `mark_origin`."""
    if conn.dialect.name != "postgresql":
        return False
    told, real = _read(conn)
    return told is None or (told.has_rows_of(real) and not told.is_on_server_of(real))


def forget_origin(conn: Connection) -> None:
    """Let the rows be those of this database, wherever they came from."""
    conn.execute(delete(origins))


def find_brought(conn: Connection, *, now: datetime | None = None) -> str | None:
    """
    Say that the rows were brought here; None where nothing tells of it.

    Without *now*, of a daemon that is up, the server may have become another.
    """
    if conn.dialect.name != "postgresql":
        return None
    told, real = _read(conn)
    if told is None:
        return None
    if not told.has_rows_of(real):
        return (
            "the tables of this database were restored from a dump, and what was sent since it was"
            f" made is not in them. {_ON}"
        )
    seen_at = conn.scalar(select(func.max(daemons.c.seen_at)))
    if told.is_on_server_of(real) or now is None or seen_at is None:
        return None
    if abs(now - seen_at) < _LIVED_THROUGH:
        return None
    return (
        "this is another server than the one a daemon last worked on, at"
        f" {display_time(seen_at)}, or one that was recovered since: what was sent after its copy"
        f" was made is not in it. {_ON}"
    )


_ON: Final = (
    f"Nothing is sent until `{SETTLE_COMMAND}` says how to go on; where nothing is missing, as"
    f" after a move, `{MOVED_COMMAND}` does"
)


def find_last_written(conn: Connection, *, before: datetime) -> datetime:
    """Return the time of the newest that is noted of runs and by people *before* then."""
    newest = [
        conn.scalar(select(func.max(table.c.happened_at)).where(table.c.happened_at <= before))
        for table in (run_events, changes)
    ]
    return max((moment for moment in newest if moment is not None), default=before)


def what_is_not_noticed(conn: Connection) -> str:
    """Say which old copies of the database no daemon holds back from."""
    copies = _NOT_NOTICED[conn.dialect.name]
    return f"{copies}: run `{SETTLE_COMMAND}` before a daemon starts on one"


def require_original(conn: Connection, *, now: datetime | None = None) -> None:
    """Raise DatabaseUnfit for rows that were brought here, and not settled since."""
    if brought := find_brought(conn, now=now):
        raise DatabaseUnfit(brought)


_READ: Final = text(
    "SELECT table_oid, transaction_id, system_identifier, timeline,"
    " CAST(CAST('origins' AS regclass) AS oid)::bigint AS oid,"
    " CAST(CAST(xmin AS text) AS bigint) AS written_by FROM origins WHERE id = 1"
)
# The transaction of a savepoint is its own: what wrote the row is read back.
_WRITE: Final = text(
    "INSERT INTO origins (id, table_oid, transaction_id, system_identifier, timeline)"
    " VALUES (1, CAST(CAST('origins' AS regclass) AS oid)::bigint, 0, :system, :timeline)"
    " ON CONFLICT (id) DO UPDATE SET system_identifier = :system, timeline = :timeline"
    " RETURNING CAST(CAST(xmin AS text) AS bigint)"
)
_NAME_ITSELF: Final = text("UPDATE origins SET transaction_id = :transaction_id WHERE id = 1")
_SERVER: Final = text(
    "SELECT CAST(system_identifier AS text) AS system,"
    " CAST(CAST(('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8)) AS bit(32)) AS integer)"
    " AS timeline FROM pg_control_system()"
)


def _read(conn: Connection) -> tuple[Origin | None, Origin]:
    """Return what the row tells, and what is so."""
    server = _read_server(conn)
    row = conn.execute(_READ).one_or_none()
    if row is None:
        return None, Origin(0, 0, server["system"], server["timeline"])
    return (
        Origin(row.table_oid, row.transaction_id, row.system_identifier, row.timeline),
        Origin(row.oid, row.written_by, server["system"], server["timeline"]),
    )


def _read_server(conn: Connection) -> dict[str, Any]:
    try:
        with conn.begin_nested():
            return dict(conn.execute(_SERVER).one()._mapping)
    except DBAPIError:  # some let nobody ask
        return {"system": None, "timeline": None}
