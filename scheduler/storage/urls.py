"""Database URLs: how they are read, and how they are shown."""

import re
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import make_url
from sqlalchemy.engine import URL

from scheduler.config.database_url import check_password
from scheduler.domain.errors import DatabaseUnfit

_SEVERAL_HOSTS = re.compile(r"([\w+]+://(?:[^:/?@]*(?::[^@]*)?@)?)([^/?@]*,[^/?@]*)(.*)", re.S)


def parse_url(url: str) -> URL:
    """Read a database URL and name its driver; raise DatabaseUnfit for other brands."""
    try:
        check_password(url)
    except ValueError as error:
        raise DatabaseUnfit(f"database.url {error}") from None
    try:
        parsed = _parsed(url)
    except Exception as error:
        raise DatabaseUnfit(
            "database.url is not a database URL: write sqlite:///FILE or"
            " postgresql://USER@HOST:PORT/NAME"
        ) from error
    match parsed.get_backend_name():
        case "sqlite":
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        case brand:
            raise DatabaseUnfit(f"database.url names {brand}: use sqlite:///FILE or postgresql://…")


def _parsed(url: str) -> URL:
    """Read *url*; several hosts as libpq writes them, `HOST:PORT,HOST:PORT`, become its query."""
    several = _SEVERAL_HOSTS.fullmatch(url) if url.startswith("postgresql") else None
    if several is None:
        return make_url(url)
    head, hosts, tail = several.groups()
    pairs = [re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d*))?", host) for host in hosts.split(",")]
    names = [unquote(pair[1].strip("[]")) for pair in pairs if pair]
    ports = [pair[2] or "" for pair in pairs if pair]
    if len(names) < len(pairs):
        raise ValueError("a host that is none")
    query = {"host": ",".join(names)} | ({"port": ",".join(ports)} if any(ports) else {})
    return make_url(head + tail).update_query_dict(query)


def shown_url(url: str) -> str:
    """Return *url* as one writes it, for messages, without its passwords, wherever they stand."""
    parsed = parse_url(url)
    secret = [key for key in parsed.query if "password" in key.lower()]
    shown = parsed.set(drivername=parsed.get_backend_name()).difference_update_query(secret)
    return shown.render_as_string(hide_password=True)


def sqlite_file(url: str) -> Path | None:
    """Return the file behind *url*; None for PostgreSQL. A database in memory is refused."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if parsed.database in (None, "", ":memory:"):
        raise DatabaseUnfit("database.url names no file: what is in memory is lost at a restart")
    return Path(str(parsed.database))
