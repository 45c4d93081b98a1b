"""Is the database itself as it must be? What is wrong, in sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scheduler.storage.database import Connection
from scheduler.storage.gaps import list_gaps
from scheduler.storage.integrity import list_damage, list_dangling
from scheduler.storage.migrate import current_revision
from scheduler.views.health import read_health


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCheckView:
    """What was found, a sentence each; *is_damaged*: its pages are wrong, not only its rows."""

    revision: str | None
    is_damaged: bool
    problems: tuple[str, ...]


def check_database(conn: Connection, *, now: datetime) -> DatabaseCheckView:
    """Read everything, as of one moment; nothing is written."""
    damage = list_damage(conn)
    gaps = [] if damage else list_gaps(conn)
    can_be_read = not damage and not any(gap.rows_are_lost for gap in gaps)
    rows = [*list_dangling(conn), *_broken_rules(conn, now)] if can_be_read else []
    return DatabaseCheckView(
        revision=current_revision(conn),
        is_damaged=bool(damage),
        problems=(*damage, *(gap.sentence for gap in gaps), *rows),
    )


def _broken_rules(conn: Connection, now: datetime) -> list[str]:
    health = read_health(conn, now=now, only_invariants=True)
    return [
        f"{broken.invariant}: {broken.sentence}: {'; '.join(map(_row_text, broken.rows))}"
        for broken in health.violations
    ]


def _row_text(row: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in row.items())
