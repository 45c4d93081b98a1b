"""Durations as people write them, `1h30m`, and as the upstream reads them, in one unit."""

import re
from datetime import timedelta
from functools import lru_cache

from scheduler.domain.errors import InvalidInput

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART = re.compile(r"([0-9]{1,1000}) *([wdhms])")
_WHOLE = re.compile(rf"(?: *{_PART.pattern})+")
# About 68 years: past any use, and far from where date arithmetic overflows.
_LONGEST_SECONDS = 2**31 - 1


@lru_cache  # the same few are read for every occurrence
def parse_duration(text: str) -> timedelta:
    """
    Read `90m`, `1h30m`, `2d`: whole numbers, each with its unit (`w d h m s`), largest first.

    Raises InvalidInput for anything else, for a repeated or misordered unit, and for zero.
    """
    plain = text.strip().lower()
    parts = _PART.findall(plain)
    units = [unit for _, unit in parts]
    if not _WHOLE.fullmatch(plain) or units != sorted(set(units), key=list(_UNITS).index):
        raise InvalidInput(f"{text!r} is not a duration: write it like 90m, 1h30m or 2d")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise InvalidInput(f"{text!r} is too short or too long: 1s to {_LONGEST_SECONDS}s")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write *duration* the way parse_duration reads it; fractions of a second are cut."""
    left = int(duration.total_seconds())
    if left <= 0:
        return "0s"
    text = ""
    for unit in "dhms":
        count, left = divmod(left, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text


def upstream_duration(duration: timedelta) -> str:
    """Write *duration* in the one largest unit of `h`, `m`, `s` that holds it exactly (DCA, 1)."""
    seconds = int(duration.total_seconds())
    for unit in "hm":
        if seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"
