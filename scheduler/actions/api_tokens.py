"""What a person can do with tokens of the HTTP surface, and with sessions begun by them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.access import (
    ALPHABET,
    ANY_COLLECTOR,
    SECRET_LENGTH,
    ApiToken,
    Scope,
    check_token_name,
    digest_of,
    prefix_of,
    token_of,
)
from scheduler.domain.errors import Conflict, InvalidInput, NotFound
from scheduler.domain.suggestions import did_you_mean
from scheduler.domain.timestamps import display_time
from scheduler.storage import api_tokens, definitions
from scheduler.storage.api_tokens import ApiSession, SessionKind
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.views.api_tokens import TokenView, token_view

SESSION_LASTS: Final = timedelta(hours=12)
"""How long a browser stays signed in at the most."""

LINK_LASTS: Final = timedelta(minutes=15)
"""How long a link to sign in once is good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token just made. The *token* itself is shown now, and never again."""

    token: str
    view: TokenView


def create_token(
    conn: Connection,
    name: str,
    *,
    scope: Scope,
    collectors: Sequence[str] = (),
    expires_at: datetime | None = None,
    by: str,
    now: datetime,
) -> NewToken:
    """
    Make a token of 256 random bits; only its SHA-256 is kept.

    A trigger token names its *collectors*, `*` for every one; no other has any.
    """
    check_token_name(name)
    _check_collectors(conn, scope, collectors)
    if expires_at is not None and expires_at <= now:
        raise InvalidInput(f"its end, {display_time(expires_at)}, is in the past")
    token = token_of(_random_secret())
    kept = ApiToken(
        name=name,
        prefix=prefix_of(token),
        digest=digest_of(token),
        scope=scope,
        collectors=",".join(collectors) or None,
        created_at=now,
        created_by=by,
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
        revoked_by=None,
    )
    api_tokens.insert_token(conn, kept)
    columns = {
        "scope": (None, scope),
        "collectors": (None, kept.collectors),
        "expires_at": (None, expires_at),
    }
    record_change(conn, by, "create", f"api_tokens.{name}", columns, now=now)
    return NewToken(token=token, view=token_view(kept))


def revoke_token(conn: Connection, name: str, *, by: str, now: datetime) -> TokenView:
    """Let a token, and every session begun with it, in no more; it cannot be taken back."""
    token = api_tokens.get_token(conn, name)
    if token.revoked_at is not None:
        raise Conflict(f"token {name!r} was revoked at {display_time(token.revoked_at)}")
    api_tokens.set_revoked(conn, name, by=by, now=now)
    record_change(conn, by, "revoke", f"api_tokens.{name}", now=now)
    return token_view(api_tokens.get_token(conn, name))


def record_use(conn: Connection, name: str, *, session: str | None, now: datetime) -> None:
    """Note that a token, and the *session* that it was used by, are in use."""
    api_tokens.record_token_used(conn, name, now=now)
    if session is not None:
        api_tokens.record_session_used(conn, digest_of(session), now=now)


def begin_session(conn: Connection, name: str, *, address: str, now: datetime) -> str:
    """Sign a browser in with the token *name*; return the random value of its cookie."""
    return _insert_session(conn, name, SessionKind.SESSION, SESSION_LASTS, address, now)


def make_link(conn: Connection, name: str, *, by: str, now: datetime) -> str:
    """Return a code that signs in once with the token *name*, instead of the token."""
    if not api_tokens.get_token(conn, name).is_good(now):
        raise Conflict(f"token {name!r} lets nobody in any more: it was revoked, or has ended")
    record_change(conn, by, "link", f"api_tokens.{name}", now=now)
    return _insert_session(conn, name, SessionKind.LINK, LINK_LASTS, None, now)


def follow_link(conn: Connection, code: str, *, address: str, now: datetime) -> str | None:
    """Sign in with a link's code; None if it was used, has ended, or its token has."""
    link = api_tokens.find_session(conn, digest_of(code), SessionKind.LINK)
    if link is None or not api_tokens.delete_session(conn, link.digest):
        return None
    token = api_tokens.get_token(conn, link.token)
    if now >= link.expires_at or not token.is_good(now):
        return None
    return begin_session(conn, link.token, address=address, now=now)


def end_session(conn: Connection, secret: str) -> None:
    """Sign a browser out."""
    api_tokens.delete_session(conn, digest_of(secret))


def _random_secret() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))


def _insert_session(
    conn: Connection,
    name: str,
    kind: SessionKind,
    lasts: timedelta,
    address: str | None,
    now: datetime,
) -> str:
    secret = _random_secret()
    session = ApiSession(
        digest=digest_of(secret),
        kind=kind,
        token=name,
        address=address,
        created_at=now,
        used_at=now,
        expires_at=now + lasts,
    )
    api_tokens.insert_session(conn, session)
    return secret


def _check_collectors(conn: Connection, scope: Scope, collectors: Sequence[str]) -> None:
    if scope is not Scope.TRIGGER:
        if collectors:
            raise InvalidInput(f"only a trigger token has collectors, and its scope is {scope}")
        return
    if not collectors:
        raise InvalidInput(
            f"a trigger token spends money: name the collectors it may trigger,"
            f" or {ANY_COLLECTOR} for every one"
        )
    names = [collector.name for collector in definitions.list_collectors(conn)]
    for name in collectors:
        if name != ANY_COLLECTOR and name not in names:
            raise NotFound(f"no collector is called {name!r}{did_you_mean(name, names)}")
