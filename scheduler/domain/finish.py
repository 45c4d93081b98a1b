"""`finish_before`: a time of day becomes the deadline of a trigger, counted when it is sent."""

from datetime import datetime, time, timedelta
from typing import Final
from urllib.parse import parse_qsl

from scheduler.domain.durations import format_duration, parse_duration, upstream_duration
from scheduler.domain.request.trigger_request import query_string
from scheduler.domain.results import read_ready_by
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable.clock_changes import instant_of, wall_of
from scheduler.domain.timetable.zones import find_zone

LEAST_TIME: Final = timedelta(minutes=5)
"""With less than this until its end, a collection would be paid for in vain."""


def finish_by(text: str, *, timezone: str, due_at: datetime) -> datetime:
    """Return the first moment after *due_at* at which clocks of *timezone* show that time."""
    zone, at = find_zone(timezone), time(*read_ready_by(text))
    day = wall_of(zone, due_at).date()
    moments = (
        instant_of(zone, datetime.combine(day + timedelta(days=days), at)) for days in (0, 1)
    )
    return next(moment for moment in moments if moment > due_at)


def too_late_to_finish(finish_by: datetime, now: datetime) -> str | None:
    """Say why a run is not sent any more that must have ended by then; None if it may be."""
    left = finish_by - now
    if left >= LEAST_TIME:
        return None
    until = f"{format_duration(left)} were left" if left > timedelta() else "that was over"
    return (
        f"it must have ended by {display_time(finish_by)} (finish_before), and {until} when it"
        " could be sent"
    )


def without_finish(query: str, own: str | None) -> str:
    """Return the query of a trigger that nothing cuts off but its *own* deadline, if it has one."""
    params = parse_qsl(query, keep_blank_values=True)
    deadline = None if own is None else upstream_duration(parse_duration(own))
    return query_string(
        (key, deadline if key == "deadline" and deadline is not None else value)
        for key, value in params
        if key != "deadline" or deadline is not None
    )


def with_deadline(query: str, left: timedelta) -> str:
    """Return the query of a trigger whose collection may take *left*, or as little as it says."""
    params = parse_qsl(query, keep_blank_values=True)
    own = dict(params).get("deadline")
    deadline = left if own is None else min(parse_duration(own), left)
    text = upstream_duration(deadline)
    if own is None:
        return query_string((*params, ("deadline", text)))
    return query_string((key, text if key == "deadline" else value) for key, value in params)
