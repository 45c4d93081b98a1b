"""A calendar as a row keeps it: rules, one a line, and after them the text of an .ics file."""

import re
from functools import lru_cache
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.exclusions import Exclusion, parse_exclusion

_BEGIN: Final = re.compile(r"^BEGIN:VCALENDAR\b", re.IGNORECASE | re.MULTILINE)


def split_calendar(text: str) -> tuple[list[str], str]:
    """Return the rules of *text*, and the iCalendar text that follows them, if any."""
    begin = _BEGIN.search(text)
    start = begin.start() if begin else len(text)
    return [line.strip() for line in text[:start].splitlines() if line.strip()], text[start:]


def parse_calendar(name: str, text: str, *, timezone: str) -> Exclusion:
    """Return what the calendar excludes for a schedule in *timezone*; raises InvalidInput."""
    exclusion = _parse(name, text, timezone)
    if isinstance(exclusion, InvalidInput):
        raise exclusion
    return exclusion


# Reading a large file takes seconds, whether it can be followed or not.
@lru_cache(maxsize=256)
def _parse(name: str, text: str, timezone: str) -> Exclusion | InvalidInput:
    lines, icalendar = split_calendar(text)
    try:
        rules = parse_exclusion(name, lines).rules
        if icalendar:
            # Most calendars need no library, and most commands no calendar.
            from scheduler.domain.timetable.icalendar import parse_icalendar

            rules += parse_icalendar(name, icalendar, timezone=timezone).rules
    except InvalidInput as error:
        return error
    return Exclusion(name, rules)
