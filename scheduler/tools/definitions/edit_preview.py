"""What a definition says, to be edited; what an edit comes to, before it is made."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from scheduler.actions.comparing import shown
from scheduler.actions.definition_check import check_row
from scheduler.actions.definition_columns import written_keys
from scheduler.actions.definitions import Edit, find_definition, plan_change
from scheduler.config import Defaults
from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Origin, Schedule
from scheduler.storage import definitions
from scheduler.storage.database import Connection
from scheduler.storage.rows import record
from scheduler.tools.definitions.outlook import Coming, Outlook, compare_coming

_AHEAD: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPreview:
    """
    What would be otherwise.

    *columns* has of each that differs how it is and will be; *outlook*, of a schedule, the
    occurrences of the next thirty days before and after, pauses and freezes left aside. *tag* is
    what the row is known by.
    """

    name: str
    columns: Mapping[str, tuple[Any, Any]]
    outlook: Outlook | None
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Editable:
    """
    What a row says, by its columns; nothing of what it leaves to the defaults.

    *hidden* are columns in which a credential stands. *is_of_file* tells that a file owns it,
    *defined_in* which.
    """

    name: str
    values: Mapping[str, Any]
    hidden: tuple[str, ...]
    is_of_file: bool
    defined_in: str | None


def read_editable(conn: Connection, table: str, name: str) -> Editable:
    """Return what a definition says; raises NotFound."""
    row = find_definition(conn, table, name)
    values = {column: value for column, value in written_keys(table, row).items() if value != []}
    hidden = tuple(column for column in values if shown(column, row[column]) != row[column])
    return Editable(
        name=name,
        values={column: value for column, value in values.items() if column not in hidden},
        hidden=hidden,
        is_of_file=row["origin"] == Origin.FILE,
        defined_in=row.get("defined_in"),
    )


def preview_edit(
    conn: Connection,
    table: str,
    name: str,
    values: Mapping[str, Any],
    *,
    defaults: Defaults,
    now: datetime,
) -> EditPreview:
    """Return what setting the columns that *values* names would do; raises what that would."""
    edit = plan_change(conn, table, name, values, defaults=defaults)
    check_row(conn, table, edit.after, now=now)
    return EditPreview(
        name=name,
        columns={
            column: (shown(column, old), shown(column, new))
            for column, (old, new) in edit.differing.items()
        },
        outlook=_outlook(conn, edit, now) if table == "schedules" else None,
        tag=edit.tag,
    )


def _outlook(conn: Connection, edit: Edit, now: datetime) -> Outlook:
    before, after = (_coming(conn, row) for row in (edit.before, edit.after))
    return compare_coming(edit.before["name"], before, after, now=now, until=now + _AHEAD)


def _coming(conn: Connection, row: Mapping[str, Any]) -> Coming | None:
    """Return what a row's timetable has to come; None for one that is off, or has no times."""
    schedule = record(Schedule, row)
    if not schedule.enabled or schedule.after is not None:
        return None
    with suppress(InvalidInput):
        return Coming(timetable=timetable_of(schedule, definitions.list_calendars(conn)))
    return None
