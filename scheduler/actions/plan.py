"""What applying a file would do: to the definitions, to what is due, and to runs that wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from scheduler.actions.comparing import WRITTEN, Change, Rows, Verb, compare, read_held
from scheduler.actions.definition_rows import definition_rows
from scheduler.config import Config
from scheduler.domain.definition import duration_of, excluded_calendars, timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.firing import plan_firing
from scheduler.domain.outlook import MOST_COUNTED, Coming, Outlook, compare_coming
from scheduler.domain.pauses import Freeze, stop_at
from scheduler.domain.records import Calendar, CatchUp, Reason, Run, Schedule
from scheduler.domain.timetable import Timetable
from scheduler.storage import freezes, owned, pruning, runs
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
    this, and owe a run that is not too late yet: an edit itself fires nothing. *never_due* are
    schedules that have times, and all of them have passed.
    """

    changes: list[Change]
    outlooks: list[Outlook]
    uncounted: int
    waiting: list[Run]
    fires_at_once: list[str]
    never_due: list[str]

    @property
    def is_empty(self) -> bool:
        """Tell whether applying would write nothing."""
        return not any(change.verb in WRITTEN for change in self.changes)

    @property
    def is_whole(self) -> bool:
        """Tell whether all that is due otherwise was counted: only then is there a sum of it."""
        return not self.uncounted and all(one.is_whole for one in self.outlooks)


def plan_definitions(
    conn: Connection, config: Config, *, now: datetime, prune: bool = False
) -> DefinitionPlan:
    """Compare the file with the database; nothing is written. Raises Conflict as apply does."""
    wanted = dict(definition_rows(config))
    held = read_held(conn, wanted)
    changes = compare(wanted, held, prune=prune)
    deleted = [one.name for one in changes if one.verb is Verb.DELETED and one.table == "schedules"]
    before = _Definitions.of(conn, held["schedules"], held["calendars"])
    merged = {
        name: row for name, row in _merged("schedules", wanted, held).items() if name not in deleted
    }
    after = _Definitions.of(conn, merged, _merged("calendars", wanted, held))
    names = _affected(before, after, changes)
    outlooks = [
        compare_coming(
            name,
            before.coming(name),
            after.coming(name),
            now=now,
            until=now + timedelta(days=DAYS_AHEAD),
            most=min(MOST_COUNTED, _MOST_OCCURRENCES // max(1, len(names))),
        )
        for name in names[:_MOST_SCHEDULES]
    ]
    return DefinitionPlan(
        changes=changes,
        outlooks=[one for one in outlooks if not one.is_the_same],
        uncounted=max(0, len(names) - _MOST_SCHEDULES),
        waiting=pruning.list_waiting(conn, deleted),
        never_due=[name for name in names if after.has_passed(name, now)],
        fires_at_once=[name for name in names if _is_mended(name, before, after, now)],
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Definitions:
    """The schedules as they are, or as they will be, and what their occurrences depend on."""

    schedules: Mapping[str, Schedule]
    calendars: Mapping[str, Calendar]
    freezes: Sequence[Freeze]
    made: Mapping[str, int]

    @classmethod
    def of(
        cls,
        conn: Connection,
        schedules: Mapping[str, Mapping[str, Any]],
        calendars: Mapping[str, Mapping[str, Any]],
    ) -> Self:
        """Read them from rows, and what was fired and frozen from the database."""
        found = {name: record(Schedule, row) for name, row in schedules.items()}
        limited = [name for name, one in found.items() if one.max_runs is not None]
        return cls(
            schedules=found,
            calendars={
                name: Calendar(name=name, rules=row["rules"]) for name, row in calendars.items()
            },
            freezes=freezes.list_freezes(conn),
            made=runs.count_made(conn, limited),
        )

    def coming(self, name: str) -> Coming | None:
        """Return what the schedule has to come; None for one that is off, wrong, or not there."""
        schedule = self.schedules.get(name)
        timetable = self.timetable(name)
        if schedule is None or timetable is None:
            return None
        left = None
        if schedule.max_runs is not None:
            left = max(0, schedule.max_runs - self.made.get(name, 0))
        return Coming(
            timetable=timetable,
            is_stopped=lambda at: stop_at(at, schedule, self.freezes) is not None,
            left=left,
        )

    def has_passed(self, name: str, now: datetime) -> bool:
        """Tell whether the schedule has times of its own, and all of them lie behind."""
        schedule, timetable = self.schedules.get(name), self.timetable(name)
        if schedule is None or timetable is None or schedule.manual or schedule.after is not None:
            return False
        return timetable.next_after(now) is None

    def timetable(self, name: str) -> Timetable | None:
        """Return when the schedule is due; one with `after` as often as the one before it."""
        schedule = self.schedules.get(name)
        seen = {name}
        while schedule is not None and schedule.enabled and schedule.after is not None:
            if schedule.after in seen:
                return None
            seen.add(schedule.after)
            schedule = self.schedules.get(schedule.after)
        if schedule is None or not schedule.enabled:
            return None
        try:
            return timetable_of(schedule, self.calendars)
        except InvalidInput:
            return None


def _affected(before: _Definitions, after: _Definitions, changes: Sequence[Change]) -> list[str]:
    """Return the schedules whose occurrences may change, and those that come after them."""
    written = {(one.table, one.name) for one in changes if one.verb in WRITTEN}
    names = {**before.schedules, **after.schedules}
    found = [name for name, one in names.items() if _may_change(one, written)]
    concerned = set(found)
    while followers := [
        name for name, one in names.items() if one.after in concerned and name not in concerned
    ]:
        found += followers
        concerned.update(followers)
    return found


def _may_change(schedule: Schedule, written: set[tuple[str, str]]) -> bool:
    is_excluding = any(("calendars", one) in written for one in excluded_calendars(schedule))
    is_mendable = schedule.error is not None and bool(written)
    return ("schedules", schedule.name) in written or is_excluding or is_mendable


def _is_mended(name: str, before: _Definitions, after: _Definitions, now: datetime) -> bool:
    """Tell whether a schedule that is set aside owes a run at once when it is mended."""
    old, new = before.schedules.get(name), after.schedules.get(name)
    if old is None or new is None or old.error is None or not old.enabled:
        return False
    timetable = after.timetable(name)
    if timetable is None or old.planned_at is None or _is_retimed(old, new):
        return False
    plan = plan_firing(
        timetable,
        fired_until=old.fired_until or old.created_at,
        now=now,
        misfire_grace=duration_of("misfire_grace", new.misfire_grace) or timedelta(),
        catch_up=CatchUp(new.catch_up),
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
