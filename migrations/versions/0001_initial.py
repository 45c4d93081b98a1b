"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

# A hand edit of a timetable, by any client, asks the daemon to plan it anew. What the old
# timetable still owed stays in next_fire_at, and *edited_at* says from when the new one counts.
TIMETABLE = "cron, every, anchor, at, timezone, enabled"
EDIT_WATCH = {
    "sqlite": [
        f"""
        CREATE TRIGGER schedules_edited AFTER UPDATE OF {TIMETABLE} ON schedules
        BEGIN
            UPDATE schedules
            SET planned_at = NULL, error = NULL, edited_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
            WHERE name = NEW.name;
        END
        """
    ],
    "postgresql": [
        """
        CREATE FUNCTION schedules_edited() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.planned_at := NULL;
            NEW.error := NULL;
            NEW.edited_at := clock_timestamp();
            RETURN NEW;
        END $$
        """,
        f"""
        CREATE TRIGGER schedules_edited BEFORE UPDATE OF {TIMETABLE} ON schedules
        FOR EACH ROW EXECUTE FUNCTION schedules_edited()
        """,
    ],
}
EDIT_WATCH_GONE = {
    "sqlite": ["DROP TRIGGER schedules_edited"],
    "postgresql": [
        "DROP TRIGGER schedules_edited ON schedules",
        "DROP FUNCTION schedules_edited()",
    ],
}


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "base_url", sa.Text(), server_default="https://api.brightdata.com", nullable=False
        ),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("max_in_flight", sa.Integer(), server_default="32", nullable=False),
        sa.Column("requests_per_second", sa.Float(), server_default="20", nullable=False),
        sa.Column("origin", sa.Text(), server_default="database", nullable=False),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_accounts_origin")),
        sa.CheckConstraint(
            "token LIKE 'env:%' OR token LIKE 'file:%' OR token LIKE 'credential:%'",
            name=op.f("ck_accounts_token_is_a_reference"),
        ),
        sa.CheckConstraint("max_in_flight >= 1", name=op.f("ck_accounts_max_in_flight")),
        sa.CheckConstraint("requests_per_second > 0", name=op.f("ck_accounts_requests_per_second")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_accounts")),
    )
    op.create_table(
        "batches",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("inputs", sa.Text(), nullable=True),
        sa.Column("send_as", sa.Text(), server_default="json", nullable=False),
        sa.Column("origin", sa.Text(), server_default="database", nullable=False),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_batches_origin")),
        sa.CheckConstraint(
            "send_as IN ('json', 'csv', 'multipart')", name=op.f("ck_batches_send_as")
        ),
        sa.CheckConstraint(
            "(file IS NULL) <> (inputs IS NULL)", name=op.f("ck_batches_file_or_inputs")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_batches")),
    )
    op.create_table(
        "bodies",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("send_as", sa.Text(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("byte_count", ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "send_as IN ('json', 'csv', 'multipart')", name=op.f("ck_bodies_send_as")
        ),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_bodies")),
    )
    op.create_table(
        "daemons",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("stopped_at", MOMENT, nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_daemons")),
    )
    op.create_table(
        "queues",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("queue_order", sa.Text(), server_default="strict", nullable=False),
        sa.Column("max_depth", sa.Integer(), nullable=True),
        sa.Column("origin", sa.Text(), server_default="database", nullable=False),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_queues_origin")),
        sa.CheckConstraint(
            "queue_order IN ('strict', 'relaxed')", name=op.f("ck_queues_queue_order")
        ),
        sa.CheckConstraint("max_depth >= 1", name=op.f("ck_queues_max_depth")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_queues")),
    )
    op.create_table(
        "brakes",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Float(), server_default="1", nullable=False),
        sa.Column("refilled_at", MOMENT, nullable=True),
        sa.Column("open_until", MOMENT, nullable=True),
        sa.Column("strikes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("slow_start", sa.Integer(), nullable=True),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("paused_token", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.name"],
            name=op.f("fk_brakes_account"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_brakes")),
    )
    op.create_table(
        "collectors",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("collector_id", sa.Text(), nullable=False),
        sa.Column("deadline", sa.Text(), nullable=True),
        sa.Column(
            "no_downloads",
            sa.Boolean(create_constraint=True, name="no_downloads"),
            server_default=sa.text("(FALSE)"),
            nullable=False,
        ),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("trigger_name", sa.Text(), nullable=True),
        sa.Column("notify", sa.Text(), nullable=True),
        sa.Column("deliver", sa.Text(), nullable=True),
        sa.Column("max_running", sa.Integer(), server_default="100", nullable=False),
        sa.Column("max_unsettled", sa.Integer(), server_default="1", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("on_unconfirmed", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), server_default="database", nullable=False),
        sa.CheckConstraint(
            "collector_id LIKE 'c\\_%' ESCAPE '\\'", name=op.f("ck_collectors_collector_id")
        ),
        sa.CheckConstraint(
            "on_unconfirmed IN ('resend', 'hold', 'skip')",
            name=op.f("ck_collectors_on_unconfirmed"),
        ),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_collectors_origin")),
        sa.CheckConstraint("version IN ('dev')", name=op.f("ck_collectors_version")),
        sa.CheckConstraint("max_attempts >= 1", name=op.f("ck_collectors_max_attempts")),
        sa.CheckConstraint("max_running >= 1", name=op.f("ck_collectors_max_running")),
        sa.CheckConstraint("max_unsettled >= 1", name=op.f("ck_collectors_max_unsettled")),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name=op.f("fk_collectors_account"), onupdate="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_collectors")),
    )
    with op.batch_alter_table("collectors", schema=None) as batch_op:
        batch_op.create_index("ix_collectors_account", ["account"], unique=False)

    op.create_table(
        "runs",
        sa.Column("id", ID, nullable=False),
        sa.Column("schedule", sa.Text(), nullable=True),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("collector", sa.Text(), nullable=False),
        sa.Column("collector_id", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("query", sa.JSON(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column("lane", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.Column("send_before", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("on_unconfirmed", sa.Text(), nullable=False),
        sa.Column("retry_of", ID, nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("look_at", MOMENT, nullable=True),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("triggered_at", MOMENT, nullable=True),
        sa.Column("collection_id", sa.Text(), nullable=True),
        sa.Column("start_eta", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(state IN ('succeeded', 'partial', 'failed', 'cancelled', 'skipped')) = (ended_at IS NOT NULL)",
            name=op.f("ck_runs_ended_has_a_time"),
        ),
        sa.CheckConstraint(
            "body IS NOT NULL OR state IN ('failed', 'skipped')",
            name=op.f("ck_runs_sent_has_a_body"),
        ),
        sa.CheckConstraint(
            "on_unconfirmed IN ('resend', 'hold', 'skip')", name=op.f("ck_runs_on_unconfirmed")
        ),
        sa.CheckConstraint(
            "reason IN ('due', 'requested', 'not_sent', 'throttled', 'job_limit', 'absent', 'lease_ended', 'answer_lost', 'daemon_died', 'several_candidates', 'lookup_failed', 'held', 'accepted', 'adopted', 'done', 'some_inputs_failed', 'deadline_reached', 'collection_failed', 'collection_cancelled', 'collection_gone', 'replaced', 'refused', 'bad_credentials', 'bad_inputs', 'bad_definition', 'attempts_exhausted', 'abandoned', 'cancelled_by_hand', 'missed', 'coalesced', 'superseded', 'queue_full', 'flushed')",
            name=op.f("ck_runs_reason"),
        ),
        sa.CheckConstraint(
            "state <> 'dispatching' OR (lease_owner IS NOT NULL AND lease_until IS NOT NULL)",
            name=op.f("ck_runs_dispatching_has_a_lease"),
        ),
        sa.CheckConstraint(
            "state <> 'unconfirmed' OR look_at IS NOT NULL",
            name=op.f("ck_runs_unconfirmed_is_looked_for"),
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting', 'succeeded', 'partial', 'failed', 'cancelled', 'skipped')",
            name=op.f("ck_runs_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('collecting', 'succeeded', 'partial') OR collection_id IS NOT NULL",
            name=op.f("ck_runs_accepted_has_a_collection"),
        ),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name=op.f("fk_runs_account"), onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(["body"], ["bodies.fingerprint"], name=op.f("fk_runs_body")),
        sa.ForeignKeyConstraint(["retry_of"], ["runs.id"], name=op.f("fk_runs_retry_of")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_runs_collecting",
            ["account", "collector_id"],
            unique=False,
            sqlite_where=sa.text("state = 'collecting'"),
            postgresql_where=sa.text("state = 'collecting'"),
        )
        batch_op.create_index(
            "ix_runs_in_line",
            ["lane", "priority", "due_at", "id"],
            unique=False,
            sqlite_where=sa.text(
                "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')"
            ),
            postgresql_where=sa.text(
                "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')"
            ),
        )
        batch_op.create_index(
            "ix_runs_lease",
            ["lease_until"],
            unique=False,
            sqlite_where=sa.text("state = 'dispatching'"),
            postgresql_where=sa.text("state = 'dispatching'"),
        )
        batch_op.create_index(
            "ix_runs_look",
            ["look_at"],
            unique=False,
            sqlite_where=sa.text("state = 'unconfirmed'"),
            postgresql_where=sa.text("state = 'unconfirmed'"),
        )
        batch_op.create_index("ix_runs_retry_of", ["retry_of"], unique=False)
        batch_op.create_index(
            "ix_runs_unsettled",
            ["account", "collector_id"],
            unique=False,
            sqlite_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
            postgresql_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
        )
        batch_op.create_index(
            "ix_runs_waiting",
            ["account", "not_before"],
            unique=False,
            sqlite_where=sa.text("state = 'queued'"),
            postgresql_where=sa.text("state = 'queued'"),
        )
        batch_op.create_index("uq_runs_collection_id", ["collection_id"], unique=True)
        batch_op.create_index(
            "uq_runs_lane_in_flight",
            ["lane"],
            unique=True,
            sqlite_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
            postgresql_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
        )
        batch_op.create_index(
            "uq_runs_schedule_due_at",
            ["schedule", "due_at"],
            unique=True,
            sqlite_where=sa.text("retry_of IS NULL"),
            postgresql_where=sa.text("retry_of IS NULL"),
        )

    op.create_table(
        "throttles",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.name"],
            name=op.f("fk_throttles_account"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_throttles")),
    )
    with op.batch_alter_table("throttles", schema=None) as batch_op:
        batch_op.create_index("ix_throttles_account_at", ["account", "at"], unique=False)

    op.create_table(
        "attempts",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("daemon", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("collection_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(outcome IN ('accepted', 'adopted')) = (collection_id IS NOT NULL)",
            name=op.f("ck_attempts_accepted_has_a_collection"),
        ),
        sa.CheckConstraint(
            "(outcome IN ('sending', 'lost')) = (settled_at IS NULL)",
            name=op.f("ck_attempts_settled_has_a_time"),
        ),
        sa.CheckConstraint(
            "outcome IN ('sending', 'accepted', 'rejected', 'deferred', 'lost', 'adopted', 'absent', 'abandoned')",
            name=op.f("ck_attempts_outcome"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_attempts_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.create_index("uq_attempts_collection_id", ["collection_id"], unique=True)
        batch_op.create_index(
            "uq_attempts_one_open",
            ["run_id"],
            unique=True,
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        )
        batch_op.create_index("uq_attempts_run_id_number", ["run_id", "number"], unique=True)

    op.create_table(
        "collections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("collector_id", sa.Text(), nullable=False),
        sa.Column("start_eta", MOMENT, nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("inputs", sa.Integer(), nullable=True),
        sa.Column("lines", sa.Integer(), nullable=True),
        sa.Column("fails", sa.Integer(), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("success_rate", sa.Float(), nullable=True),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("accepted_at", MOMENT, nullable=False),
        sa.Column("look_at", MOMENT, nullable=True),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("replaced_by", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name=op.f("fk_collections_account"), onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["replaced_by"], ["runs.id"], name=op.f("fk_collections_replaced_by")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_collections_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
    )
    with op.batch_alter_table("collections", schema=None) as batch_op:
        batch_op.create_index(
            "ix_collections_look",
            ["account", "look_at"],
            unique=False,
            sqlite_where=sa.text("look_at IS NOT NULL"),
            postgresql_where=sa.text("look_at IS NOT NULL"),
        )
        batch_op.create_index("ix_collections_run_id", ["run_id"], unique=False)

    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("collector", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=True),
        sa.Column("every", sa.Text(), nullable=True),
        sa.Column("anchor", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column(
            "confirm_cancel",
            sa.Boolean(create_constraint=True, name="confirm_cancel"),
            server_default=sa.text("(FALSE)"),
            nullable=False,
        ),
        sa.Column("deadline", sa.Text(), nullable=True),
        sa.Column(
            "no_downloads", sa.Boolean(create_constraint=True, name="no_downloads"), nullable=True
        ),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("trigger_name", sa.Text(), nullable=True),
        sa.Column("notify", sa.Text(), nullable=True),
        sa.Column("deliver", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("misfire_grace", sa.Text(), server_default="1h", nullable=False),
        sa.Column("catch_up", sa.Text(), server_default="latest", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("on_unconfirmed", sa.Text(), nullable=True),
        sa.Column(
            "enabled",
            sa.Boolean(create_constraint=True, name="enabled"),
            server_default=sa.text("(TRUE)"),
            nullable=False,
        ),
        sa.Column("origin", sa.Text(), server_default="database", nullable=False),
        sa.Column(
            "created_at", MOMENT, server_default=sa.text("(CURRENT_TIMESTAMP)"), nullable=False
        ),
        sa.Column("edited_at", MOMENT, nullable=True),
        sa.Column("planned_at", MOMENT, nullable=True),
        sa.Column("fired_until", MOMENT, nullable=True),
        sa.Column("next_fire_at", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "catch_up IN ('latest', 'all', 'none')", name=op.f("ck_schedules_catch_up")
        ),
        sa.CheckConstraint(
            "on_unconfirmed IN ('resend', 'hold', 'skip')", name=op.f("ck_schedules_on_unconfirmed")
        ),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_schedules_origin")),
        sa.CheckConstraint("queue <> ''", name=op.f("ck_schedules_queue")),
        sa.CheckConstraint("version IN ('dev')", name=op.f("ck_schedules_version")),
        sa.CheckConstraint(
            "(cron IS NOT NULL AND every IS NULL AND at IS NULL) OR (cron IS NULL AND every IS NOT NULL AND at IS NULL) OR (cron IS NULL AND every IS NULL AND at IS NOT NULL)",
            name=op.f("ck_schedules_cron_or_every_or_at"),
        ),
        sa.CheckConstraint(
            "anchor IS NULL OR every IS NOT NULL", name=op.f("ck_schedules_anchor_needs_every")
        ),
        sa.CheckConstraint("max_attempts >= 1", name=op.f("ck_schedules_max_attempts")),
        sa.CheckConstraint(
            "queue IS NULL OR NOT confirm_cancel", name=op.f("ck_schedules_one_behaviour")
        ),
        sa.ForeignKeyConstraint(
            ["batch"], ["batches.name"], name=op.f("fk_schedules_batch"), onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["collector"],
            ["collectors.name"],
            name=op.f("fk_schedules_collector"),
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schedules")),
    )
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.create_index("ix_schedules_batch", ["batch"], unique=False)
        batch_op.create_index("ix_schedules_collector", ["collector"], unique=False)
        batch_op.create_index(
            "ix_schedules_due",
            ["next_fire_at"],
            unique=False,
            sqlite_where=sa.text("enabled AND error IS NULL"),
            postgresql_where=sa.text("enabled AND error IS NULL"),
        )
        batch_op.create_index(
            "ix_schedules_unplanned",
            ["name"],
            unique=False,
            sqlite_where=sa.text("planned_at IS NULL"),
            postgresql_where=sa.text("planned_at IS NULL"),
        )
    for statement in EDIT_WATCH[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Take it back: everything goes."""
    for statement in EDIT_WATCH_GONE[op.get_bind().dialect.name]:
        op.execute(statement)
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_schedules_unplanned",
            sqlite_where=sa.text("planned_at IS NULL"),
            postgresql_where=sa.text("planned_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_schedules_due",
            sqlite_where=sa.text("enabled AND error IS NULL"),
            postgresql_where=sa.text("enabled AND error IS NULL"),
        )
        batch_op.drop_index("ix_schedules_collector")
        batch_op.drop_index("ix_schedules_batch")

    op.drop_table("schedules")
    with op.batch_alter_table("collections", schema=None) as batch_op:
        batch_op.drop_index("ix_collections_run_id")
        batch_op.drop_index(
            "ix_collections_look",
            sqlite_where=sa.text("look_at IS NOT NULL"),
            postgresql_where=sa.text("look_at IS NOT NULL"),
        )

    op.drop_table("collections")
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.drop_index("uq_attempts_run_id_number")
        batch_op.drop_index(
            "uq_attempts_one_open",
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        )
        batch_op.drop_index("uq_attempts_collection_id")

    op.drop_table("attempts")
    with op.batch_alter_table("throttles", schema=None) as batch_op:
        batch_op.drop_index("ix_throttles_account_at")

    op.drop_table("throttles")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_runs_schedule_due_at",
            sqlite_where=sa.text("retry_of IS NULL"),
            postgresql_where=sa.text("retry_of IS NULL"),
        )
        batch_op.drop_index(
            "uq_runs_lane_in_flight",
            sqlite_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
            postgresql_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
        )
        batch_op.drop_index("uq_runs_collection_id")
        batch_op.drop_index(
            "ix_runs_waiting",
            sqlite_where=sa.text("state = 'queued'"),
            postgresql_where=sa.text("state = 'queued'"),
        )
        batch_op.drop_index(
            "ix_runs_unsettled",
            sqlite_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
            postgresql_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
        )
        batch_op.drop_index("ix_runs_retry_of")
        batch_op.drop_index(
            "ix_runs_look",
            sqlite_where=sa.text("state = 'unconfirmed'"),
            postgresql_where=sa.text("state = 'unconfirmed'"),
        )
        batch_op.drop_index(
            "ix_runs_lease",
            sqlite_where=sa.text("state = 'dispatching'"),
            postgresql_where=sa.text("state = 'dispatching'"),
        )
        batch_op.drop_index(
            "ix_runs_in_line",
            sqlite_where=sa.text(
                "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')"
            ),
            postgresql_where=sa.text(
                "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')"
            ),
        )
        batch_op.drop_index(
            "ix_runs_collecting",
            sqlite_where=sa.text("state = 'collecting'"),
            postgresql_where=sa.text("state = 'collecting'"),
        )

    op.drop_table("runs")
    with op.batch_alter_table("collectors", schema=None) as batch_op:
        batch_op.drop_index("ix_collectors_account")

    op.drop_table("collectors")
    op.drop_table("brakes")
    op.drop_table("queues")
    op.drop_table("daemons")
    op.drop_table("bodies")
    op.drop_table("batches")
    op.drop_table("accounts")
