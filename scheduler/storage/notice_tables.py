"""The tables of what is wrong, and of who is told: `tables` has all others."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, text

from scheduler.domain.notices import NoticeChange
from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.key_columns import boolean, one_of
from scheduler.storage.metadata import metadata

_OPEN: Final = text("recovered_at IS NULL")
_UNSENT: Final = text("delivery IS NULL")
_UNSETTLED: Final = text("settled_at IS NULL")
_GIVEN_UP: Final = text("outcome = 'given_up'")

alerts = Table(
    "alerts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("schedule", Text),
    Column("collector", Text),
    Column("labels", Text),
    Column("since", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("detail", Text),
    # No key: the alert outlives its run.
    Column("run_id", Id),
    Column("recovered_at", UtcDateTime),
    Column("acked_at", UtcDateTime),
    Column("acked_by", Text),
    Column("acked_reason", Text),
    Column("acked_until", UtcDateTime),
    Index(
        "uq_alerts_open", "kind", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
    ),
    Index("ix_alerts_recovered_at", "recovered_at"),
)

# One message to one channel: its notices are fixed before it is sent, so that its id tells repeats.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    # Whether it holds all that waited, or one thing by itself.
    Column("is_group", boolean("is_group"), nullable=False, server_default=text("TRUE")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # Before that nobody tries: it is also the lease of who does.
    Column("next_attempt_at", UtcDateTime),
    Column("settled_at", UtcDateTime),
    Column("outcome", Text),
    Column("last_error", Text),
    one_of("outcome", ("delivered", "given_up")),
    Index(
        "ix_deliveries_unsettled",
        "channel",
        "next_attempt_at",
        sqlite_where=_UNSETTLED,
        postgresql_where=_UNSETTLED,
    ),
    Index("ix_deliveries_created_at", "created_at"),
    Index(
        "ix_deliveries_given_up", "settled_at", sqlite_where=_GIVEN_UP, postgresql_where=_GIVEN_UP
    ),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Id, primary_key=True),
    Column("alert_id", ForeignKey("alerts.id")),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("delivery", ForeignKey("deliveries.id")),
    one_of("change", NoticeChange),
    Index("ix_notices_alert_id", "alert_id", "channel", "created_at"),
    Index("ix_notices_delivery", "delivery"),
    Index("ix_notices_unsent", "channel", "id", sqlite_where=_UNSENT, postgresql_where=_UNSENT),
)
