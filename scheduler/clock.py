"""The only reader of the clocks. Everything below the loops is given the time."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
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
    return _read_boot()


def _read_boot() -> float:
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


@contextmanager
def boot_seconds_from(read: Callable[[], float]) -> Iterator[None]:
    """Have the whole process go by the uptime that *read* tells, within the block: no real one."""
    global _read_boot
    before, _read_boot = _read_boot, read
    try:
        yield
    finally:
        _read_boot = before


def boot_id() -> str:
    """Return what names this boot of the machine; never the same twice where it is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex
