"""What the upstream was asked of accounts, and what it says that it bills."""

from sqlalchemy import Column, Float, ForeignKey, Table, Text

from scheduler.domain.account_questions import AccountCall, BilledBy
from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.key_columns import one_of
from scheduler.storage.metadata import metadata


def _of_account() -> Column[str]:
    named = ForeignKey("accounts.name", onupdate="CASCADE", ondelete="CASCADE")
    return Column("account", named, primary_key=True)


account_questions = Table(
    "account_questions",
    metadata,
    _of_account(),
    Column("call", Text, primary_key=True),
    # Not asked before that; NULL: only on a word.
    Column("next_at", UtcDateTime),
    Column("asked_at", UtcDateTime),
    Column("answered_at", UtcDateTime),
    Column("trouble", Text),
    Column("answer", Text),
    one_of("call", AccountCall),
)

# The names are those of the run at the time: it may be forgotten since. No key to it.
billed = Table(
    "billed",
    metadata,
    _of_account(),
    Column("day", Text, primary_key=True),
    Column("by", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("money", Float, nullable=False),
    Column("run_id", Id),
    Column("schedule", Text),
    Column("collector", Text),
    Column("labels", Text),
    one_of("by", BilledBy),
)
