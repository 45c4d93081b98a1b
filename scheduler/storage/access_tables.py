"""The tables of who may ask over HTTP, and of what they asked: `tables` has them with all."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text

from scheduler.storage.dialect import UtcDateTime
from scheduler.storage.metadata import metadata

# A token is kept as its SHA-256; its prefix is what people know it by, and it is found by.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("name", Text, primary_key=True),
    Column("prefix", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("collectors", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("revoked_by", Text),
    CheckConstraint("scope IN ('read', 'trigger', 'operate', 'admin')", name="scope"),
    Index("uq_api_tokens_prefix", "prefix", unique=True),
)

# Of a browser that has signed in, and of links to sign in once: a SHA-256 as well.
api_sessions = Table(
    "api_sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column(
        "token",
        ForeignKey("api_tokens.name", onupdate="CASCADE", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("address", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    CheckConstraint("kind IN ('session', 'link')", name="kind"),
)

# What a request under an Idempotency-Key was answered with, for a day.
request_answers = Table(
    "request_answers",
    metadata,
    Column("token", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("answer", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_request_answers_created_at", "created_at"),
)
