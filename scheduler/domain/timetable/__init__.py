"""
When a schedule is due: crontab text, intervals, calendar intervals, one moment; exclusions, delays.

Pure, but for the zone files that zoneinfo reads. Nothing else uses cronsim or APScheduler's
triggers. Each file has one duty: spec.py the plain values; build.py checks them and makes the
Timetable of timetable.py; crontab.py and crontab_fields.py read crontab text; cron_calendar.py
and calendar_interval.py find wall-clock times; trigger.py and clock_changes.py turn those into
instants; calendar_text.py, exclusions.py and icalendar.py take
some away; delay.py moves them; stretch.py counts them; lint.py warns.
"""

from scheduler.domain.timetable.build import build_timetable
from scheduler.domain.timetable.calendar_text import parse_calendar, split_calendar
from scheduler.domain.timetable.crontab import parse_crontab
from scheduler.domain.timetable.delay import delay
from scheduler.domain.timetable.exclusions import Exclusion, parse_exclusion
from scheduler.domain.timetable.lint import lint, lint_together
from scheduler.domain.timetable.spec import (
    DstFold,
    DstGap,
    TimetableSpec,
    read_spec,
    timetable_values,
)
from scheduler.domain.timetable.stretch import Stretch
from scheduler.domain.timetable.timetable import DstMark, Explanation, MomentKind, Timetable
from scheduler.domain.timetable.zones import ZONE_DATA, find_zone

__all__ = [
    "ZONE_DATA",
    "DstFold",
    "DstGap",
    "DstMark",
    "Exclusion",
    "Explanation",
    "MomentKind",
    "Stretch",
    "Timetable",
    "TimetableSpec",
    "build_timetable",
    "delay",
    "find_zone",
    "lint",
    "lint_together",
    "parse_calendar",
    "parse_crontab",
    "parse_exclusion",
    "read_spec",
    "split_calendar",
    "timetable_values",
]
