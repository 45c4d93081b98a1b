"""Tokens of the HTTP surface and the sessions that were begun with them: digests, no secret."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from scheduler.domain.access import ApiToken
from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.suggestions import did_you_mean
from scheduler.storage.rows import record, records, values_of
from scheduler.storage.tables import api_sessions, api_tokens


class SessionKind(StrEnum):
    """What a row of `api_sessions` is good for."""

    SESSION = "session"  # a browser that has signed in
    LINK = "link"  # to sign in once


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSession:
    """A session, or a link to begin one: it has what its token has, and ends with it."""

    digest: str
    kind: SessionKind
    token: str
    address: str | None
    created_at: datetime
    used_at: datetime
    expires_at: datetime


def insert_token(conn: Connection, token: ApiToken) -> None:
    """Write a new token; Conflict where one of its name is there, revoked ones included."""
    try:
        conn.execute(insert(api_tokens).values(**values_of(token)))
    except IntegrityError as error:
        raise Conflict(
            f"there is, or was, a token {token.name!r}: take another name, the audit knows that one"
        ) from error


def may_list(conn: Connection) -> bool:
    """Tell whether this role may: whom `grant_reader` has let in may not."""
    may = text("SELECT has_table_privilege('api_tokens', 'SELECT')")
    return conn.dialect.name == "sqlite" or bool(conn.scalar(may))


def list_tokens(conn: Connection) -> list[ApiToken]:
    """Return every token, by name."""
    return records(ApiToken, conn.execute(select(api_tokens).order_by(api_tokens.c.name)))


def find_token_by_prefix(conn: Connection, prefix: str) -> ApiToken | None:
    """Return the token that begins so, good or not."""
    rows = conn.execute(select(api_tokens).where(api_tokens.c.prefix == prefix)).mappings()
    row = rows.first()
    return None if row is None else record(ApiToken, row)


def get_token(conn: Connection, name: str) -> ApiToken:
    """Return the token of that name; raises NotFound."""
    rows = conn.execute(select(api_tokens).where(api_tokens.c.name == name)).mappings()
    row = rows.first()
    if row is None:
        names = conn.scalars(select(api_tokens.c.name))
        raise NotFound(f"no token is called {name!r}{did_you_mean(name, names)}")
    return record(ApiToken, row)


def set_revoked(conn: Connection, name: str, *, by: str, now: datetime) -> None:
    """Let a token, and the sessions begun with it, in no more."""
    conn.execute(
        update(api_tokens).where(api_tokens.c.name == name).values(revoked_at=now, revoked_by=by)
    )
    conn.execute(delete(api_sessions).where(api_sessions.c.token == name))


def record_token_used(conn: Connection, name: str, *, now: datetime) -> None:
    """Note that a token was used at that time."""
    conn.execute(update(api_tokens).where(api_tokens.c.name == name).values(last_used_at=now))


def insert_session(conn: Connection, session: ApiSession) -> None:
    """Write a new session or link, and forget those whose end has come."""
    conn.execute(delete(api_sessions).where(api_sessions.c.expires_at < session.created_at))
    conn.execute(insert(api_sessions).values(**values_of(session)))


def find_session(conn: Connection, digest: str, kind: SessionKind) -> ApiSession | None:
    """Return the session or link of that digest, ended or not."""
    query = select(api_sessions).where(api_sessions.c.digest == digest, api_sessions.c.kind == kind)
    row = conn.execute(query).mappings().first()
    return None if row is None else record(ApiSession, row)


def record_session_used(conn: Connection, digest: str, *, now: datetime) -> None:
    """Note that a session was used at that time."""
    conn.execute(update(api_sessions).where(api_sessions.c.digest == digest).values(used_at=now))


def delete_session(conn: Connection, digest: str) -> bool:
    """Forget a session or a link; False if it is gone already: a link works once."""
    deleted = conn.execute(delete(api_sessions).where(api_sessions.c.digest == digest))
    return deleted.rowcount == 1
