"""What applying a file would do: to the definitions, to what is due, and to runs that wait."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from scheduler.actions.comparing import (
    WRITTEN,
    Change,
    Rows,
    Verb,
    compare,
    read_held,
    shown_change,
)
from scheduler.actions.definition_columns import TIMETABLE_COLUMNS, Columns, definition_rows
from scheduler.config import Config
from scheduler.domain.budgets import Budget
from scheduler.domain.definition import duration_of, excluded_calendars, timetable_of
from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.firing import plan_firing
from scheduler.domain.pauses import Freeze, stop_at
from scheduler.domain.records import Calendar, CatchUp, Reason, Run, Schedule, ScheduleTimes
from scheduler.domain.timetable import Timetable
from scheduler.storage import budgets, definition_tables, freezes, pruning, runs
from scheduler.storage.database import Connection
from scheduler.storage.rows import record
from scheduler.tools.costs import Planned
from scheduler.tools.definitions.growth import Growth, Side, compare_growth
from scheduler.tools.definitions.outlook import MOST_COUNTED, Coming, Outlook, compare_coming
from scheduler.tools.lineage import lineage, runs_left
from scheduler.views.decoding import read_json

DAYS_AHEAD: Final = 30
_MOST_SCHEDULES: Final = 1_000
_MOST_OCCURRENCES: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionPlan:
    """
    What `apply` does, exactly.

    *outlooks* are of the schedules that are due at other times then; *uncounted* is how many
    changed schedules were too many to count. *waiting* are the runs of pruned schedules, which
    are skipped. *fires_at_once* are schedules that were invalid for an error, are mended by
    this, and owe a run that is not too late yet: an edit itself fires nothing. *never_due* are
    schedules that have times, and all of them have passed.
    """

    changes: list[Change]
    outlooks: list[Outlook]
    uncounted: int
    waiting: list[Run]
    fires_at_once: list[str]
    never_due: list[str]
    growth: Growth | None

    @property
    def is_empty(self) -> bool:
        """Tell whether applying would write nothing."""
        return not any(change.verb in WRITTEN for change in self.changes)

    @property
    def is_whole(self) -> bool:
        """Tell whether all that is due otherwise was counted: only then is there a sum of it."""
        return not self.uncounted and all(outlook.is_whole for outlook in self.outlooks)

    @property
    def sums(self) -> tuple[int, int]:
        """Return how many runs more, and how many moved."""
        return sum(outlook.more_runs for outlook in self.outlooks), sum(
            outlook.moved for outlook in self.outlooks
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan as it is shown: no inputs, no credentials; no sum where not all was counted."""

    changes: tuple[Change, ...]
    due: tuple[Outlook, ...]
    never_due: tuple[str, ...]
    due_runs: int | None
    due_moved: int | None
    uncounted_schedules: int
    fires_at_once: tuple[str, ...]
    waiting_runs: tuple[int, ...]
    growth: Growth | None


def plan_view(plan: DefinitionPlan) -> PlanView:
    """Return what is shown of a plan."""
    runs, moved = plan.sums if plan.is_whole else (None, None)
    return PlanView(
        changes=tuple(map(shown_change, plan.changes)),
        due=tuple(plan.outlooks),
        never_due=tuple(plan.never_due),
        due_runs=runs,
        due_moved=moved,
        uncounted_schedules=plan.uncounted,
        fires_at_once=tuple(plan.fires_at_once),
        waiting_runs=tuple(run.id for run in plan.waiting),
        growth=plan.growth,
    )


def refuse_growth(
    conn: Connection,
    config: Config,
    *,
    now: datetime,
    prune: bool = False,
    file_id: str | None = None,
) -> None:
    """Raise Conflict where applying the file makes a month cost more than a budget."""
    if not config.budgets and not budgets.any_budgets(conn):
        return
    plan = plan_definitions(conn, config, now=now, prune=prune, file_id=file_id)
    beyond = plan.growth.beyond if plan.growth and not plan.is_empty else ()
    if beyond:
        told = ", ".join(f"{each.new_percent:g} % of budget {each.budget}" for each in beyond)
        raise Conflict(
            f"a month would come to {told}: see dca-scheduler plan;"
            " dca-scheduler apply --accept-growth applies it"
        )


def plan_definitions(
    conn: Connection,
    config: Config,
    *,
    now: datetime,
    prune: bool = False,
    file_id: str | None = None,
) -> DefinitionPlan:
    """Compare the file with the database; nothing is written. Raises Conflict as apply does."""
    wanted = dict(definition_rows(config))
    stored = read_held(conn, wanted)
    changes = compare(wanted, stored, prune=prune, file_id=file_id)
    deleted = [
        change.name
        for change in changes
        if change.verb is Verb.DELETED and change.table == "schedules"
    ]
    rows = _afterwards(wanted, stored, changes, now)
    before = _Definitions.of(conn, stored)
    after = _Definitions.of(conn, rows)
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
        outlooks=[outlook for outlook in outlooks if not outlook.is_the_same],
        uncounted=max(0, len(names) - _MOST_SCHEDULES),
        waiting=pruning.list_waiting(conn, deleted),
        never_due=[name for name in names if after.has_passed(name, now)],
        fires_at_once=[name for name in names if _is_mended(name, before, after, now)],
        growth=compare_growth(
            conn,
            before.side(stored),
            after.side(rows),
            [record(Budget, row) for row in rows["budgets"].values()],
            now=now,
        ),
    )


