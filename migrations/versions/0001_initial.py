"""The first schema."""

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

# A hand edit of a timetable, by any client, asks the daemon to plan it anew, from now on:
# it fires nothing by itself.
TIMETABLE: tuple[str, ...] = (
    "name",
    "cron",
    "every",
    "calendar_interval",
    "at",
    "manual",
    "after",
    "after_when",
    "anchor",
    "timezone",
    "dst_gap",
    "dst_fold",
    "valid_from",
    "valid_until",
    "jitter",
    "spread",
    "exclude",
    "max_runs",
    "enabled",
)

# An edit of anything else asks to check the schedule again: what is wrong with it is told within
# seconds, and not when it is due. Neither its times nor what it owes change.
CHECKED: tuple[str, ...] = (
    "collector",
    "batch",
    "overlap",
    "queue",
    "confirm_cancel",
    "deadline",
    "no_downloads",
    "version",
    "trigger_name",
    "notify",
    "deliver",
    "misfire_grace",
    "catch_up",
    "catch_up_window",
    "catch_up_max",
    "catch_up_pace",
    "pause_after_failures",
    "labels",
    "max_attempts",
    "first_pause",
    "longest_pause",
    "on_unconfirmed",
)
# The daemon's own, which it writes at each firing.
MARKS: tuple[str, ...] = ("edited_at", "planned_at", "fired_until", "next_fire_at")
# So does an edit of what a schedule names; a row that is new or gone may be named as well.
NAMED: dict[str, tuple[str, ...]] = {
    "collectors": (
        "name",
        "account",
        "collector_id",
        "deadline",
        "no_downloads",
        "version",
        "trigger_name",
        "notify",
        "deliver",
        "first_pause",
        "longest_pause",
    ),
    "batches": (
        "name",
        "file",
        "inputs",
        "send_as",
        "dedupe",
        "max_inputs_per_trigger",
        "required",
        "max_change_percent",
    ),
    "calendars": ("name", "rules"),
    "accounts": ("name",),
    "schedules": ("name", "after"),
    "overrides": ("schedule", "field", "value", "until"),
}
# Of each, what a schedule has of a row that it names.
NAMING = {
    "collectors": "collector = {row}.name",
    "batches": "batch = {row}.name",
    "calendars": (
        "exclude IS NOT NULL AND {find}(',' || replace(exclude, ' ', '') || ',',"
        " ',' || replace({row}.name, ' ', '') || ',') > 0"
    ),
    "accounts": "collector IN (SELECT name FROM collectors WHERE account = {row}.name)",
    "schedules": "after = {row}.name",
    "overrides": "name = {row}.schedule",
}
NOW = {
    # As the program writes a time: six digits of a second.
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'",
    "postgresql": "clock_timestamp()",
}
# What is named here cannot be missing on PostgreSQL; SQLite's shell checks no references.
REFERENCED = ("collectors", "batches", "accounts")
DIFFERS = {"sqlite": "IS NOT", "postgresql": "IS DISTINCT FROM"}
FIND = {"sqlite": "instr", "postgresql": "strpos"}


class Watch(NamedTuple):
    """A trigger."""

    name: str
    table: str
    text: str


def _changed(columns: tuple[str, ...], brand: str) -> str:
    return " OR ".join(f"OLD.{column} {DIFFERS[brand]} NEW.{column}" for column in columns)


def _check_again(table: str, row: str, brand: str) -> str:
    """Return the statement that asks to check each schedule that names this *row* of *table*."""
    changes = "planned_at = NULL"
    if table == "calendars":
        # An edited calendar is an edited timetable. One that is mended loses nothing, though.
        changes += f", edited_at = CASE WHEN error IS NULL THEN {NOW[brand]} ELSE edited_at END"
    named = NAMING[table].format(row=row, find=FIND[brand])
    if brand == "sqlite" and table != "calendars":
        # Not on PostgreSQL, where a daemon may be about to write that it has checked it.
        named += " AND planned_at IS NOT NULL"
    return f"UPDATE schedules SET {changes} WHERE {named}"


def _key(table: str) -> str:
    return "schedule" if table == "overrides" else "name"


# The daemon writes planned_at with these; who does not is no daemon, and may hide what is due.
_MOVED = (
    "NEW.planned_at IS NOT NULL AND NOT (OLD.planned_at {differs} NEW.planned_at)"
    " AND (OLD.next_fire_at {differs} NEW.next_fire_at OR OLD.fired_until {differs} NEW.fired_until)"
)


