"""A history of every run: each change of its state is a row, whoever makes it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008_words"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

MOVES: dict[str, tuple[str, ...]] = {
    "queued": ("dispatching", "skipped", "failed", "cancelled", "collecting"),
    "dispatching": ("collecting", "failed", "queued", "unconfirmed", "needs_attention"),
    "unconfirmed": ("collecting", "queued", "failed", "needs_attention"),
    "needs_attention": ("collecting", "queued", "failed"),
    "collecting": ("succeeded", "partial", "failed", "cancelled", "needs_attention"),
    "failed": ("collecting",),
    "cancelled": ("collecting",),
    "skipped": ("collecting",),
    "succeeded": (),
    "partial": (),
}
FIRST = ("queued", "skipped", "failed")

_FIRST = ", ".join(f"'{state}'" for state in FIRST)
_KNOWN = ", ".join(f"'{old} {new}'" for old, states in MOVES.items() for new in states)
_BEGINS = f"a run begins as {', '.join(FIRST[:-1])} or {FIRST[-1]}"
_KEPT = ("id", "at", "run_id", "from_state", "to_state", "reason", "detail", "by")
_NEVER_CHANGED = "what has happened to a run is never changed"
_GO_WITH_THEIR_RUN = "what has happened to a run goes with the run, and not before"


def _refusal(old: str) -> str:
    states = MOVES[old]
    if not states:
        return f"a run that is {old} stays so"
    several = f"{', '.join(states[:-1])} or {states[-1]}" if len(states) > 1 else states[0]
    return f"a run that is {old} becomes {several} next"


def _event(run: str, old: str, at: str, by: str) -> str:
    return (
        "INSERT INTO run_events (at, run_id, from_state, to_state, reason, detail, by"
        f"{{more_columns}}) VALUES ({at}, {run}.id, {old}, {run}.state, {run}.reason,"
        f" {run}.detail, {by}{{more_values}});"
    )


# --- SQLite

_NOW_ON_SQLITE = "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'"
# Times of one run are in order; text that is no time is greater than any.
_LATER_ON_SQLITE = (
    f"CASE WHEN OLD.moved_at > {_NOW_ON_SQLITE} AND OLD.moved_at < '9999'"
    f" THEN OLD.moved_at ELSE {_NOW_ON_SQLITE} END"
)


def _on_sqlite(event: str) -> str:
    return event.format(more_columns="", more_values="")


_REFUSALS = " ".join(
    f"SELECT RAISE(ABORT, 'runs: {_refusal(old)}') WHERE OLD.state = '{old}';" for old in MOVES
)
ON_SQLITE: dict[str, str] = {
    "runs_created": f"""
        AFTER INSERT ON runs BEGIN
            SELECT RAISE(ABORT, 'runs: {_BEGINS}') WHERE NEW.state NOT IN ({_FIRST});
            {
        _on_sqlite(
            _event(
                "NEW",
                "NULL",
                "coalesce(NEW.moved_at, NEW.created_at)",
                "coalesce(NEW.moved_by, 'sql')",
            )
        )
    }
        END""",
    "runs_move_refused": f"""
        BEFORE UPDATE OF state ON runs
        WHEN NEW.state <> OLD.state AND OLD.state || ' ' || NEW.state NOT IN ({_KNOWN})
        BEGIN {_REFUSALS} END""",
    "runs_moved": f"""
        AFTER UPDATE OF state ON runs WHEN NEW.state <> OLD.state AND NEW.moves <> OLD.moves
        BEGIN
            {
        _on_sqlite(_event("NEW", "OLD.state", "NEW.moved_at", "coalesce(NEW.moved_by, 'sql')"))
    }
        END""",
    "runs_moved_by_sql": f"""
        AFTER UPDATE OF state ON runs WHEN NEW.state <> OLD.state AND NEW.moves = OLD.moves
        BEGIN
            UPDATE runs SET moved_at = {_LATER_ON_SQLITE}, moved_by = 'sql' WHERE id = NEW.id;
            {_on_sqlite(_event("NEW", "OLD.state", _LATER_ON_SQLITE, "'sql'"))}
        END""",
    "runs_gone": """
        AFTER DELETE ON runs BEGIN DELETE FROM run_events WHERE run_id = OLD.id; END""",
    "run_events_changed": f"""
        BEFORE UPDATE OF {", ".join(_KEPT)} ON run_events
        BEGIN SELECT RAISE(ABORT, 'run_events: {_NEVER_CHANGED}'); END""",
    "run_events_held": f"""
        BEFORE DELETE ON run_events WHEN EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id)
        BEGIN SELECT RAISE(ABORT, 'run_events: {_GO_WITH_THEIR_RUN}'); END""",
}

# --- PostgreSQL


def _on_postgresql(event: str) -> str:
    return event.format(
        more_columns=", transaction_id",
        more_values=", pg_current_xact_id()::text::bigint",
    )


_CASES = " ".join(f"WHEN '{old}' THEN '{_refusal(old)}'" for old in MOVES)
FUNCTIONS: dict[str, str] = {
    "run_created": f"""
        IF NEW.state NOT IN ({_FIRST}) THEN
            RAISE EXCEPTION 'runs: {_BEGINS}' USING ERRCODE = 'check_violation';
        END IF;
        {
        _on_postgresql(
            _event(
                "NEW",
                "NULL",
                "coalesce(NEW.moved_at, NEW.created_at)",
                "coalesce(NEW.moved_by, 'sql')",
            )
        )
    }
        RETURN NULL;""",
    "run_moved": f"""
        IF OLD.state || ' ' || NEW.state NOT IN ({_KNOWN}) THEN
            RAISE EXCEPTION 'runs: %', CASE OLD.state {_CASES} END
                USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.moves = OLD.moves THEN
            NEW.moved_at := greatest(clock_timestamp(), OLD.moved_at);
            NEW.moved_by := 'sql';
        END IF;
        {
        _on_postgresql(_event("NEW", "OLD.state", "NEW.moved_at", "coalesce(NEW.moved_by, 'sql')"))
    }
        RETURN NEW;""",
    "run_gone": "DELETE FROM run_events WHERE run_id = OLD.id; RETURN NULL;",
    "run_event_changed": f"""
        RAISE EXCEPTION 'run_events: {_NEVER_CHANGED}' USING ERRCODE = 'check_violation';""",
    "run_event_held": f"""
        IF EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id) THEN
            RAISE EXCEPTION 'run_events: {_GO_WITH_THEIR_RUN}' USING ERRCODE = 'check_violation';
        END IF;
        RETURN OLD;""",
}
ON_POSTGRESQL: dict[str, str] = {
    "runs_created": "AFTER INSERT ON runs FOR EACH ROW EXECUTE FUNCTION run_created()",
    "runs_moved": """
        BEFORE UPDATE OF state ON runs FOR EACH ROW WHEN (OLD.state <> NEW.state)
        EXECUTE FUNCTION run_moved()""",
    "runs_gone": "AFTER DELETE ON runs FOR EACH ROW EXECUTE FUNCTION run_gone()",
    "run_events_changed": f"""
        BEFORE UPDATE OF {", ".join(_KEPT)} ON run_events FOR EACH ROW
        EXECUTE FUNCTION run_event_changed()""",
    "run_events_held": """
        BEFORE DELETE ON run_events FOR EACH ROW EXECUTE FUNCTION run_event_held()""",
}

# What was there before: how it came into being, and what it is now.
CREATION = """
    INSERT INTO run_events (at, run_id, to_state, reason, by)
    SELECT created_at, id,
        CASE WHEN state = 'skipped' AND ended_at = created_at THEN state ELSE 'queued' END,
        CASE WHEN state = 'skipped' AND ended_at = created_at THEN reason
             WHEN schedule IS NULL THEN 'requested' ELSE 'due' END,
        'upgrade'
    FROM runs ORDER BY id
