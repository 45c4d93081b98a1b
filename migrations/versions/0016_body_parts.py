"""Large bodies are kept in parts, which are written and sent one by one."""

import sqlalchemy as sa
from alembic import op

revision = "0016_body_parts"
down_revision = "0015_restores"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
IN_PARTS = sa.text("parts IS NOT NULL")
FIRST = sa.text("number = 1")
GONE = "DELETE FROM body_parts WHERE parts = OLD.parts"
JOINED = """
    UPDATE bodies SET parts = NULL, text = (
        SELECT {join} FROM (
            SELECT text FROM body_parts WHERE parts = bodies.parts ORDER BY number
        ) AS pieces
    ) WHERE parts IS NOT NULL
"""


def upgrade() -> None:
    """Add the table; what is there stays whole, and is sent as it was."""
    op.add_column("bodies", sa.Column("parts", sa.Text()))
    op.create_index(
        "ix_bodies_parts", "bodies", ["parts"], sqlite_where=IN_PARTS, postgresql_where=IN_PARTS
    )
    op.create_table(
        "body_parts",
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.CheckConstraint("number BETWEEN 1 AND 2147483647", name=op.f("ck_body_parts_number")),
        sa.PrimaryKeyConstraint("parts", "number", name="pk_body_parts"),
    )
    op.create_index(
        "ix_body_parts_begun",
        "body_parts",
        ["created_at"],
        sqlite_where=FIRST,
        postgresql_where=FIRST,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER bodies_gone AFTER DELETE ON bodies WHEN OLD.parts IS NOT NULL"
            f" BEGIN {GONE}; END"
        )
        return
    op.execute(
        "CREATE FUNCTION bodies_gone() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {GONE}; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER bodies_gone AFTER DELETE ON bodies FOR EACH ROW"
        " WHEN (OLD.parts IS NOT NULL) EXECUTE FUNCTION bodies_gone()"
    )


def downgrade() -> None:
    """Make each body whole again, and take the table away."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(
        JOINED.format(join="group_concat(text, '')" if is_sqlite else "string_agg(text, '')")
    )
    op.execute("DROP TRIGGER bodies_gone" + ("" if is_sqlite else " ON bodies"))
    if not is_sqlite:
        op.execute("DROP FUNCTION bodies_gone()")
    op.drop_table("body_parts")
    op.drop_index("ix_bodies_parts", "bodies")
    op.drop_column("bodies", "parts")
