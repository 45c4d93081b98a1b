"""The strip of the overview: the last and the next hours, a row per schedule."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from scheduler.tools.calendar.strip import HoursAround, PlannedRuns, ScheduleHours
from scheduler.web.pictures.frame import Picture
from scheduler.web.pictures.strip import Bar, Planned, StripRow, draw_strip


def draw_hours_around(hours: HoursAround, *, zone: ZoneInfo) -> Picture:
    """Draw it; moments are written in *zone*."""
    rows = [_row(row, hours) for row in hours.rows]
    noun = "label" if hours.by_label else "schedule"
    start, end = hours.start, hours.end
    return draw_strip(rows, begin=start, now=hours.now, finish=end, zone=zone, noun=noun)


def _row(row: ScheduleHours, hours: HoursAround) -> StripRow:
    return StripRow(
        name=row.schedule,
        bars=list(_bars(row, hours)),
        planned=[_planned(each) for each in row.planned],
        note=row.note or "",
    )


def _bars(row: ScheduleHours, hours: HoursAround) -> Iterator[Bar]:
    """Yield the time from when runs were sent, or due, to their end, within the picture."""
    for alike in row.runs:
        start = max(alike.start, hours.start)
        end = max(start, alike.end or hours.now)
        if alike.start <= hours.now:
            yield Bar(start=start, end=end, state=alike.state, count=alike.count)


def _planned(planned: PlannedRuns) -> Planned:
    is_one = planned.until == planned.at
    return Planned(at=planned.at, count=planned.count, until=None if is_one else planned.until)