"""
PRESENT = """
    INSERT INTO run_events (at, run_id, from_state, to_state, reason, detail, by)
    SELECT coalesce(ended_at, triggered_at, created_at), id, 'queued', state, reason, detail,
        'upgrade'
    FROM runs
    WHERE state <> 'queued' AND NOT (state = 'skipped' AND ended_at = created_at) ORDER BY id
"""
# All of that is no news.
CURSOR = """
    INSERT INTO event_cursors (consumer, transaction_id, event_id)
    SELECT 'log', 0, coalesce(max(id), 0) FROM run_events
"""


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("runs", sa.Column("moves", sa.Integer, nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("moved_at", MOMENT))
    op.add_column("runs", sa.Column("moved_by", sa.Text))
    op.create_table(
        "run_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("from_state", sa.Text),
        sa.Column("to_state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("transaction_id", ID, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_run_events"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "event_cursors",
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("transaction_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("consumer", name="pk_event_cursors"),
    )
    for statement in (CREATION, PRESENT, CURSOR):
        op.execute(statement)
    op.create_index("ix_run_events_run_id", "run_events", ["run_id", "id"])
    op.create_index("ix_run_events_order", "run_events", ["transaction_id", "id"])
    if op.get_bind().dialect.name == "postgresql":
        for name, body in FUNCTIONS.items():
            op.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
                f" AS $$ BEGIN {body} END $$"
            )
    for name, text in _triggers().items():
        op.execute(f"CREATE TRIGGER {name} {text}")


def downgrade() -> None:
    """Take the schema back; the history is lost."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for name in _triggers():
        table = "run_events" if name.startswith("run_events") else "runs"
        op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if is_postgresql else ""))
    if is_postgresql:
        for name in FUNCTIONS:
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("event_cursors")
    op.drop_table("run_events")
    for column in ("moved_by", "moved_at", "moves"):
        op.drop_column("runs", column)


def _triggers() -> dict[str, str]:
    return ON_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else ON_SQLITE