def _watch_edits_on_sqlite() -> Iterator[Watch]:
    yield Watch(
        "schedules_edited",
        "schedules",
        f"""
        AFTER UPDATE OF {", ".join(TIMETABLE)} ON schedules
        WHEN {_changed(TIMETABLE, "sqlite")}
        BEGIN
            UPDATE schedules
            SET planned_at = NULL, error = NULL, edited_at = {NOW["sqlite"]},
                -- What is off owes nothing when it is switched on again.
                next_fire_at = CASE WHEN NEW.enabled THEN next_fire_at END
            WHERE name = NEW.name;
        END
        """,
    )
    for name, columns, edited in (
        ("schedules_checked", CHECKED, _changed(CHECKED, "sqlite")),
        ("schedules_moved", MARKS, _MOVED.format(differs=DIFFERS["sqlite"])),
    ):
        yield Watch(
            name,
            "schedules",
            f"""
            AFTER UPDATE OF {", ".join(columns)} ON schedules WHEN {edited}
            BEGIN UPDATE schedules SET planned_at = NULL WHERE name = NEW.name; END
            """,
        )
    for table, columns in NAMED.items():
        old, new = (_check_again(table, row, "sqlite") for row in ("OLD", "NEW"))
        for what, event, statements in (
            ("new", "INSERT", f"{new};"),
            (
                "edited",
                f"UPDATE OF {', '.join(columns)}",
                f"{old}; {new} AND OLD.{_key(table)} <> NEW.{_key(table)};",
            ),
            ("gone", "DELETE", f"{old};"),
        ):
            when = f"WHEN {_changed(columns, 'sqlite')}" if what == "edited" else ""
            yield Watch(
                f"{table}_named_{what}",
                table,
                f"AFTER {event} ON {table} {when} BEGIN {statements} END",
            )


def _watch_edits_on_postgresql() -> Iterator[Watch]:
    for name, columns, edited, function in (
        ("edited", TIMETABLE, _changed(TIMETABLE, "postgresql"), "edited"),
        ("checked", CHECKED, _changed(CHECKED, "postgresql"), "checked"),
        ("moved", MARKS, _MOVED.format(differs=DIFFERS["postgresql"]), "checked"),
    ):
        yield Watch(
            f"schedules_{name}",
            "schedules",
            f"""
            BEFORE UPDATE OF {", ".join(columns)} ON schedules
            FOR EACH ROW WHEN ({edited}) EXECUTE FUNCTION schedules_{function}()
            """,
        )
    for table, columns in NAMED.items():
        if table == "accounts":
            continue  # a new name of an account is an edit of its collectors
        if table not in REFERENCED:
            yield Watch(
                f"{table}_named_new",
                table,
                f"AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_named()",
            )
            yield Watch(f"{table}_named_gone", table, _at_the_commit(table, "DELETE"))
        edited = _at_the_commit(
            table,
            f"UPDATE OF {', '.join(columns)}",
            f"WHEN ({_changed(columns, 'postgresql')})",
        )
        yield Watch(f"{table}_named_edited", table, edited)


def _at_the_commit(table: str, event: str, when: str = "") -> str:
    """Return a trigger that locks no schedule before: who edits may think for an hour."""
    return f"""
        AFTER {event} ON {table} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW {when} EXECUTE FUNCTION {table}_named()
        """


FUNCTIONS = {
    "schedules_edited": f"""
        NEW.planned_at := NULL;
        NEW.error := NULL;
        NEW.edited_at := {NOW["postgresql"]};
        -- What is off owes nothing when it is switched on again.
        IF NOT NEW.enabled THEN NEW.next_fire_at := NULL; END IF;
        RETURN NEW;
    """,
    "schedules_checked": "NEW.planned_at := NULL; RETURN NEW;",
    "refuse_times": """
        RAISE EXCEPTION '%: not a time that can be read; write one such as 2026-03-02 09:00,'
            ' or NULL for ever', TG_TABLE_NAME USING ERRCODE = 'check_violation';
    """,
    **{
        f"{table}_named": f"""
        IF TG_OP <> 'INSERT' THEN {_check_again(table, "OLD", "postgresql")}; END IF;
        IF TG_OP = 'UPDATE' THEN
            IF OLD.{_key(table)} = NEW.{_key(table)} THEN RETURN NULL; END IF;
        END IF;
        IF TG_OP <> 'DELETE' THEN {_check_again(table, "NEW", "postgresql")}; END IF;
        RETURN NULL;
        """
        for table in NAMED
        if table != "accounts"
    },
}

TIMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("schedules", "times"): ("paused_at", "paused_until", "created_at"),
    ("queues", "times"): ("paused_at",),
    ("freezes", "times"): ("frozen_at", "until"),
    ("overrides", "times"): ("made_at", "until"),
}
# The daemon's own, which it compares in SQL and writes often: at a claim no more than a lease.
DAEMON_TIMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("schedules", "marks"): MARKS,
    ("runs", "times"): ("due_at", "not_before", "send_before", "look_at", "ended_at"),
    ("runs", "leases"): ("lease_until",),
    ("collections", "times"): ("look_at", "lease_until"),
}


def _writes(table: str, columns: tuple[str, ...]) -> dict[str, str]:
    """Return what to watch: nobody writes a new run or collection by hand, and they are many."""
    edited = {"edited": f"UPDATE OF {', '.join(columns)}"}
    return edited if table in ("runs", "collections") else {"new": "INSERT"} | edited


def _watch_times_on_postgresql() -> Iterator[Watch]:
    """Infinity, and years of five digits, are times that the program cannot read."""
    readable = "'0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00'"
    for (table, name), columns in (TIMES | DAEMON_TIMES).items():
        unreadable = " OR ".join(f"NEW.{column} NOT BETWEEN {readable}" for column in columns)
        yield Watch(
            f"{table}_{name}",
            table,
            f"""
            BEFORE {" OR ".join(_writes(table, columns).values())} ON {table}
            FOR EACH ROW WHEN ({unreadable}) EXECUTE FUNCTION refuse_times()
            """,
        )


