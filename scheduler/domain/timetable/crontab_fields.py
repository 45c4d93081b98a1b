"""The five fields of a crontab expression: what each allows, item by item."""

import re
from dataclasses import dataclass
from typing import NoReturn

from scheduler.domain.errors import InvalidInput

_RANGE = re.compile(r"(\*|(?P<first>\w+)(-(?P<last>\w+))?)(/(?P<step>[0-9]+))?", re.ASCII)
_HASHED = re.compile(r"H(\((?P<first>[0-9]+)-(?P<last>[0-9]+)\))?(/(?P<step>[0-9]+))?")
_NTH_WEEKDAY = re.compile(r"(?P<day>\w+)#[1-5]", re.ASCII)
_LAST_WEEKDAY = re.compile(r"[0-7]L")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its bounds, the names it knows, and the bounds that a bare `H` keeps to."""

    name: str
    low: int
    high: int
    hash_high: int
    names: tuple[str, ...] = ()
    first_named: int = 0

    def check(self, item: str) -> str:
        """Return *item* in a form that cronsim reads as Debian cron does, or raise InvalidInput."""
        if self._is_extension(item):
            return item
        match = _RANGE.fullmatch(item)
        if match is None:
            self._refuse(item)
        if match["step"] is not None and int(match["step"]) == 0:
            self._refuse(item, "a step is 1 or more")
        if match["first"] is None:
            return item

        first = self._number(match["first"], item)
        last = self._number(match["last"] or match["first"], item)
        if first > last:
            self._refuse(
                item, f"the range runs backwards{self._hint(match['first'], match['last'])}"
            )
        # cronsim takes `5-5/2` for `5/2`; Debian cron for what it says, which is 5.
        return str(first) if match["last"] and first == last else item

    def spread(self, item: str, number: int) -> str:
        """Replace *item*, an `H`, by plain numbers chosen by *number*; raises InvalidInput."""
        match = _HASHED.fullmatch(item)
        if match is None:
            self._refuse(item, "H is written H, H/15, H(0-29) or H(0-29)/10")
        first = self._number(match["first"] or str(self.low), item)
        last = self._number(match["last"] or str(self.hash_high), item)
        if first > last:
            self._refuse(item, "the range runs backwards")
        span = last - first + 1
        if match["step"] is None:
            return str(first + number % span)
        step = int(match["step"])
        if not 1 <= step <= span:
            self._refuse(item, f"a step is 1 to {span} here")
        return ",".join(str(value) for value in range(first + number % step, last + 1, step))

    def _is_extension(self, item: str) -> bool:
        if self.name == "day of month":
            return item in {"L", "LW"}
        if self.name != "day of week":
            return False
        match = _NTH_WEEKDAY.fullmatch(item)
        if match is not None:
            self._number(match["day"], item)
        return match is not None or _LAST_WEEKDAY.fullmatch(item) is not None

    def _number(self, word: str, item: str) -> int:
        if word in self.names:
            return self.names.index(word) + self.first_named
        if not word.isdecimal() or not self.low <= int(word) <= self.high:
            self._refuse(item)
        return int(word)

    def _hint(self, first: str, last: str) -> str:
        if self.name == "day of week" and last in {"SUN", "0"}:
            return "; write Sunday as 7 at the end of a range"
        low, high = (self.names[0], self.names[-1]) if self.names else (self.low, self.high)
        return f"; past the end of the field it is two: {first}-{high},{low}-{last}"

    def _refuse(self, item: str, why: str = "") -> NoReturn:
        allowed = f"{self.low}-{self.high}"
        if self.names:
            allowed += f" or {self.names[0]}-{self.names[-1]}"
        reason = why or f"allowed are {allowed}, *, ranges, steps and lists of them{self._more()}"
        raise InvalidInput(f"{self.name} {item!r}: {reason}")

    def _more(self) -> str:
        extras = {"day of month": ", L (last day), LW", "day of week": ", 5L (last Friday), 5#2"}
        return extras.get(self.name, "")


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

FIELDS = (
    Field("minute", 0, 59, 59),
    Field("hour", 0, 23, 23),
    # Every month has a 28th, so a bare H never skips one.
    Field("day of month", 1, 31, 28),
    Field("month", 1, 12, 12, _MONTHS, 1),
    Field("day of week", 0, 7, 6, _WEEKDAYS),
)
