"""
What a PostgreSQL database must be, and how each connection to it is made ready.

Whatever the server, the database, the role or a pooler sets otherwise is set for our session right
after the connect, not as a startup parameter, which some poolers refuse and some drop. What
cannot be set is refused. The URL's own options stay, but for what the promise rests on.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.pool import ConnectionPoolEntry

from scheduler.domain.errors import DatabaseUnfit
from scheduler.storage.lines import note_line, note_statement, shut
from scheduler.storage.urls import parse_url

# The other end of a line that is cut without a word is missed within 20 seconds.
_LINE: Final = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}

_REQUIRED: Final = {
    # An answer that is on record is on the disk. Who has more than that keeps it.
    "synchronous_commit": "CASE current_setting('synchronous_commit')"
    " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END",
    "TimeZone": "'UTC'",
    "DateStyle": "'ISO'",
    "standard_conforming_strings": "'on'",
    # Rows that a policy hides from us are an error, not absent.
    "row_security": "'off'",
}
"""What the promise, or the reading of what is stored, rests on."""

_USUAL: Final = {
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    # A daemon that was stopped inside a transaction holds up all others no longer than this.
    "idle_in_transaction_session_timeout": "10s",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    # Every statement of a pass finds its rows by an index, one by one, whatever it looks for: one
    # plan serves it always, and to plan one of those that claim takes longer than to carry it out.
    # That plan may be made while the tables are empty, when to read all of them looks cheap.
    "plan_cache_mode": "force_generic_plan",
    "random_page_cost": "1.1",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # Compiling is for what runs for seconds. What looks as dear here is over in milliseconds.
    "jit": "off",
}
"""What holds unless the URL's options say otherwise."""

_BY_INDEX: Final = {"enable_seqscan": "off"}
"""The same, of a daemon: its plans are made at its start, when all there is may be a row or two."""

_YOUNG: Final = ("runs", "run_events", "attempts", "collections", "schedules")
"""Tables that passes read, and that may be empty when a daemon's connection plans to."""

_GROWN: Final = 8
"""So many times the size that a table was planned for asks for plans made anew,"""

_PAGE: Final = 8192
"""in bytes, from one page on."""

