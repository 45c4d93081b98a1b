"""Time zones by their IANA names; never the machine's."""

from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from scheduler.domain.errors import InvalidInput

# Files that some systems keep among the zones, and that mean whatever the machine is set to.
_MACHINE_ZONES = {"localtime", "posixrules", "Factory"}


def find_zone(name: str) -> ZoneInfo:
    """Return the zone called *name*; raises InvalidInput, with the nearest names, if none is."""
    try:
        if name not in _MACHINE_ZONES:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise InvalidInput(f"unknown time zone {name!r}: {_advice(name)}")


def _advice(name: str) -> str:
    by_folded = {known.casefold(): known for known in available_timezones()}
    close = get_close_matches(name.casefold(), by_folded, n=2, cutoff=0.7)
    if close:
        return "did you mean " + " or ".join(by_folded[key] for key in close) + "?"
    return "write an IANA name such as Europe/Berlin or UTC"