# SQLite keeps a time as text. What people may write is brought into the one form that sorts by
# time and that every version of this program reads; what is no time is refused.
_DATE = "0000-00-00".replace("0", "[0-9]")
_AS_STORED = "0000-00-00 00:00:00.000000".replace("0", "[0-9]")
# This tells as well, and costs the daemon less.
_LIKE_STORED = "0000-00-00 00:00:00.000000".replace("0", "?")


def _watch_times_on_sqlite() -> Iterator[Watch]:
    for shape, times in ((_AS_STORED, TIMES), (_LIKE_STORED, DAEMON_TIMES)):
        for (table, name), columns in times.items():
            told = " OR ".join(f"NEW.{column} NOT GLOB '{shape}'" for column in columns)
            for what, event in _writes(table, columns).items():
                yield _time_watch(f"{table}_{what}_{name}", table, event, columns, told)


def _time_watch(name: str, table: str, event: str, columns: tuple[str, ...], told: str) -> Watch:
    unreadable = " OR ".join(
        f"NEW.{column} NOT GLOB '{_DATE}*'"
        f" OR (NEW.{column} IS NOT NULL AND julianday(NEW.{column}) IS NULL)"
        for column in columns
    )
    rewritten = ", ".join(
        f"{column} = CASE WHEN {column} GLOB '{_AS_STORED}' THEN {column}"
        f" ELSE strftime('%Y-%m-%d %H:%M:%f', {column}) || '000' END"
        for column in columns
    )
    return Watch(
        name,
        table,
        f"""
        AFTER {event} ON {table} WHEN {told}
        BEGIN
            SELECT RAISE(ABORT, '{table}: not a time; write it in UTC, such as 2026-03-02 09:00')
            WHERE {unreadable};
            UPDATE {table} SET {rewritten} WHERE rowid = NEW.rowid;
        END
        """,
    )


# SQLite's shell checks no references. A daemon would stumble again and again over what these leave.
HELD = {
    "runs": (
        "EXISTS (SELECT 1 FROM attempts WHERE run_id = OLD.id)"
        " OR EXISTS (SELECT 1 FROM collections WHERE run_id = OLD.id)",
        "its attempts and collections go first",
    ),
    "bodies": (
        "EXISTS (SELECT 1 FROM runs WHERE body = OLD.fingerprint)",
        "the runs that it was made for go first",
    ),
}


def _watch_references() -> Iterator[Watch]:
    for table, (is_held, what_to_do) in HELD.items():
        yield Watch(
            f"{table}_held",
            table,
            f"""
            BEFORE DELETE ON {table} WHEN {is_held}
            BEGIN SELECT RAISE(ABORT, '{table}: {what_to_do}'); END
            """,
        )


# SQLite takes a blob for a text, and its shell's readfile() makes one.
TEXTS = {
    "schedules": (
        *(column for column in TIMETABLE if column not in {"manual", "max_runs", "enabled"}),
        *("collector", "batch", "queue", "deadline", "trigger_name", "notify", "deliver"),
        *("misfire_grace", "catch_up_window", "catch_up_pace", "labels"),
        *("first_pause", "longest_pause", "paused_by", "paused_reason"),
    ),
    "collectors": (
        *("name", "account", "collector_id", "deadline", "trigger_name", "notify", "deliver"),
        *("first_pause", "longest_pause"),
    ),
    "batches": ("name", "file", "inputs", "required"),
    "calendars": ("name", "rules"),
    "accounts": ("name", "base_url", "token"),
    "queues": ("name", "paused_by", "paused_reason"),
    "freezes": ("scope", "frozen_by", "reason"),
    "overrides": ("schedule", "field", "value", "made_by", "reason"),
}


def _watch_texts() -> Iterator[Watch]:
    for table, columns in TEXTS.items():
        is_blob = " OR ".join(f"typeof(NEW.{column}) = 'blob'" for column in columns)
        for what, event in (("new", "INSERT"), ("edited", f"UPDATE OF {', '.join(columns)}")):
            yield Watch(
                f"{table}_{what}_texts",
                table,
                f"""
                BEFORE {event} ON {table} WHEN {is_blob}
                BEGIN
                    SELECT RAISE(ABORT, '{table}: a blob for a text; write CAST(readfile(...) AS TEXT)');
                END
                """,
            )


WATCHES = {
    "sqlite": (
        *_watch_edits_on_sqlite(),
        *_watch_times_on_sqlite(),
        *_watch_references(),
        *_watch_texts(),
    ),
    "postgresql": (*_watch_edits_on_postgresql(), *_watch_times_on_postgresql()),
}


def _watch() -> None:
    brand = op.get_bind().dialect.name
    if brand == "postgresql":
        for name, body in FUNCTIONS.items():
            op.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
                f" AS $$ BEGIN {body} END $$"
            )
    for watch in WATCHES[brand]:
        kind = "CONSTRAINT TRIGGER" if "DEFERRED" in watch.text else "TRIGGER"
        op.execute(f"CREATE {kind} {watch.name} {watch.text}")


