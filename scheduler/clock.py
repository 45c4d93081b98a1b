"""The only reader of the clocks. Everything below the loops is given the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

Clock = Callable[[], datetime]

_BOOT_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def boot_seconds() -> float:
    """
    Return the seconds since boot: a reading for limits that no clock change may move.

    Time spent suspended or stopped counts, where the platform can tell (Linux).
    """
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