def _afterwards(wanted: Rows, stored: Rows, changes: Sequence[Change], now: datetime) -> Rows:
    """Return the rows as they will be: each that was invalid is decided anew."""
    merged = {table: _merged(table, wanted, stored) for table in wanted}
    by_name = {change.name: change for change in changes if change.table == "schedules"}
    merged["schedules"] = {
        name: {**row, "error": None, **_pause_after(by_name.get(name), row, now)}
        for name, row in merged["schedules"].items()
        if name not in by_name or by_name[name].verb is not Verb.DELETED
    }
    return merged


def _pause_after(change: Change | None, row: Columns, now: datetime) -> Columns:
    """Return what applying does to a schedule's pause: see `comparing.LEFT_ITS_FILE`."""
    if change is None or "paused_reason" not in change.columns:
        return {}
    is_paused = change.verb is Verb.PAUSED
    return {"paused_at": (row["paused_at"] or now) if is_paused else None, "paused_until": None}


def _merged(table: str, wanted: Rows, stored: Rows) -> dict[str, Mapping[str, Any]]:
    names = {**stored[table], **wanted[table]}
    defaults = definition_tables.list_defaults(table)
    return {
        name: {
            **defaults,
            **stored[table].get(name, {}),
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
    collectors: Mapping[str, Columns]
    batches: Collection[str]
    freezes: Sequence[Freeze]
    made: Mapping[str, int]

    @classmethod
    def of(cls, conn: Connection, rows: Rows) -> Self:
        """Read them from *rows*, and what was fired and frozen from the database."""
        schedules = {name: record(Schedule, row) for name, row in rows["schedules"].items()}
        limited = [name for name, row in schedules.items() if row.max_runs is not None]
        return cls(
            schedules=schedules,
            calendars={
                name: Calendar(name=name, rules=row["rules"])
                for name, row in rows["calendars"].items()
            },
            collectors=rows["collectors"],
            batches=rows["batches"],
            freezes=freezes.list_freezes(conn),
            made=runs.count_made(conn, limited),
        )

    def coming(self, name: str) -> Coming | None:
        """Return what the schedule has to come; None for one that is off, wrong, or not there."""
        line, timetable = self.line(name), self.timetable(name)
        if timetable is None:
            return None
        return Coming(
            timetable=timetable,
            is_stopped=lambda at: any(stop_at(at, member, self.freezes) for member in line),
            left=runs_left(line, self.made),
        )

    def has_passed(self, name: str, now: datetime) -> bool:
        """Tell whether the schedule has times of its own, and all of them lie behind."""
        schedule, timetable = self.schedules.get(name), self.timetable(name)
        if schedule is None or timetable is None or schedule.manual or schedule.after is not None:
            return False
        return timetable.next_after(now) is None

    def line(self, name: str) -> list[ScheduleTimes]:
        """Return the schedule and those it comes after; nothing where one of them cannot fire."""
        try:
            line = lineage(self.schedules[name], self.schedules) if name in self.schedules else []
        except InvalidInput:
            return []
        return line if all(self._can_fire(member) for member in line) else []

    def timetable(self, name: str) -> Timetable | None:
        """Return when the schedule is due; one with `after` as often as the one before it."""
        line = self.line(name)
        try:
            return timetable_of(line[-1], self.calendars) if line else None
        except InvalidInput:
            return None

    def side(self, rows: Rows) -> Side:
        """Return what a forecast of their costs rests on."""
        lines = {name: self.line(name) for name in self.schedules}
        sizes = {
            name: len(inputs)
            for name, row in rows["batches"].items()
            if isinstance(inputs := read_json(row.get("inputs")), list)
        }
        return Side(
            planned=[
                Planned(
                    schedule=self.schedules[name],
                    line=line,
                    account=self.collectors[self.schedules[name].collector]["account"],
                )
                for name, line in lines.items()
                if line
            ],
            calendars=self.calendars,
            sizes=sizes,
        )

    def _can_fire(self, schedule: ScheduleTimes) -> bool:
        is_whole = schedule.collector in self.collectors and schedule.batch in self.batches
        return schedule.enabled and schedule.error is None and is_whole


def _affected(before: _Definitions, after: _Definitions, changes: Sequence[Change]) -> list[str]:
    """Return the schedules whose occurrences may change, and those that come after them."""
    written = {(change.table, change.name) for change in changes if change.verb in WRITTEN}
    names = {**before.schedules, **after.schedules}
    both = {**after.schedules, **before.schedules}  # what was invalid is so before only
    affected = [
        name
        for name, schedule in names.items()
        if _may_change(schedule, written) or _may_change(both[name], written)
    ]
    concerned = set(affected)
    while followers := [
        name
        for name, schedule in names.items()
        if schedule.after in concerned and name not in concerned
    ]:
        affected += followers
        concerned.update(followers)
    return affected


def _may_change(schedule: Schedule, written: set[tuple[str, str]]) -> bool:
    is_excluding = any(
        ("calendars", calendar) in written for calendar in excluded_calendars(schedule)
    )
    is_mendable = schedule.error is not None and bool(written)
    return ("schedules", schedule.name) in written or is_excluding or is_mendable


def _is_mended(name: str, before: _Definitions, after: _Definitions, now: datetime) -> bool:
    """Tell whether a schedule that is invalid owes a run at once when it is mended."""
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
    return any(owed.reason is Reason.DUE for owed in plan.owed)


def _is_retimed(before: Schedule, after: Schedule) -> bool:
    return any(getattr(before, column) != getattr(after, column) for column in TIMETABLE_COLUMNS)
