"""Where every table is registered, and how constraints and indexes are named."""

from typing import Any, Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    TextClause,
    text,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def added_flag(name: str, *, usual: bool = False) -> Column[bool]:
    """Return a flag that was added later: SQLite adds a column its own CHECK."""
    is_truth = CheckConstraint(f"{name} IN (FALSE, TRUE)", name=name)
    default = text("TRUE" if usual else "FALSE")
    return Column(name, Boolean, is_truth, nullable=False, server_default=default)


def partial_index(
    name: str,
    *columns: str | ColumnElement[Any] | TextClause,
    where: str,
    postgresql_where: str | None = None,
    unique: bool = False,
) -> Index:
    """Return an index of the rows *where* holds, which is told to both databases."""
    return Index(
        name,
        *columns,
        unique=unique,
        sqlite_where=text(where),
        postgresql_where=text(postgresql_where or where),
    )


def edits() -> Column[int]:
    """Return the count by which the audit's triggers tell our own statements from others."""
    return Column("edits", Integer, nullable=False, server_default="0")
