"""How a moment is written: for people, and for programs. Always in UTC."""

from datetime import UTC, datetime
from typing import Final


def display_time(moment: datetime) -> str:
    """Write a moment for people, to the second: `2026-03-02 09:00:00Z`."""
    # Not strftime, which takes three times as long, and a page has hundreds.
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'seconds')}Z"


def display_time_of_day(moment: datetime) -> str:
    """Write the time of day of a moment near to now: `09:00:00Z`."""
    return f"{moment.astimezone(UTC):%H:%M:%SZ}"


def iso_time(moment: datetime) -> str:
    """Write a moment for programs, logs and the shell: `2026-03-02T09:00:00.000000Z`."""
    # Cut off, not replaced: the log and the database have several of each run.
    return moment.astimezone(UTC).isoformat("T", "microseconds")[:_TO_THE_MICROSECOND] + "Z"


def vendor_time(moment: datetime) -> str:
    """Write a time as the vendor does, `2021-11-07T13:26:22.702Z`."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds')}Z"


_TO_THE_MICROSECOND: Final = len("2026-03-02T09:00:00.000000")