def _watch_no_more() -> None:
    brand = op.get_bind().dialect.name
    for watch in WATCHES[brand]:
        where = f" ON {watch.table}" if brand == "postgresql" else ""
        op.execute(f"DROP TRIGGER {watch.name}{where}")
    if brand == "postgresql":
        for name in FUNCTIONS:
            op.execute(f"DROP FUNCTION {name}()")


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
        sa.CheckConstraint(
            "max_in_flight BETWEEN 1 AND 2147483647", name=op.f("ck_accounts_max_in_flight")
        ),
        sa.CheckConstraint(
            "requests_per_second > 0 AND requests_per_second <= 1000000",
            name=op.f("ck_accounts_requests_per_second"),
        ),
        sa.PrimaryKeyConstraint("name", name="pk_accounts"),
    )
    op.create_table(
        "batches",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("inputs", sa.Text(), nullable=True),
        sa.Column("send_as", sa.Text(), server_default="json", nullable=False),
        sa.Column(
            "dedupe",
            sa.Boolean(create_constraint=True, name="dedupe"),
            server_default=sa.text("FALSE"),
            nullable=False,
        ),
        sa.Column("max_inputs_per_trigger", sa.Integer(), nullable=True),
        sa.Column("required", sa.Text(), nullable=True),
        sa.Column("max_change_percent", sa.Integer(), nullable=True),
        sa.Column("origin", sa.Text(), server_default="database", nullable=False),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_batches_origin")),
        sa.CheckConstraint(
            "send_as IN ('json', 'csv', 'multipart')", name=op.f("ck_batches_send_as")
        ),
        sa.CheckConstraint(
            "(file IS NULL) <> (inputs IS NULL)", name=op.f("ck_batches_file_or_inputs")
        ),
        sa.CheckConstraint(
            "max_change_percent BETWEEN 0 AND 2147483647",
            name=op.f("ck_batches_max_change_percent"),
        ),
        sa.CheckConstraint(
            "max_inputs_per_trigger BETWEEN 1 AND 2147483647",
            name=op.f("ck_batches_max_inputs_per_trigger"),
        ),
        sa.PrimaryKeyConstraint("name", name="pk_batches"),
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
        sa.PrimaryKeyConstraint("fingerprint", name="pk_bodies"),
    )
    op.create_table(
        "calendars",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), server_default="database", nullable=False),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_calendars_origin")),
        sa.PrimaryKeyConstraint("name", name="pk_calendars"),
    )
    op.create_table(
        "changes",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
    )
    op.create_index("ix_changes_subject_at", "changes", ["subject", "at"], unique=False)
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
        sa.PrimaryKeyConstraint("id", name="pk_daemons"),
    )
    op.create_table(
        "freezes",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("frozen_at", MOMENT, nullable=False),
        sa.Column("frozen_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", MOMENT, nullable=True),
        sa.CheckConstraint(
            "scope = 'all' OR scope LIKE 'collector:%' OR scope LIKE 'label:%'",
            name=op.f("ck_freezes_scope"),
        ),
        sa.PrimaryKeyConstraint("scope", name="pk_freezes"),
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
        sa.CheckConstraint("max_depth BETWEEN 1 AND 2147483647", name=op.f("ck_queues_max_depth")),
        sa.PrimaryKeyConstraint("name", name="pk_queues"),
    )
    op.create_table(
        "brakes",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Float(), server_default="1", nullable=False),
        sa.Column("refilled_at", MOMENT, nullable=True),
        sa.Column("open_until", MOMENT, nullable=True),
        sa.Column("strikes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("losses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("slow_start", sa.Integer(), nullable=True),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("paused_token", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.name"],
            name="fk_brakes_account",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account", name="pk_brakes"),
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
            server_default=sa.text("FALSE"),
            nullable=False,
        ),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("trigger_name", sa.Text(), nullable=True),
        sa.Column("notify", sa.Text(), nullable=True),
        sa.Column("deliver", sa.Text(), nullable=True),
        sa.Column("max_running", sa.Integer(), server_default="100", nullable=False),
        sa.Column("max_unsettled", sa.Integer(), server_default="1", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("first_pause", sa.Text(), nullable=True),
        sa.Column("longest_pause", sa.Text(), nullable=True),
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
        sa.CheckConstraint(
            "max_attempts BETWEEN 1 AND 2147483647", name=op.f("ck_collectors_max_attempts")
        ),
        sa.CheckConstraint(
            "max_running BETWEEN 1 AND 2147483647", name=op.f("ck_collectors_max_running")
        ),
        sa.CheckConstraint(
            "max_unsettled BETWEEN 1 AND 2147483647", name=op.f("ck_collectors_max_unsettled")
        ),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name="fk_collectors_account", onupdate="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name="pk_collectors"),
    )
    op.create_index(
        "ix_collectors_collector_id", "collectors", ["account", "collector_id"], unique=False
    )
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
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column(
            "confirm_cancel",
            sa.Boolean(create_constraint=True, name="confirm_cancel"),
            server_default=sa.text("FALSE"),
            nullable=False,
        ),
        sa.Column("lane", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.Column("send_before", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("first_pause", sa.Text(), nullable=False),
        sa.Column("longest_pause", sa.Text(), nullable=False),
        sa.Column("on_unconfirmed", sa.Text(), nullable=False),
        sa.Column("retry_of", ID, nullable=True),
        sa.Column("part", sa.Integer(), server_default="1", nullable=False),
        sa.Column("parts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("waits_for", ID, nullable=True),
        sa.Column(
            "replaces",
            sa.Boolean(create_constraint=True, name="replaces"),
            server_default=sa.text("FALSE"),
            nullable=False,
        ),
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
            "reason IN ('due', 'requested', 'backfill', 'not_sent', 'throttled', 'job_limit', 'absent', 'lease_ended', 'answer_lost', 'daemon_died', 'several_candidates', 'lookup_failed', 'duplicate_id', 'held', 'accepted', 'adopted', 'done', 'some_inputs_failed', 'deadline_reached', 'collection_failed', 'collection_cancelled', 'collection_gone', 'replaced', 'refused', 'bad_credentials', 'bad_inputs', 'bad_definition', 'attempts_exhausted', 'abandoned', 'cancelled_by_hand', 'missed', 'coalesced', 'superseded', 'overlapped', 'paused', 'frozen', 'predecessor_failed', 'queue_full', 'flushed')",
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
            ["account"], ["accounts.name"], name="fk_runs_account", onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(["body"], ["bodies.fingerprint"], name="fk_runs_body"),
        sa.ForeignKeyConstraint(["retry_of"], ["runs.id"], name="fk_runs_retry_of"),
        sa.ForeignKeyConstraint(["waits_for"], ["runs.id"], name="fk_runs_waits_for"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index(
        "ix_runs_collecting",
        "runs",
        ["account", "collector_id"],
        unique=False,
        sqlite_where=sa.text("state = 'collecting'"),
        postgresql_where=sa.text("state = 'collecting'"),
    )
    op.create_index(
        "ix_runs_in_line",
        "runs",
        ["lane", "priority", "due_at", "id"],
        unique=False,
        sqlite_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')"
        ),
        postgresql_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')"
        ),
    )
    op.create_index(
        "ix_runs_lease",
        "runs",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'dispatching'"),
        postgresql_where=sa.text("state = 'dispatching'"),
    )
    op.create_index(
        "ix_runs_look",
        "runs",
        ["look_at"],
        unique=False,
        sqlite_where=sa.text("state = 'unconfirmed'"),
        postgresql_where=sa.text("state = 'unconfirmed'"),
    )
    op.create_index(
        "ix_runs_open",
        "runs",
        ["state"],
        unique=False,
        sqlite_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
        ),
        postgresql_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
        ),
    )
    op.create_index(
        "ix_runs_ready",
        "runs",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_runs_replacing",
        "runs",
        ["account", "confirm_cancel", "collector_id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued' AND confirm_cancel = 1"),
        postgresql_where=sa.text("state = 'queued' AND confirm_cancel"),
    )
    op.create_index(
        "ix_runs_retry_of",
        "runs",
        ["retry_of"],
        unique=False,
        sqlite_where=sa.text("retry_of IS NOT NULL"),
        postgresql_where=sa.text("retry_of IS NOT NULL"),
    )
    op.create_index("ix_runs_schedule_ended_at", "runs", ["schedule", "ended_at"], unique=False)
    op.create_index("ix_runs_schedule_id", "runs", ["schedule", "id"], unique=False)
    op.create_index(
        "ix_runs_schedule_open",
        "runs",
        ["schedule"],
        unique=False,
        sqlite_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
        ),
        postgresql_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
        ),
    )
    op.create_index(
        "ix_runs_stopped",
        "runs",
        ["lane"],
        unique=False,
        sqlite_where=sa.text("state = 'needs_attention'"),
        postgresql_where=sa.text("state = 'needs_attention'"),
    )
    op.create_index(
        "ix_runs_to_replace",
        "runs",
        ["waits_for"],
        unique=False,
        sqlite_where=sa.text("state = 'queued' AND replaces = 1"),
        postgresql_where=sa.text("state = 'queued' AND replaces"),
    )
    op.create_index(
        "ix_runs_too_late",
        "runs",
        ["send_before"],
        unique=False,
        sqlite_where=sa.text("state = 'queued' AND send_before IS NOT NULL"),
        postgresql_where=sa.text("state = 'queued' AND send_before IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_unsettled",
        "runs",
        ["account", "collector_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
        postgresql_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
    )
    op.create_index(
        "ix_runs_waiting",
        "runs",
        ["account", "collector_id", sa.literal_column("priority DESC"), "due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_runs_waits_for",
        "runs",
        ["waits_for"],
        unique=False,
        sqlite_where=sa.text("waits_for IS NOT NULL"),
        postgresql_where=sa.text("waits_for IS NOT NULL"),
    )
    op.create_index("uq_runs_collection_id", "runs", ["collection_id"], unique=True)
    op.create_index(
        "uq_runs_lane_in_flight",
        "runs",
        ["lane"],
        unique=True,
        sqlite_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
        postgresql_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
    )
    op.create_index(
        "uq_runs_schedule_due_at_part",
        "runs",
        ["schedule", "due_at", "part"],
        unique=True,
        sqlite_where=sa.text("retry_of IS NULL"),
        postgresql_where=sa.text("retry_of IS NULL"),
    )
    op.create_table(
        "throttles",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column(
            "suspected",
            sa.Boolean(create_constraint=True, name="suspected"),
            server_default=sa.text("FALSE"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.name"],
            name="fk_throttles_account",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_throttles"),
    )
    op.create_index("ix_throttles_account_at", "throttles", ["account", "at"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
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
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_attempts_run_id"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_attempts"),
    )
    op.create_index("uq_attempts_collection_id", "attempts", ["collection_id"], unique=True)
    op.create_index(
        "uq_attempts_one_open",
        "attempts",
        ["run_id"],
        unique=True,
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )
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
        sa.Column("looked_at", MOMENT, nullable=True),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("replaced_by", ID, nullable=True),
        sa.Column("cancel_requested_at", MOMENT, nullable=True),
        sa.Column("cancel_note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name="fk_collections_account", onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(["replaced_by"], ["runs.id"], name="fk_collections_replaced_by"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_collections_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_collections"),
    )
    op.create_index(
        "ix_collections_leased",
        "collections",
        ["account", "lease_until"],
        unique=False,
        sqlite_where=sa.text("lease_until IS NOT NULL"),
        postgresql_where=sa.text("lease_until IS NOT NULL"),
    )
    op.create_index(
        "ix_collections_look",
        "collections",
        ["account", "look_at"],
        unique=False,
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.create_index("ix_collections_run_id", "collections", ["run_id"], unique=False)
    op.create_index(
        "ix_collections_running",
        "collections",
        ["account", "collector_id", "accepted_at"],
        unique=False,
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("collector", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=True),
        sa.Column("every", sa.Text(), nullable=True),
        sa.Column("calendar_interval", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=True),
        sa.Column(
            "manual",
            sa.Boolean(create_constraint=True, name="manual"),
            server_default=sa.text("FALSE"),
            nullable=False,
        ),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("after_when", sa.Text(), server_default="ended", nullable=False),
        sa.Column("anchor", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("dst_gap", sa.Text(), server_default="shift", nullable=False),
        sa.Column("dst_fold", sa.Text(), server_default="first", nullable=False),
        sa.Column("valid_from", sa.Text(), nullable=True),
        sa.Column("valid_until", sa.Text(), nullable=True),
        sa.Column("jitter", sa.Text(), nullable=True),
        sa.Column("spread", sa.Text(), nullable=True),
        sa.Column("exclude", sa.Text(), nullable=True),
        sa.Column("max_runs", sa.Integer(), nullable=True),
        sa.Column("overlap", sa.Text(), server_default="queue", nullable=False),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column(
            "confirm_cancel",
            sa.Boolean(create_constraint=True, name="confirm_cancel"),
            server_default=sa.text("FALSE"),
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
        sa.Column("catch_up_window", sa.Text(), nullable=True),
        sa.Column("catch_up_max", sa.Integer(), nullable=True),
        sa.Column("catch_up_pace", sa.Text(), nullable=True),
        sa.Column("pause_after_failures", sa.Integer(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("first_pause", sa.Text(), nullable=True),
        sa.Column("longest_pause", sa.Text(), nullable=True),
        sa.Column("on_unconfirmed", sa.Text(), nullable=True),
        sa.Column(
            "enabled",
            sa.Boolean(create_constraint=True, name="enabled"),
            server_default=sa.text("TRUE"),
            nullable=False,
        ),
        sa.Column("origin", sa.Text(), server_default="database", nullable=False),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.Column(
            "created_at", MOMENT, server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("edited_at", MOMENT, nullable=True),
        sa.Column("planned_at", MOMENT, nullable=True),
        sa.Column("fired_until", MOMENT, nullable=True),
        sa.Column("next_fire_at", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "after_when IN ('ended', 'succeeded')", name=op.f("ck_schedules_after_when")
        ),
        sa.CheckConstraint(
            "catch_up IN ('latest', 'all', 'none')", name=op.f("ck_schedules_catch_up")
        ),
        sa.CheckConstraint("dst_fold IN ('first', 'both')", name=op.f("ck_schedules_dst_fold")),
        sa.CheckConstraint("dst_gap IN ('shift', 'skip')", name=op.f("ck_schedules_dst_gap")),
        sa.CheckConstraint(
            "on_unconfirmed IN ('resend', 'hold', 'skip')", name=op.f("ck_schedules_on_unconfirmed")
        ),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_schedules_origin")),
        sa.CheckConstraint(
            "overlap IN ('queue', 'allow', 'skip', 'queue_one', 'replace')",
            name=op.f("ck_schedules_overlap"),
        ),
        sa.CheckConstraint("queue <> ''", name=op.f("ck_schedules_queue")),
        sa.CheckConstraint("version IN ('dev')", name=op.f("ck_schedules_version")),
        sa.CheckConstraint(
            "CASE WHEN cron IS NULL THEN 0 ELSE 1 END + CASE WHEN every IS NULL THEN 0 ELSE 1 END + CASE WHEN calendar_interval IS NULL THEN 0 ELSE 1 END + CASE WHEN at IS NULL THEN 0 ELSE 1 END + CASE WHEN after IS NULL THEN 0 ELSE 1 END + CASE WHEN manual THEN 1 ELSE 0 END = 1",
            name=op.f("ck_schedules_one_timetable"),
        ),
        sa.CheckConstraint(
            "anchor IS NULL OR every IS NOT NULL OR calendar_interval IS NOT NULL",
            name=op.f("ck_schedules_anchor_needs_a_beat"),
        ),
        sa.CheckConstraint(
            "catch_up_max BETWEEN 1 AND 2147483647", name=op.f("ck_schedules_catch_up_max")
        ),
        sa.CheckConstraint(
            "max_attempts BETWEEN 1 AND 2147483647", name=op.f("ck_schedules_max_attempts")
        ),
        sa.CheckConstraint("max_runs BETWEEN 1 AND 2147483647", name=op.f("ck_schedules_max_runs")),
        sa.CheckConstraint(
            "pause_after_failures BETWEEN 1 AND 2147483647",
            name=op.f("ck_schedules_pause_after_failures"),
        ),
        sa.CheckConstraint(
            "priority BETWEEN -2147483647 AND 2147483647", name=op.f("ck_schedules_priority")
        ),
        sa.CheckConstraint(
            "queue IS NULL OR NOT confirm_cancel", name=op.f("ck_schedules_one_behaviour")
        ),
        sa.ForeignKeyConstraint(
            ["batch"], ["batches.name"], name="fk_schedules_batch", onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["collector"], ["collectors.name"], name="fk_schedules_collector", onupdate="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name="pk_schedules"),
    )
    op.create_index(
        "ix_schedules_after",
        "schedules",
        ["after"],
        unique=False,
        sqlite_where=sa.text("after IS NOT NULL"),
        postgresql_where=sa.text("after IS NOT NULL"),
    )
    op.create_index("ix_schedules_batch", "schedules", ["batch"], unique=False)
    op.create_index("ix_schedules_collector", "schedules", ["collector"], unique=False)
    op.create_index(
        "ix_schedules_due",
        "schedules",
        ["next_fire_at"],
        unique=False,
        sqlite_where=sa.text("enabled = 1 AND error IS NULL"),
        postgresql_where=sa.text("enabled AND error IS NULL"),
    )
    op.create_index(
        "ix_schedules_exclude",
        "schedules",
        ["exclude"],
        unique=False,
        sqlite_where=sa.text("exclude IS NOT NULL"),
        postgresql_where=sa.text("exclude IS NOT NULL"),
    )
    op.create_index(
        "ix_schedules_paused_until",
        "schedules",
        ["paused_until"],
        unique=False,
        sqlite_where=sa.text("paused_until IS NOT NULL"),
        postgresql_where=sa.text("paused_until IS NOT NULL"),
    )
    op.create_index(
        "ix_schedules_of_files",
        "schedules",
        ["name"],
        unique=False,
        sqlite_where=sa.text("origin = 'file'"),
        postgresql_where=sa.text("origin = 'file'"),
    )
    op.create_index(
        "ix_schedules_set_aside",
        "schedules",
        ["name"],
        unique=False,
        sqlite_where=sa.text("error IS NOT NULL"),
        postgresql_where=sa.text("error IS NOT NULL"),
    )
    op.create_index(
        "ix_schedules_unplanned",
        "schedules",
        ["name"],
        unique=False,
        sqlite_where=sa.text("planned_at IS NULL"),
        postgresql_where=sa.text("planned_at IS NULL"),
    )
    op.create_table(
        "overrides",
        sa.Column("id", ID, nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule"],
            ["schedules.name"],
            name="fk_overrides_schedule",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_overrides"),
    )
    op.create_index("uq_overrides_schedule_field", "overrides", ["schedule", "field"], unique=True)
    _watch()


def downgrade() -> None:
    """Take it back: everything goes."""
    _watch_no_more()
    op.drop_index("uq_overrides_schedule_field", table_name="overrides")
    op.drop_table("overrides")
    op.drop_index(
        "ix_schedules_unplanned",
        table_name="schedules",
        sqlite_where=sa.text("planned_at IS NULL"),
        postgresql_where=sa.text("planned_at IS NULL"),
    )
    op.drop_index(
        "ix_schedules_of_files",
        table_name="schedules",
        sqlite_where=sa.text("origin = 'file'"),
        postgresql_where=sa.text("origin = 'file'"),
    )
    op.drop_index(
        "ix_schedules_set_aside",
        table_name="schedules",
        sqlite_where=sa.text("error IS NOT NULL"),
        postgresql_where=sa.text("error IS NOT NULL"),
    )
    op.drop_index(
        "ix_schedules_paused_until",
        table_name="schedules",
        sqlite_where=sa.text("paused_until IS NOT NULL"),
        postgresql_where=sa.text("paused_until IS NOT NULL"),
    )
    op.drop_index(
        "ix_schedules_exclude",
        table_name="schedules",
        sqlite_where=sa.text("exclude IS NOT NULL"),
        postgresql_where=sa.text("exclude IS NOT NULL"),
    )
    op.drop_index(
        "ix_schedules_due",
        table_name="schedules",
        sqlite_where=sa.text("enabled = 1 AND error IS NULL"),
        postgresql_where=sa.text("enabled AND error IS NULL"),
    )
    op.drop_index("ix_schedules_collector", table_name="schedules")
    op.drop_index("ix_schedules_batch", table_name="schedules")
    op.drop_index(
        "ix_schedules_after",
        table_name="schedules",
        sqlite_where=sa.text("after IS NOT NULL"),
        postgresql_where=sa.text("after IS NOT NULL"),
    )
    op.drop_table("schedules")
    op.drop_index(
        "ix_collections_running",
        table_name="collections",
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.drop_index("ix_collections_run_id", table_name="collections")
    op.drop_index(
        "ix_collections_look",
        table_name="collections",
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_collections_leased",
        table_name="collections",
        sqlite_where=sa.text("lease_until IS NOT NULL"),
        postgresql_where=sa.text("lease_until IS NOT NULL"),
    )
    op.drop_table("collections")
    op.drop_index(
        "uq_attempts_one_open",
        table_name="attempts",
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.drop_index("uq_attempts_collection_id", table_name="attempts")
    op.drop_table("attempts")
    op.drop_index("ix_throttles_account_at", table_name="throttles")
    op.drop_table("throttles")
    op.drop_index(
        "uq_runs_schedule_due_at_part",
        table_name="runs",
        sqlite_where=sa.text("retry_of IS NULL"),
        postgresql_where=sa.text("retry_of IS NULL"),
    )
    op.drop_index(
        "uq_runs_lane_in_flight",
        table_name="runs",
        sqlite_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
        postgresql_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
    )
    op.drop_index("uq_runs_collection_id", table_name="runs")
    op.drop_index(
        "ix_runs_waits_for",
        table_name="runs",
        sqlite_where=sa.text("waits_for IS NOT NULL"),
        postgresql_where=sa.text("waits_for IS NOT NULL"),
    )
    op.drop_index(
        "ix_runs_waiting",
        table_name="runs",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index(
        "ix_runs_unsettled",
        table_name="runs",
        sqlite_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
        postgresql_where=sa.text("state IN ('dispatching', 'unconfirmed')"),
    )
    op.drop_index(
        "ix_runs_too_late",
        table_name="runs",
        sqlite_where=sa.text("state = 'queued' AND send_before IS NOT NULL"),
        postgresql_where=sa.text("state = 'queued' AND send_before IS NOT NULL"),
    )
    op.drop_index(
        "ix_runs_to_replace",
        table_name="runs",
        sqlite_where=sa.text("state = 'queued' AND replaces = 1"),
        postgresql_where=sa.text("state = 'queued' AND replaces"),
    )
    op.drop_index(
        "ix_runs_stopped",
        table_name="runs",
        sqlite_where=sa.text("state = 'needs_attention'"),
        postgresql_where=sa.text("state = 'needs_attention'"),
    )
    op.drop_index(
        "ix_runs_schedule_open",
        table_name="runs",
        sqlite_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
        ),
        postgresql_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
        ),
    )
    op.drop_index("ix_runs_schedule_id", table_name="runs")
    op.drop_index("ix_runs_schedule_ended_at", table_name="runs")
    op.drop_index(
        "ix_runs_retry_of",
        table_name="runs",
        sqlite_where=sa.text("retry_of IS NOT NULL"),
        postgresql_where=sa.text("retry_of IS NOT NULL"),
    )
    op.drop_index(
        "ix_runs_replacing",
        table_name="runs",
        sqlite_where=sa.text("state = 'queued' AND confirm_cancel = 1"),
        postgresql_where=sa.text("state = 'queued' AND confirm_cancel"),
    )
    op.drop_index(
        "ix_runs_ready",
        table_name="runs",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index(
        "ix_runs_open",
        table_name="runs",
        sqlite_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
        ),
        postgresql_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
        ),
    )
    op.drop_index(
        "ix_runs_look",
        table_name="runs",
        sqlite_where=sa.text("state = 'unconfirmed'"),
        postgresql_where=sa.text("state = 'unconfirmed'"),
    )
    op.drop_index(
        "ix_runs_lease",
        table_name="runs",
        sqlite_where=sa.text("state = 'dispatching'"),
        postgresql_where=sa.text("state = 'dispatching'"),
    )
    op.drop_index(
        "ix_runs_in_line",
        table_name="runs",
        sqlite_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')"
        ),
        postgresql_where=sa.text(
            "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')"
        ),
    )
    op.drop_index(
        "ix_runs_collecting",
        table_name="runs",
        sqlite_where=sa.text("state = 'collecting'"),
        postgresql_where=sa.text("state = 'collecting'"),
    )
    op.drop_table("runs")
    op.drop_index("ix_collectors_collector_id", table_name="collectors")
    op.drop_table("collectors")
    op.drop_table("brakes")
    op.drop_table("queues")
    op.drop_table("freezes")
    op.drop_table("daemons")
    op.drop_index("ix_changes_subject_at", table_name="changes")
    op.drop_table("changes")
    op.drop_table("calendars")
    op.drop_table("bodies")
    op.drop_table("batches")
    op.drop_table("accounts")