_OPTION = re.compile(r"(?:-c\s*|--)([\w.-]+)=((?:\\.|[^\s\\])*)", re.S)
_SINCE: Final = {"idle_session_timeout": 140000, "transaction_timeout": 170000}
"""The server's version from which on there is such a setting."""


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return what psycopg's connect is given for *url*; raise DatabaseUnfit if it cannot be."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    try:
        _, given = url.get_dialect()().create_connect_args(url)
        arguments = {**_LINE, **given, "client_encoding": "utf8"}
        make_conninfo(**{key: value for key, value in arguments.items() if key != "context"})
    except (ProgrammingError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DatabaseUnfit(f"database.url cannot be used: {reason}") from error
    return arguments


def create_postgresql_engine(url: URL, *, by_index: bool = False) -> Engine:
    """Return an engine whose connections are made ready, if *by_index* to read through nothing."""
    try:
        connect_arguments(url)
    except ModuleNotFoundError as error:
        raise DatabaseUnfit("PostgreSQL needs its driver: pip install 'psycopg[binary]'") from error
    engine = create_engine(
        url,
        pool_size=4,
        max_overflow=8,
        # The one used last: its statements are prepared, and its process is awake.
        pool_use_lifo=True,
        hide_parameters=True,
        # Whatever the database's own default.
        isolation_level="READ COMMITTED",
    )
    _make_ready(engine, url, by_index=by_index)
    return engine


def _make_ready(engine: Engine, url: URL, *, by_index: bool) -> None:
    usual = _USUAL | _BY_INDEX if by_index else _USUAL

    @event.listens_for(engine, "do_connect")
    def on_do_connect(
        _dialect: object, entry: ConnectionPoolEntry, _args: object, given: dict[str, Any]
    ) -> Any:
        import psycopg

        # At its second use: what a pass asks, it asks for ever.
        connection = psycopg.connect(
            **{**_LINE, **given, "client_encoding": "utf8"}, prepare_threshold=1
        )
        try:
            note_line(partial(shut, connection.fileno()))
            entry.info["at_begin"] = prepare_session(connection, url, usual)
        except BaseException:
            connection.close()
            raise
        return connection

    @event.listens_for(engine, "checkin")
    def on_checkin(connection: Any, _: ConnectionPoolEntry) -> None:
        # After who only reads, SQLAlchemy has each transaction be READ WRITE, whatever is set.
        is_open = connection is not None and not connection.closed
        if is_open and connection.read_only is not None:
            connection.read_only = None

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        settings = connection.info.get("at_begin")
        if settings is not None:
            connection.exec_driver_sql(settings)
        elif by_index:
            _renew_plans(connection)

    @event.listens_for(engine, "before_cursor_execute")
    def on_statement(*_: object) -> None:
        note_statement()


def _renew_plans(conn: Connection) -> None:
    """
    Have a connection's plans made anew once a table has grown since, where it was small.

    Of a table of a page, by its statistics or in truth, each index looks as good as another, and
    so does reading all of one: such a plan is kept, and read 5,000 runs for each of 1,000 events.
    """
    sizes = conn.exec_driver_sql(_SIZES).one()
    planned_for = conn.info.setdefault("planned_for", sizes)
    if any(now > _GROWN * max(then, _PAGE) for now, then in zip(sizes, planned_for, strict=True)):
        conn.exec_driver_sql("DISCARD PLANS")
        conn.info["planned_for"] = sizes


_SIZES: Final = "SELECT " + ", ".join(
    f"coalesce(pg_relation_size(to_regclass('{table}')), 0)" for table in _YOUNG
)


def prepare_session(connection: Any, url: URL, usual: Mapping[str, str]) -> str | None:
    """
    Check a new connection, and set what must hold on it, and what is *usual*.

    Behind a pooler nothing can be set for a session, which may be another program's in the next
    transaction, and nothing prepared: the settings to begin each transaction with are returned.
    """
    connection.autocommit = True  # each statement for itself: no transaction's limit is at work
    pid = _require_fit(connection)
    version = connection.info.server_version
    at_begin = None
    if is_pooled(connection, pid):
        connection.prepare_threshold = None
        at_begin = session_settings(url, version, usual, is_local=True)
    else:
        connection.execute(session_settings(url, version, usual))
    connection.autocommit = False
    return at_begin


def _require_fit(connection: Any) -> int:
    """Raise DatabaseUnfit for what cannot be set for us; return the server's process."""
    row = connection.execute(
        "SELECT pg_backend_pid(), current_setting('server_encoding'), current_database(),"
        " current_setting('session_replication_role'), current_schema(),"
        " current_setting('search_path')"
    ).fetchone()
    pid, encoding, database, replication, schema, path = row
    if encoding != "UTF8":
        raise DatabaseUnfit(
            f"the database {database} keeps its text in {encoding}: dca-scheduler needs one made"
            " with ENCODING 'UTF8' (createdb --encoding=UTF8 --template=template0 NAME)"
        )
    if replication == "replica":
        raise DatabaseUnfit(
            f"session_replication_role is replica in the database {database}: no trigger would"
            " fire, and no history be kept (ALTER ROLE NAME RESET session_replication_role)"
        )
    if schema is None:
        raise DatabaseUnfit(
            f"search_path = {path} names no schema of the database {database} that this role may"
            " use: create it, GRANT USAGE ON SCHEMA, or name another (ALTER ROLE NAME SET"
            " search_path = …, or options in database.url)"
        )
    return int(pid)


def require_writable(conn: Connection) -> None:
    """Raise DatabaseUnfit where each of our sessions only reads, by what was set for them."""
    if conn.dialect.name != "postgresql":
        return
    # A standby, and what is set for the whole server, as for a full disk, end by themselves.
    found = conn.exec_driver_sql(
        "SELECT source, current_user AS role, current_database() AS database FROM pg_settings"
        " WHERE name = 'default_transaction_read_only'"
        "  AND setting = 'on' AND NOT pg_is_in_recovery()"
    ).first()
    if found is None:
        return
    options = "take that out of the options of database.url, or of PGOPTIONS"
    way_out = {
        "client": options,
        "session": options,  # `session_settings` has set it, as they say
        "global": "ALTER ROLE ALL RESET default_transaction_read_only",
        "user": f"ALTER ROLE {found.role} RESET default_transaction_read_only",
        "database": f"ALTER DATABASE {found.database} RESET default_transaction_read_only",
        "database user": f"ALTER ROLE {found.role} IN DATABASE {found.database} RESET"
        " default_transaction_read_only",
    }.get(found.source)
    if way_out is not None:
        raise DatabaseUnfit(
            "default_transaction_read_only is on for our sessions, so nothing can be written:"
            f" where that is no more meant, {way_out}"
        )


def is_pooled(connection: Any, pid: int | None) -> bool:
    """Tell whether a pooler stands between: the process it names is not the one that answers."""
    return bool(connection.info.backend_pid != pid)


def session_settings(
    url: URL, version: int, usual: Mapping[str, str] = _USUAL, *, is_local: bool = False
) -> str:
    """Return the statement that sets what must hold on a connection of that *version*."""
    own = _options_of(url)
    settings = {name: _literal(value) for name, value in ({**usual, **own}).items()} | _REQUIRED
    settings = {name: told for name, told in settings.items() if version >= _SINCE.get(name, 0)}
    local = "true" if is_local else "false"
    sets = (f"set_config({_literal(name)}, {value}, {local})" for name, value in settings.items())
    # No percent sign: the driver would take it for a parameter's.
    return f"SELECT {', '.join(sets)}".replace("%", "%%" if is_local else "%")


def _options_of(url: URL) -> Mapping[str, str]:
    """Return what the URL's options, or libpq's variable for them, set."""
    given = url.query.get("options", os.environ.get("PGOPTIONS", ""))
    text = given if isinstance(given, str) else " ".join(given)
    return {
        name.replace("-", "_").lower(): re.sub(r"\\(.)", r"\1", value)
        for name, value in _OPTION.findall(text)
    }


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"E'{escaped}'"


def listening_arguments(url: str) -> dict[str, Any]:
    """Return what a connection of its own is opened with, for the same server."""
    return connect_arguments(parse_url(url))
