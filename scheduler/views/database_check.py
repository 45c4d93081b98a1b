"""Is the database itself as it must be? What is wrong, in sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scheduler.storage.database import Connection
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
    rows = [] if damage else [*list_dangling(conn), *_broken_rules(conn, now)]
    return DatabaseCheckView(
        revision=current_revision(conn),
        is_damaged=bool(damage),
        problems=(*damage, *rows),
    )


def _broken_rules(conn: Connection, now: datetime) -> list[str]:
    health = read_health(conn, now=now, only_invariants=True)
    return [
        f"{broken.invariant}: {broken.sentence}: {'; '.join(map(_row_text, broken.rows))}"
        for broken in health.violations
    ]


def _row_text(row: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in row.items())
