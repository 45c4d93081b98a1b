"""What has held runs up is kept: each pause and freeze leaves a row, whoever makes it."""

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0013_holds"
down_revision = "0012_gaps"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


class Stop(NamedTuple):
    """Which columns of a table say that somebody has stopped something, {row} being a row."""

    table: str
    scope: str
    since: str
    who: str
    why: str
    until: str
    columns: str


STOPS = (
    Stop(
        "queues",
        "'queue:' || {row}.name",
        "{row}.paused_at",
        "{row}.paused_by",
        "{row}.paused_reason",
        "NULL",
        "name, paused_at, paused_by, paused_reason",
    ),
    Stop(
        "schedules",
        "'schedule:' || {row}.name",
        "{row}.paused_at",
        "{row}.paused_by",
        "{row}.paused_reason",
        "{row}.paused_until",
        "name, paused_at, paused_by, paused_reason, paused_until",
    ),
    Stop(
        "brakes",
        "'account:' || {row}.account",
        "{row}.paused_at",
        # No person pauses for a token: its account refused it.
        "CASE WHEN {row}.paused_token IS NOT NULL THEN 'dca-scheduler' END",
        "{row}.paused_reason",
        "NULL",
        "account, paused_at, paused_reason",
    ),
    Stop(
        "freezes",
        "'freeze:' || {row}.scope",
        "{row}.frozen_at",
        "{row}.frozen_by",
        "{row}.reason",
        "{row}.until",
        "scope, frozen_at, frozen_by, reason, until",
    ),
)

ON_SQLITE = ("strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'", "max", "IS NOT")
ON_POSTGRESQL = ("clock_timestamp()", "greatest", "IS DISTINCT FROM")


def _begins(stop: Stop, row: str, source: str = "") -> str:
    values = (stop.scope, stop.why, stop.who, stop.since, _typed(stop.until))
    insert = f"INSERT INTO holds (scope, why, who, since, until) SELECT {', '.join(values)}"
    return f"{insert} {source} WHERE {stop.since} IS NOT NULL".format(row=row)


def _typed(until: str) -> str:
    return "CAST(NULL AS TIMESTAMP WITH TIME ZONE)" if until == "NULL" and _is_postgres() else until


def _ends(stop: Stop, at: str, latest: str) -> str:
    scope = stop.scope.format(row="OLD")
    return (
        f"UPDATE holds SET until = {latest}(since, {at})"
        f" WHERE scope = {scope} AND (until IS NULL OR until > {at})"
    )


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _triggers(stop: Stop) -> dict[str, str]:
    """Return the three triggers of a table, each with the statements that it carries out."""
    now, latest, differs = ON_POSTGRESQL if _is_postgres() else ON_SQLITE
    table, since = stop.table, stop.since
    changed = " OR ".join(
        f"OLD.{column} {differs} NEW.{column}" for column in stop.columns.split(", ")
    )
    begins = _begins(stop, "NEW")
    at = f"coalesce({since.format(row='NEW')}, {now})"
    return {
        f"AFTER INSERT ON {table}{{each}} WHEN ({since.format(row='NEW')} IS NOT NULL)": begins,
        f"AFTER UPDATE OF {stop.columns} ON {table}{{each}} WHEN ({changed})": (
            f"{_ends(stop, at, latest)}; {begins}"
        ),
        f"AFTER DELETE ON {table}{{each}} WHEN ({since.format(row='OLD')} IS NOT NULL)": (
            _ends(stop, now, latest)
        ),
    }


def _names(stop: Stop) -> list[str]:
    return [f"{stop.table}_held_{what}" for what in ("new", "edited", "gone")]


def upgrade() -> None:
    """Add the table, with what holds at this moment."""
    op.create_table(
        "holds",
        sa.Column("id", ID, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("who", sa.Text),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
    )
    op.create_index("ix_holds_scope_since", "holds", ["scope", "since"])
    op.create_index("ix_holds_until", "holds", ["until"])
    for stop in STOPS:
        op.execute(_begins(stop, stop.table, f"FROM {stop.table}"))
        for name, (event, body) in zip(_names(stop), _triggers(stop).items(), strict=True):
            _create_trigger(name, event, body)


def _create_trigger(name: str, event: str, body: str) -> None:
    if not _is_postgres():
        op.execute(f"CREATE TRIGGER {name} {event.format(each='')} BEGIN {body}; END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {body}; RETURN NULL; END $$"
    )
    event = event.format(each=" FOR EACH ROW")
    op.execute(f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    """Take the table away; what has held runs up is forgotten."""
    for stop in STOPS:
        for name in _names(stop):
            op.execute(f"DROP TRIGGER {name}" + (f" ON {stop.table}" if _is_postgres() else ""))
            if _is_postgres():
                op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("holds")
