"""
The tables, made to be read and edited by people.

Names are keys, times are UTC, durations and crontab text stand as people write
them, NULL means "the default". Columns below `-- kept by the daemon` in
docs/database.md are its own; everything else may be edited at any time.
"""

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    literal_column,
    text,
)

from scheduler.domain.records import (
    ENDED_STATES,
    IN_LINE_STATES,
    OPEN_OUTCOMES,
    OPEN_STATES,
    UNSETTLED_STATES,
    AfterWhen,
    CatchUp,
    OnUnconfirmed,
    Origin,
    Outcome,
    Overlap,
    QueueOrder,
    Reason,
    RunState,
)
from scheduler.storage.dialect import Id, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _one_of(column: str, values: type[StrEnum] | Iterable[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({_quoted(values)})", name=column)


# Of PostgreSQL's integers. The bounds keep words out of SQLite's number columns as well, which
# would take them: there, text is greater than any number.
_LARGEST = 2**31 - 1


def _number(column: str, *, least: int = 1) -> CheckConstraint:
    return CheckConstraint(f"{column} BETWEEN {least} AND {_LARGEST}", name=column)


def _state_in(states: Iterable[str]) -> str:
    return f"state IN ({_quoted(states)})"


def in_state(table: FromClause, *states: RunState) -> ColumnElement[bool]:
    """
    Tell whether a run of *table* (runs, or an alias of it) is in one of *states*.

    The states stand in the SQL itself: neither database uses a partial index for a condition
    whose value it learns only when the statement is carried out.
    """
    values: list[ColumnElement[str]] = [literal_column(f"'{state}'") for state in states]
    return table.c.state == values[0] if len(values) == 1 else table.c.state.in_(values)


def _exactly_one_timetable() -> str:
    texts = ("cron", "every", "calendar_interval", "at", "after")
    given = [f"CASE WHEN {column} IS NULL THEN 0 ELSE 1 END" for column in texts]
    return " + ".join((*given, "CASE WHEN manual THEN 1 ELSE 0 END")) + " = 1"


def _boolean(column: str) -> Boolean:
    return Boolean(create_constraint=True, name=column)


def _origin() -> Column[str]:
    return Column("origin", Text, nullable=False, server_default=Origin.DATABASE)


accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("base_url", Text, nullable=False, server_default="https://api.brightdata.com"),
    Column("token", Text, nullable=False),
    Column("max_in_flight", Integer, nullable=False, server_default="32"),
    Column("requests_per_second", Float, nullable=False, server_default="20"),
    _origin(),
    CheckConstraint(
        "token LIKE 'env:%' OR token LIKE 'file:%' OR token LIKE 'credential:%'",
        name="token_is_a_reference",
    ),
    _number("max_in_flight"),
    CheckConstraint(
        "requests_per_second > 0 AND requests_per_second <= 1000000", name="requests_per_second"
    ),
    _one_of("origin", Origin),
)

brakes = Table(
    "brakes",
    metadata,
    Column(
        "account",
        ForeignKey("accounts.name", onupdate="CASCADE", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("tokens", Float, nullable=False, server_default="1"),
    Column("refilled_at", UtcDateTime),
    Column("open_until", UtcDateTime),
    Column("strikes", Integer, nullable=False, server_default="0"),
    Column("losses", Integer, nullable=False, server_default="0"),
    Column("slow_start", Integer),
    Column("paused_at", UtcDateTime),
    Column("paused_reason", Text),
    Column("paused_token", Text),
)

throttles = Table(
    "throttles",
    metadata,
    Column("id", Id, primary_key=True),
    Column(
        "account",
        ForeignKey("accounts.name", onupdate="CASCADE", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("at", UtcDateTime, nullable=False),
    # Nobody saw the answer: its daemon died. It counts once another 429 was seen.
    Column("suspected", _boolean("suspected"), nullable=False, server_default=text("FALSE")),
    Index("ix_throttles_account_at", "account", "at"),
)

collectors = Table(
    "collectors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("account", ForeignKey("accounts.name", onupdate="CASCADE"), nullable=False),
    Column("collector_id", Text, nullable=False),
    Column("deadline", Text),
    Column("no_downloads", _boolean("no_downloads"), nullable=False, server_default=text("FALSE")),
    Column("version", Text),
    Column("trigger_name", Text),
    Column("notify", Text),
    Column("deliver", Text),
    Column("max_running", Integer, nullable=False, server_default="100"),
    Column("max_unsettled", Integer, nullable=False, server_default="1"),
    Column("max_attempts", Integer),
    Column("first_pause", Text),
    Column("longest_pause", Text),
    Column("on_unconfirmed", Text),
    _origin(),
    CheckConstraint("collector_id LIKE 'c\\_%' ESCAPE '\\'", name="collector_id"),
    CheckConstraint("version IN ('dev')", name="version"),
    _number("max_running"),
    _number("max_unsettled"),
    _number("max_attempts"),
    _one_of("on_unconfirmed", OnUnconfirmed),
    _one_of("origin", Origin),
    Index("ix_collectors_collector_id", "account", "collector_id"),
)

calendars = Table(
    "calendars",
    metadata,
    Column("name", Text, primary_key=True),
    Column("rules", Text, nullable=False),
    _origin(),
    _one_of("origin", Origin),
)

batches = Table(
    "batches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("file", Text),
    Column("inputs", Text),
    Column("send_as", Text, nullable=False, server_default="json"),
    Column("dedupe", _boolean("dedupe"), nullable=False, server_default=text("FALSE")),
    Column("max_inputs_per_trigger", Integer),
    Column("required", Text),
    Column("max_change_percent", Integer),
    _origin(),
    _number("max_inputs_per_trigger"),
    _number("max_change_percent", least=0),
    CheckConstraint("(file IS NULL) <> (inputs IS NULL)", name="file_or_inputs"),
    _one_of("send_as", ("json", "csv", "multipart")),
    _one_of("origin", Origin),
)

bodies = Table(
    "bodies",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("send_as", Text, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("byte_count", Id, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    _one_of("send_as", ("json", "csv", "multipart")),
)

queues = Table(
    "queues",
    metadata,
    Column("name", Text, primary_key=True),
    Column("queue_order", Text, nullable=False, server_default=QueueOrder.STRICT),
    Column("max_depth", Integer),
    _origin(),
    Column("paused_at", UtcDateTime),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    _one_of("queue_order", QueueOrder),
    _number("max_depth"),
    _one_of("origin", Origin),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("collector", ForeignKey("collectors.name", onupdate="CASCADE"), nullable=False),
    Column("batch", ForeignKey("batches.name", onupdate="CASCADE"), nullable=False),
    Column("cron", Text),
    Column("every", Text),
    Column("calendar_interval", Text),
    Column("at", Text),
    Column("manual", _boolean("manual"), nullable=False, server_default=text("FALSE")),
    Column("after", Text),
    Column("after_when", Text, nullable=False, server_default=AfterWhen.ENDED),
    Column("anchor", Text),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("dst_gap", Text, nullable=False, server_default="shift"),
    Column("dst_fold", Text, nullable=False, server_default="first"),
    Column("valid_from", Text),
    Column("valid_until", Text),
    Column("jitter", Text),
    Column("spread", Text),
    Column("exclude", Text),
    Column("max_runs", Integer),
    Column("overlap", Text, nullable=False, server_default=Overlap.QUEUE),
    Column("queue", Text),
    Column(
        "confirm_cancel", _boolean("confirm_cancel"), nullable=False, server_default=text("FALSE")
    ),
    Column("deadline", Text),
    Column("no_downloads", _boolean("no_downloads")),
    Column("version", Text),
    Column("trigger_name", Text),
    Column("notify", Text),
    Column("deliver", Text),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("misfire_grace", Text, nullable=False, server_default="1h"),
    Column("catch_up", Text, nullable=False, server_default=CatchUp.LATEST),
    Column("catch_up_window", Text),
    Column("catch_up_max", Integer),
    Column("catch_up_pace", Text),
    Column("pause_after_failures", Integer),
    Column("labels", Text),
    Column("max_attempts", Integer),
    Column("first_pause", Text),
    Column("longest_pause", Text),
    Column("on_unconfirmed", Text),
    Column("enabled", _boolean("enabled"), nullable=False, server_default=text("TRUE")),
    _origin(),
    Column("paused_at", UtcDateTime),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    Column("paused_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False, server_default=text("CURRENT_TIMESTAMP")),
    Column("edited_at", UtcDateTime),
    Column("planned_at", UtcDateTime),
    Column("fired_until", UtcDateTime),
    Column("next_fire_at", UtcDateTime),
    Column("error", Text),
    CheckConstraint(_exactly_one_timetable(), name="one_timetable"),
    CheckConstraint(
        "anchor IS NULL OR every IS NOT NULL OR calendar_interval IS NOT NULL",
        name="anchor_needs_a_beat",
    ),
    _one_of("dst_gap", ("shift", "skip")),
    _one_of("dst_fold", ("first", "both")),
    CheckConstraint("queue IS NULL OR NOT confirm_cancel", name="one_behaviour"),
    CheckConstraint("queue <> ''", name="queue"),
    _number("priority", least=-_LARGEST),
    CheckConstraint("version IN ('dev')", name="version"),
    _number("max_attempts"),
    _number("max_runs"),
    _number("catch_up_max"),
    _number("pause_after_failures"),
    _one_of("catch_up", CatchUp),
    _one_of("overlap", Overlap),
    _one_of("after_when", AfterWhen),
    _one_of("on_unconfirmed", OnUnconfirmed),
    _one_of("origin", Origin),
    Index("ix_schedules_collector", "collector"),
    Index("ix_schedules_batch", "batch"),
    # What is due, and what was edited: both stay small however many are stored.
    Index(
        "ix_schedules_due",
        "next_fire_at",
        sqlite_where=text("enabled = 1 AND error IS NULL"),
        postgresql_where=text("enabled AND error IS NULL"),
    ),
    Index(
        "ix_schedules_paused_until",
        "paused_until",
        sqlite_where=text("paused_until IS NOT NULL"),
        postgresql_where=text("paused_until IS NOT NULL"),
    ),
    Index(
        "ix_schedules_after",
        "after",
        sqlite_where=text("after IS NOT NULL"),
        postgresql_where=text("after IS NOT NULL"),
    ),
    # An edited calendar asks who excludes it.
    Index(
        "ix_schedules_exclude",
        "exclude",
        sqlite_where=text("exclude IS NOT NULL"),
        postgresql_where=text("exclude IS NOT NULL"),
    ),
    # Whoever applies a file reads what files own, and not a million others.
    Index(
        "ix_schedules_of_files",
        "name",
        sqlite_where=text("origin = 'file'"),
        postgresql_where=text("origin = 'file'"),
    ),
    Index(
        "ix_schedules_set_aside",
        "name",
        sqlite_where=text("error IS NOT NULL"),
        postgresql_where=text("error IS NOT NULL"),
    ),
    Index(
        "ix_schedules_unplanned",
        "name",
        sqlite_where=text("planned_at IS NULL"),
        postgresql_where=text("planned_at IS NULL"),
    ),
)

_ENDED = f"({_state_in(ENDED_STATES)})"
_ONE_IN_FLIGHT = text(_state_in(UNSETTLED_STATES))
_WAITING = text("state = 'queued'")
_REPLACES = text("state = 'queued' AND replaces = 1")
_PG_REPLACES = text("state = 'queued' AND replaces")
_STOPPED = text("state = 'needs_attention'")
_HAS_GRACE = text("state = 'queued' AND send_before IS NOT NULL")
_LEASED = text("state = 'dispatching'")
_UNCONFIRMED = text("state = 'unconfirmed'")
_IN_LINE = text(_state_in(IN_LINE_STATES))
_OPEN = text(_state_in(OPEN_STATES))
_COLLECTING = text("state = 'collecting'")

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("schedule", Text),
    Column("due_at", UtcDateTime, nullable=False),
    Column("account", ForeignKey("accounts.name", onupdate="CASCADE"), nullable=False),
    Column("collector", Text, nullable=False),
    Column("collector_id", Text, nullable=False),
    Column("batch", Text),
    Column("body", ForeignKey("bodies.fingerprint")),
    Column("query", Text, nullable=False),
    Column("queue", Text),
    Column(
        "confirm_cancel", _boolean("confirm_cancel"), nullable=False, server_default=text("FALSE")
    ),
    Column("lane", Text),
    Column("labels", Text),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text),
    Column("not_before", UtcDateTime, nullable=False),
    Column("send_before", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("max_attempts", Integer, nullable=False),
    Column("first_pause", Text, nullable=False),
    Column("longest_pause", Text, nullable=False),
    Column("on_unconfirmed", Text, nullable=False),
    Column("retry_of", ForeignKey("runs.id")),
    Column("part", Integer, nullable=False, server_default="1"),
    Column("parts", Integer, nullable=False, server_default="1"),
    Column("waits_for", ForeignKey("runs.id")),
    Column("replaces", _boolean("replaces"), nullable=False, server_default=text("FALSE")),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("look_at", UtcDateTime),
    Column("looks", Integer, nullable=False, server_default="0"),
    Column("triggered_at", UtcDateTime),
    Column("collection_id", Text),
    Column("start_eta", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    _one_of("state", RunState),
    _one_of("reason", Reason),
    _one_of("on_unconfirmed", OnUnconfirmed),
    CheckConstraint(f"{_ENDED} = (ended_at IS NOT NULL)", name="ended_has_a_time"),
    CheckConstraint(
        "state <> 'dispatching' OR (lease_owner IS NOT NULL AND lease_until IS NOT NULL)",
        name="dispatching_has_a_lease",
    ),
    CheckConstraint(
        "state NOT IN ('collecting', 'succeeded', 'partial') OR collection_id IS NOT NULL",
        name="accepted_has_a_collection",
    ),
    CheckConstraint("body IS NOT NULL OR state IN ('failed', 'skipped')", name="sent_has_a_body"),
    CheckConstraint(
        "state <> 'unconfirmed' OR look_at IS NOT NULL", name="unconfirmed_is_looked_for"
    ),
    # One run an occurrence, or one each of its parts; retries by hand stand beside it.
    Index(
        "uq_runs_schedule_due_at_part",
        "schedule",
        "due_at",
        "part",
        unique=True,
        sqlite_where=text("retry_of IS NULL"),
        postgresql_where=text("retry_of IS NULL"),
    ),
    Index("uq_runs_collection_id", "collection_id", unique=True),
    # The backstop of order: one run of a lane on the wire or unsettled.
    Index(
        "uq_runs_lane_in_flight",
        "lane",
        unique=True,
        sqlite_where=_ONE_IN_FLIGHT,
        postgresql_where=_ONE_IN_FLIGHT,
    ),
    # What a claim reads follows open work; only the last four below grow with history.
    Index(
        "ix_runs_waiting",
        "account",
        "collector_id",
        text("priority DESC"),
        "due_at",
        "id",
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    ),
    Index("ix_runs_ready", "not_before", sqlite_where=_WAITING, postgresql_where=_WAITING),
    Index("ix_runs_too_late", "send_before", sqlite_where=_HAS_GRACE, postgresql_where=_HAS_GRACE),
    Index(
        "ix_runs_replacing",
        "account",
        "confirm_cancel",
        "collector_id",
        sqlite_where=text("state = 'queued' AND confirm_cancel = 1"),
        postgresql_where=text("state = 'queued' AND confirm_cancel"),
    ),
    Index(
        "ix_runs_in_line",
        "lane",
        "priority",
        "due_at",
        "id",
        sqlite_where=_IN_LINE,
        postgresql_where=_IN_LINE,
    ),
    Index("ix_runs_to_replace", "waits_for", sqlite_where=_REPLACES, postgresql_where=_PG_REPLACES),
    Index("ix_runs_stopped", "lane", sqlite_where=_STOPPED, postgresql_where=_STOPPED),
    Index(
        "ix_runs_unsettled",
        "account",
        "collector_id",
        sqlite_where=_ONE_IN_FLIGHT,
        postgresql_where=_ONE_IN_FLIGHT,
    ),
    Index(
        "ix_runs_collecting",
        "account",
        "collector_id",
        sqlite_where=_COLLECTING,
        postgresql_where=_COLLECTING,
    ),
    Index("ix_runs_lease", "lease_until", sqlite_where=_LEASED, postgresql_where=_LEASED),
    Index("ix_runs_look", "look_at", sqlite_where=_UNCONFIRMED, postgresql_where=_UNCONFIRMED),
    Index("ix_runs_open", "state", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_runs_schedule_open", "schedule", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_runs_schedule_id", "schedule", "id"),
    Index("ix_runs_schedule_ended_at", "schedule", "ended_at"),
    Index(
        "ix_runs_waits_for",
        "waits_for",
        sqlite_where=text("waits_for IS NOT NULL"),
        postgresql_where=text("waits_for IS NOT NULL"),
    ),
    Index(
        "ix_runs_retry_of",
        "retry_of",
        sqlite_where=text("retry_of IS NOT NULL"),
        postgresql_where=text("retry_of IS NOT NULL"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("daemon", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("http_status", Integer),
    Column("detail", Text),
    Column("collection_id", Text),
    _one_of("outcome", Outcome),
    CheckConstraint(
        f"(outcome IN ({_quoted(OPEN_OUTCOMES)})) = (settled_at IS NULL)", name="settled_has_a_time"
    ),
    CheckConstraint(
        "(outcome IN ('accepted', 'adopted')) = (collection_id IS NOT NULL)",
        name="accepted_has_a_collection",
    ),
    Index("uq_attempts_collection_id", "collection_id", unique=True),
    Index(
        "uq_attempts_one_open",
        "run_id",
        unique=True,
        sqlite_where=text("settled_at IS NULL"),
        postgresql_where=text("settled_at IS NULL"),
    ),
)

collections = Table(
    "collections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("account", ForeignKey("accounts.name", onupdate="CASCADE"), nullable=False),
    Column("collector_id", Text, nullable=False),
    Column("start_eta", UtcDateTime),
    Column("status", Text),
    Column("inputs", Integer),
    Column("lines", Integer),
    Column("fails", Integer),
    Column("pages", Integer),
    Column("success_rate", Float),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("look_at", UtcDateTime),
    Column("looked_at", UtcDateTime),
    Column("looks", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("replaced_by", ForeignKey("runs.id")),
    Column("cancel_requested_at", UtcDateTime),
    Column("cancel_note", Text),
    Index("ix_collections_run_id", "run_id"),
    Index(
        "ix_collections_running",
        "account",
        "collector_id",
        "accepted_at",
        sqlite_where=text("look_at IS NOT NULL"),
        postgresql_where=text("look_at IS NOT NULL"),
    ),
    Index(
        "ix_collections_look",
        "account",
        "look_at",
        sqlite_where=text("look_at IS NOT NULL"),
        postgresql_where=text("look_at IS NOT NULL"),
    ),
    # Those that are asked about at this moment, among any number that run.
    Index(
        "ix_collections_leased",
        "account",
        "lease_until",
        sqlite_where=text("lease_until IS NOT NULL"),
        postgresql_where=text("lease_until IS NOT NULL"),
    ),
)

freezes = Table(
    "freezes",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("frozen_at", UtcDateTime, nullable=False),
    Column("frozen_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", UtcDateTime),
    CheckConstraint(
        "scope = 'all' OR scope LIKE 'collector:%' OR scope LIKE 'label:%'", name="scope"
    ),
)

overrides = Table(
    "overrides",
    metadata,
    Column("id", Id, primary_key=True),
    Column(
        "schedule",
        ForeignKey("schedules.name", onupdate="CASCADE", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("field", Text, nullable=False),
    Column("value", Text),
    Column("made_at", UtcDateTime, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Index("uq_overrides_schedule_field", "schedule", "field", unique=True),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text),
    Index("ix_changes_subject_at", "subject", "at"),
)

daemons = Table(
    "daemons",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("stopped_at", UtcDateTime),
    Column("trouble", Text),
)
