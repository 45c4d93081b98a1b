"""
Time zones by their IANA names; never the machine's.

Their data is the newest of the system's and the tzdata package's, for the whole process: an old
image would fire an hour off where a country has changed its clock since.
"""

import re
import zoneinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import tzdata

from scheduler.domain.errors import InvalidInput

# Files that some systems keep among the zones, and that mean whatever the machine is set to.
_MACHINE_ZONES: Final = {"localtime", "posixrules", "factory", "local"}
_OTHER_CLOCKS: Final = ("right/", "posix/")
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?([+-])0?(\d{1,2})(?::?00)?(:?\d\d)?", re.ASCII | re.I)


def _use_newest() -> str:
    """Make zoneinfo take the newest data there is; return its version."""
    systems = [version for path in zoneinfo.TZPATH if (version := _version_in(Path(path)))]
    packaged: str = tzdata.IANA_VERSION
    if systems and systems[0] > packaged:
        return systems[0]
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()
    return packaged


def _version_in(folder: Path) -> str | None:
    for name, label in (("tzdata.zi", "# version "), ("+VERSION", "")):
        try:
            with (folder / name).open(encoding="ascii") as file:
                line = file.readline(80).strip()
        except (OSError, UnicodeDecodeError):
            continue
        if line.startswith(label):
            return line.removeprefix(label)
    return None


ZONE_DATA: Final = _use_newest()
"""The version of the zone data in use, such as `2026f`."""


def find_zone(name: str) -> ZoneInfo:
    """Return the zone called *name*; raises InvalidInput, with the nearest names, if none is."""
    try:
        if name.casefold() not in _MACHINE_ZONES and not name.startswith(_OTHER_CLOCKS):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise InvalidInput(f"unknown time zone {name!r}: {_advice(name)}")


def _advice(name: str) -> str:
    folded = name.casefold()
    if folded in _MACHINE_ZONES:
        return "a schedule never follows the machine's zone; write an IANA name: Europe/Berlin, UTC"
    if name.startswith(_OTHER_CLOCKS):
        return f"leave out {name.partition('/')[0]}/: clocks count no leap seconds"
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    by_folded = {windows.casefold(): iana for windows, iana in WINDOWS_TO_OLSON.items()}
    by_folded |= {known.casefold(): known for known in available_timezones()}
    if folded in by_folded:
        return f"did you mean {by_folded[folded]}?"
    if match := _OFFSET.fullmatch(name):
        etc = f"Etc/GMT{'-' if match[1] == '+' else '+'}{match[2]}"
        always = (
            f", or {etc}, the same all year" if etc.casefold() in by_folded and not match[3] else ""
        )
        return f"write a place such as Europe/Berlin{always}"
    close = get_close_matches(folded, by_folded.keys() - _MACHINE_ZONES, n=2, cutoff=0.7)
    if close:
        return "did you mean " + " or ".join(by_folded[key] for key in close) + "?"
    return "write an IANA name such as Europe/Berlin or UTC"
