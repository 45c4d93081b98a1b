"""Which schedules fire what their timetables have, from when on, and why others do not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.pauses import Freeze
from scheduler.domain.records import Calendar, ScheduleTimes
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable import Timetable
from scheduler.storage import definitions, freezes, runs, schedules
from scheduler.storage.database import Connection
from scheduler.tools.calendar.day_counts import fires_from
from scheduler.tools.lineage import lineage, runs_left
from scheduler.views.waiting import list_waits, why_decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """
    Whether a schedule fires, and what: the occurrences of *timetable* later than *start*.

    Without a *timetable* nothing fires: *note* says why, and *until* when that ends, if it does.
    Of one that comes after others the timetable is that of the first of them. *left* is how many
    `max_runs` allows.
    """

    schedule: ScheduleTimes
    timetable: Timetable | None
    start: datetime
    left: int | None = None
    note: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """All that says who fires between *start* and *end*, read in one transaction."""

    schedules: Mapping[str, ScheduleTimes]
    calendars: Mapping[str, Calendar]
    freezes: Sequence[Freeze]
    made: Mapping[str, int]
    waits: Mapping[str, str]
    start: datetime
    end: datetime

    @classmethod
    def read(
        cls, conn: Connection, *, start: datetime, end: datetime, of: str | None = None
    ) -> "Desk":
        """Read it: of all schedules, or *of* one and those that it comes after."""
        found = schedules.list_times(conn) if of is None else schedules.list_line(conn, of)
        everything = {schedule.name: schedule for schedule in found}
        limited = [row.name for row in everything.values() if row.max_runs is not None]
        return cls(
            schedules=everything,
            calendars=definitions.list_calendars(conn),
            freezes=freezes.list_freezes(conn),
            made=runs.count_made(conn, limited),
            waits=list_waits(conn, everything.values(), at=end),
            start=start,
            end=end,
        )

    def until(self, conn: Connection, end: datetime) -> "Desk":
        """Return the same for the time up to a later *end*."""
        waits = list_waits(conn, self.schedules.values(), at=end)
        return replace(self, waits=waits, end=end)

    def firings(self) -> Iterator[Firing]:
        """Yield what becomes of each schedule, by name."""
        return map(self.find, self.schedules.values())

    def find(self, schedule: ScheduleTimes) -> Firing:
        """Return what becomes of a schedule, or why nothing does."""
        try:
            line = lineage(schedule, self.schedules)
            for member in line:
                if why := _why_off(member) or self.waits.get(member.name):
                    whose = "" if member is schedule else f"after {member.name}, which is "
                    return self._nothing(schedule, whose + why)
            return self._fires(schedule, line)
        except InvalidInput as error:
            return self._nothing(schedule, f"invalid: {error}")

    def _fires(self, schedule: ScheduleTimes, line: Sequence[ScheduleTimes]) -> Firing:
        """Find one that comes after others as often as the first of them is due, at most."""
        timetable = timetable_of(line[-1], self.calendars)
        note = f"after each run of {schedule.after}, at most" if schedule.after else None
        start = self.start
        for member in line:
            free, stop = fires_from(member, self.freezes, self.start)
            if stop is not None:
                until = f", until {display_time(free)}" if free is not None else ""
                note = f"{stop.detail}{until}"
            if free is None or free > self.end:
                return self._nothing(schedule, note, until=free)
            free = free if stop is None else free - timedelta.resolution
            start = max(start, free, member.fired_until or start)
            note = why_decided(member, self.start) or note
        for member in line:
            if runs_left([member], self.made) == 0:
                return self._nothing(schedule, f"max_runs = {member.max_runs} are made")
        left = runs_left(line, self.made)
        return Firing(schedule=schedule, timetable=timetable, start=start, left=left, note=note)

    def _nothing(
        self, schedule: ScheduleTimes, note: str | None, *, until: datetime | None = None
    ) -> Firing:
        return Firing(schedule=schedule, timetable=None, start=self.start, note=note, until=until)


def _why_off(schedule: ScheduleTimes) -> str | None:
    if not schedule.enabled:
        return "disabled"
    if schedule.error is not None:
        return f"invalid: {schedule.error}"
    return "manual: only run by hand" if schedule.manual else None
