"""What applying a file would do: to the definitions, to what is due, and to runs that wait."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from scheduler.actions.comparing import WRITTEN, Change, Rows, Verb, compare, read_held
from scheduler.actions.definition_rows import definition_rows
from scheduler.config import Config
from scheduler.domain.definition import duration_of, excluded_calendars, timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.firing import plan_firing
from scheduler.domain.outlook import MOST_COUNTED, Outlook, compare_timetables
from scheduler.domain.records import Calendar, CatchUp, Reason, Run, Schedule
from scheduler.domain.timetable import Timetable
from scheduler.storage import owned, pruning
from scheduler.storage.database import Connection
from scheduler.storage.rows import record

DAYS_AHEAD: Final = 30
_MOST_SCHEDULES: Final = 1_000
_MOST_OCCURRENCES: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionPlan:
    """
    What `apply` does, exactly.

    *outlooks* are of the schedules that are due at other times then; *uncounted* is how many
    changed schedules were too many to count. *waiting* are the runs of pruned schedules, which
    are skipped. *fires_at_once* are schedules that were set aside for an error, are mended by
    this, and owe a run that is not too late yet: an edit itself fires nothing.
    """

    changes: list[Change]
    outlooks: list[Outlook]
    uncounted: int
    waiting: list[Run]
    fires_at_once: list[str]

    @property
    def is_empty(self) -> bool:
        """Tell whether applying would write nothing."""
        return not any(change.verb in WRITTEN for change in self.changes)


def plan_definitions(
    conn: Connection, config: Config, *, now: datetime, prune: bool = False
) -> DefinitionPlan:
    """Compare the file with the database; nothing is written. Raises Conflict as apply does."""
    wanted = dict(definition_rows(config))
    held = read_held(conn, wanted)
    changes = compare(wanted, held, prune=prune)
    deleted = [one.name for one in changes if one.verb is Verb.DELETED and one.table == "schedules"]
    pairs = list(_affected(wanted, held, changes, deleted))
    counted = pairs[:_MOST_SCHEDULES]
    before, after = _calendars(held["calendars"]), _calendars(_merged("calendars", wanted, held))
    outlooks = [
        compare_timetables(
            name,
            _timetable(old, before),
            _timetable(new, after),
            now=now,
            until=now + timedelta(days=DAYS_AHEAD),
            most=min(MOST_COUNTED, _MOST_OCCURRENCES // max(1, len(counted))),
        )
        for name, old, new in counted
    ]
    return DefinitionPlan(
        changes=changes,
        outlooks=[one for one in outlooks if not one.is_the_same],
        uncounted=len(pairs) - len(counted),
        waiting=pruning.list_waiting(conn, deleted),
        fires_at_once=[name for name, old, new in pairs if _is_mended(old, new, after, now)],
    )


def _merged(table: str, wanted: Rows, held: Rows) -> dict[str, Mapping[str, Any]]:
    names = {**held[table], **wanted[table]}
    defaults = owned.list_defaults(table)
    return {
        name: {
            **defaults,
            **held[table].get(name, {}),
            **wanted[table].get(name, {}),
            "name": name,
        }
        for name in names
    }


def _affected(
    wanted: Rows, held: Rows, changes: list[Change], deleted: list[str]
) -> Iterator[tuple[str, Schedule | None, Schedule | None]]:
    """Yield the schedules whose occurrences may change: before, after."""
    written = {(one.table, one.name) for one in changes if one.verb in WRITTEN}
    for name, row in _merged("schedules", wanted, held).items():
        old = held["schedules"].get(name)
        before = None if old is None else record(Schedule, old)
        after = record(Schedule, row)
        is_mendable = after.error is not None and bool(written)
        is_excluding = any(("calendars", one) in written for one in excluded_calendars(after))
        if ("schedules", name) in written or is_excluding or is_mendable:
            yield name, before, None if name in deleted else after


def _calendars(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Calendar]:
    return {name: Calendar(name=name, rules=row["rules"]) for name, row in rows.items()}


def _timetable(schedule: Schedule | None, calendars: Mapping[str, Calendar]) -> Timetable | None:
    """Return when the schedule is due; None for one that is off, wrong, or not there."""
    if schedule is None or not schedule.enabled:
        return None
    try:
        return timetable_of(schedule, calendars)
    except InvalidInput:
        return None


def _is_mended(
    before: Schedule | None,
    after: Schedule | None,
    calendars: Mapping[str, Calendar],
    now: datetime,
) -> bool:
    """Tell whether a schedule that is set aside owes a run at once when it is mended."""
    if before is None or before.error is None or not before.enabled or after is None:
        return False
    timetable = _timetable(after, calendars)
    if timetable is None or before.planned_at is None or _is_retimed(before, after):
        return False
    plan = plan_firing(
        timetable,
        fired_until=before.fired_until or before.created_at,
        now=now,
        misfire_grace=duration_of("misfire_grace", after.misfire_grace) or timedelta(),
        catch_up=CatchUp(after.catch_up),
    )
    return any(owed.fate is Reason.DUE for owed in plan.owed)


_TIMETABLE: Final = (
    *("cron", "every", "calendar_interval", "at", "manual", "after", "after_when", "anchor"),
    *("timezone", "dst_gap", "dst_fold", "valid_from", "valid_until", "jitter", "spread"),
    *("exclude", "max_runs", "enabled"),
)
"""The columns whose edit counts from the edit on: the database's trigger notes it."""


def _is_retimed(before: Schedule, after: Schedule) -> bool:
    return any(getattr(before, column) != getattr(after, column) for column in _TIMETABLE)
