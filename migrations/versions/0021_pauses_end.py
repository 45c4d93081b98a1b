"""Pauses of queues and accounts may end by themselves; an account's says who paused it."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import is_sqlite

revision = "0021_pauses_end"
down_revision = "0020_dropin"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
ADDED = {
    "queues": (("paused_until", MOMENT),),
    "brakes": (("paused_by", sa.Text()), ("paused_until", MOMENT)),
}
# Table: what its scope begins with, its key, who stopped it (after and before this revision).
STOPS = {
    "queues": ("queue:", "name", "{row}.paused_by", "{row}.paused_by"),
    "brakes": (
        "account:",
        "account",
        # No person pauses for a token: its account refused it.
        "CASE WHEN {row}.paused_token IS NOT NULL THEN 'dca-scheduler' ELSE {row}.paused_by END",
        "CASE WHEN {row}.paused_token IS NOT NULL THEN 'dca-scheduler' END",
    ),
}
EVENTS = {"new": "INSERT", "edited": "UPDATE", "gone": "DELETE"}


def upgrade() -> None:
    """Add the columns, and let the holds of pauses have them."""
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
    # Who paused an account was kept with its hold alone.
    op.execute(
        "UPDATE brakes SET paused_by = (SELECT holds.by FROM holds"
        " WHERE scope = 'account:' || brakes.account AND holds.until IS NULL)"
        " WHERE paused_at IS NOT NULL AND paused_token IS NULL"
    )
    for table, (_, key, who, _) in STOPS.items():
        names = [key, "paused_at", "paused_reason", *(name for name, _ in ADDED[table])]
        names += ["paused_by"] if table == "queues" else []
        _replace_triggers(table, names, who, "{row}.paused_until")
    _replace_times("paused_at", "paused_until")
    if not is_sqlite():
        # Who may edit a schedule need not have rights on what its pauses are noted in.
        for table in ("queues", "schedules", "brakes", "freezes"):
            for what in EVENTS:
                name = f"{table}_held_{what}"
                op.execute(f"ALTER FUNCTION {name}() SECURITY DEFINER SET search_path FROM CURRENT")


def downgrade() -> None:
    """Take the columns away; a pause that would have ended lasts."""
    _replace_times("paused_at")
    for table, (_, key, _, who) in STOPS.items():
        names = [key, "paused_at", "paused_reason"]
        names += ["paused_by"] if table == "queues" else []
        nobody = "NULL" if is_sqlite() else "CAST(NULL AS TIMESTAMP WITH TIME ZONE)"
        _replace_triggers(table, names, who, nobody)
    for table, columns in ADDED.items():
        for name, _ in reversed(columns):
            op.drop_column(table, name)


def _replace_triggers(table: str, columns: list[str], who: str, until: str) -> None:
    now, latest, differs = (
        ("strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'", "max", "IS NOT")
        if is_sqlite()
        else ("clock_timestamp()", "greatest", "IS DISTINCT FROM")
    )
    prefix, key, *_ = STOPS[table]
    begins = (
        "INSERT INTO holds (scope, why, by, since, until)"
        f" SELECT '{prefix}' || {{row}}.{key}, {{row}}.paused_reason, {who}, {{row}}.paused_at,"
        f" {until} WHERE {{row}}.paused_at IS NOT NULL"
    ).format(row="NEW")
    ends = (
        f"UPDATE holds SET until = {latest}(since, {{at}}) WHERE scope = '{prefix}' || OLD.{key}"
        " AND (until IS NULL OR until > {at})"
    )
    changed = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in columns)
    bodies = {
        "new": ("NEW.paused_at IS NOT NULL", begins),
        "edited": (changed, f"{ends.format(at=f'coalesce(NEW.paused_at, {now})')}; {begins}"),
        "gone": ("OLD.paused_at IS NOT NULL", ends.format(at=now)),
    }
    for what, (condition, body) in bodies.items():
        of = f" OF {', '.join(columns)}" if what == "edited" else ""
        event = f"AFTER {EVENTS[what]}{of} ON {table}"
        _replace_trigger(f"{table}_held_{what}", table, event, condition, body)


def _replace_trigger(name: str, table: str, event: str, condition: str, body: str) -> None:
    if is_sqlite():
        op.execute(f"DROP TRIGGER {name}")
        op.execute(f"CREATE TRIGGER {name} {event} WHEN ({condition}) BEGIN {body}; END")
        return
    op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {body}; RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {name} {event} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {name}()"
    )


def _replace_times(*columns: str) -> None:
    """Let nobody write what is no time into *columns* of a queue, as 0001 has it for others."""
    if not is_sqlite():
        readable = "'0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00'"
        unreadable = " OR ".join(f"NEW.{column} NOT BETWEEN {readable}" for column in columns)
        op.execute("DROP TRIGGER queues_times ON queues")
        op.execute(
            f"CREATE TRIGGER queues_times BEFORE INSERT OR UPDATE OF {', '.join(columns)} ON queues"
            f" FOR EACH ROW WHEN ({unreadable}) EXECUTE FUNCTION refuse_times()"
        )
        return
    date, stored = (
        text.replace("0", "[0-9]") for text in ("0000-00-00", "0000-00-00 00:00:00.000000")
    )
    told = " OR ".join(f"NEW.{column} NOT GLOB '{stored}'" for column in columns)
    unreadable = " OR ".join(
        f"NEW.{column} NOT GLOB '{date}*'"
        f" OR (NEW.{column} IS NOT NULL AND julianday(NEW.{column}) IS NULL)"
        for column in columns
    )
    rewritten = ", ".join(
        f"{column} = CASE WHEN {column} GLOB '{stored}' THEN {column}"
        f" ELSE strftime('%Y-%m-%d %H:%M:%f', {column}) || '000' END"
        for column in columns
    )
    refusal = "queues: not a time; write it in UTC, such as 2026-03-02 09:00"
    for what, event in (("new", "INSERT"), ("edited", f"UPDATE OF {', '.join(columns)}")):
        op.execute(f"DROP TRIGGER queues_{what}_times")
        op.execute(
            f"CREATE TRIGGER queues_{what}_times AFTER {event} ON queues WHEN {told} BEGIN"
            f" SELECT RAISE(ABORT, '{refusal}') WHERE {unreadable};"
            f" UPDATE queues SET {rewritten} WHERE rowid = NEW.rowid; END"
        )
