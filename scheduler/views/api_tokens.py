"""Tokens of the HTTP surface as they are shown, and who a secret lets in."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.access import ApiToken, Scope, digest_of, is_token, prefix_of
from scheduler.storage import api_tokens
from scheduler.storage.api_tokens import SessionKind
from scheduler.storage.database import Connection
from scheduler.views.decoding import view

IDLE: Final = timedelta(minutes=30)
"""A session that is not used for so long is over."""

EXPIRES_SOON: Final = timedelta(days=14)
"""A token that ends within this time is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token: *prefix* is what it begins with, the rest is nowhere."""

    name: str
    prefix: str
    scope: Scope
    collectors: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None


def list_tokens(conn: Connection) -> tuple[TokenView, ...]:
    """Return every token, by name, revoked ones included."""
    return tuple(token_view(token) for token in api_tokens.list_tokens(conn))


def token_view(token: ApiToken) -> TokenView:
    """Return what is shown of a token."""
    return view(TokenView, token)


def find_holder(conn: Connection, token: str, *, now: datetime) -> TokenView | None:
    """Return whose *token* that is, as a client sends it; None if it lets nobody in."""
    if not is_token(token):
        return None
    found = api_tokens.find_token_by_prefix(conn, prefix_of(token))
    is_it = found is not None and hmac.compare_digest(found.digest, digest_of(token))
    return token_view(found) if found is not None and is_it and found.is_good(now) else None


def find_session_holder(conn: Connection, secret: str, *, now: datetime) -> TokenView | None:
    """Return whose session has that cookie; None if it is over, or its token lets nobody in."""
    session = api_tokens.find_session(conn, digest_of(secret), SessionKind.SESSION)
    if session is None or now >= min(session.expires_at, session.used_at + IDLE):
        return None
    token = api_tokens.get_token(conn, session.token)
    return token_view(token) if token.is_good(now) else None


def list_expiring(conn: Connection, *, now: datetime) -> tuple[TokenView, ...]:
    """Return the tokens that end soon, or ended lately and were not revoked."""
    return tuple(
        token_view(token)
        for token in (api_tokens.list_tokens(conn) if api_tokens.may_list(conn) else ())
        if token.revoked_at is None
        and token.expires_at is not None
        and abs(token.expires_at - now) <= EXPIRES_SOON
    )
