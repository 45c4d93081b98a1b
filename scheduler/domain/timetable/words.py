"""A timetable in a sentence: `at 06:00 on Monday to Friday`."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, Protocol

from scheduler.domain.timetable.crontab import Crontab, parse_crontab

_WEEKDAYS: Final = (
    *("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "Sunday",
)
_MONTHS: Final = (
    *("", "January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_SHORT: Final = {name[:3].upper(): number for number, name in enumerate(_WEEKDAYS[:7])} | {
    name[:3].upper(): number for number, name in enumerate(_MONTHS) if name
}
_ORDINALS: Final = ("", "first", "second", "third", "fourth", "fifth")
_MOST_TIMES: Final = 6
"""So many times of a day are listed; more are told by their minutes and hours."""


class Timed(Protocol):
    """What of a schedule says when it is due."""

    @property
    def name(self) -> str:
        """What `H` is a hash of."""

    @property
    def cron(self) -> str | None:
        """Crontab text."""

    @property
    def every(self) -> object:
        """A duration."""

    @property
    def calendar_interval(self) -> str | None:
        """So many days, weeks, months or years."""

    @property
    def at(self) -> str | None:
        """One moment."""

    @property
    def after(self) -> str | None:
        """Another schedule."""


def timetable_words(schedule: Timed) -> str:
    """Say when a schedule is due, on the clock of its zone; InvalidInput for text that is none."""
    if schedule.cron is not None:
        return cron_words(schedule.cron, name=schedule.name)
    told = (
        ("every", schedule.every),
        ("every", schedule.calendar_interval),
        ("once, at", schedule.at),
        ("after each run of", schedule.after),
    )
    return next((f"{word} {value}" for word, value in told if value is not None), "by hand only")


@lru_cache(maxsize=4096)
def cron_words(text: str, *, name: str) -> str:
    """Say what crontab text means; raises InvalidInput for text that is none."""
    return "; and ".join(_expression(crontab) for crontab in parse_crontab(text, name=name))


def _expression(crontab: Crontab) -> str:
    minute, hour, day, month, weekday = crontab.fields
    parts = [_times(_numbers(minute, 0, 59), _numbers(hour, 0, 23)), _days(day, weekday)]
    if month != "*":
        parts.append(f"in {_listed(_runs(_numbers(month, 1, 12), _MONTHS))}")
    return " ".join(part for part in parts if part)


def _numbers(field: str, low: int, high: int) -> list[int]:
    """Return all that a field allows."""
    return sorted({number for item in field.split(",") for number in _item(item, low, high)})


def _item(item: str, low: int, high: int) -> Iterable[int]:
    span, _, step = item.partition("/")
    first, _, last = span.partition("-")
    if first == "*":
        return range(low, high + 1, int(step or 1))
    begin = _number(first)
    end = _number(last) if last else (high if step else begin)
    return range(begin, end + 1, int(step or 1))


def _number(word: str) -> int:
    return _SHORT[word] if word in _SHORT else int(word)


def _times(minutes: Sequence[int], hours: Sequence[int]) -> str:
    beat = _beat(minutes, 60)
    if len(hours) == 24 and beat is not None and minutes[0] == 0:
        return "every minute" if beat == 1 else f"every {beat} minutes"
    if len(minutes) * len(hours) <= _MOST_TIMES:
        return f"at {_listed([f'{hour:02}:{minute:02}' for hour in hours for minute in minutes])}"
    step = _step(hours)
    if len(minutes) == 1 and step > 1 and len(hours) * step != 24:
        first, last = (f"{hour:02}:{minutes[0]:02}" for hour in (hours[0], hours[-1]))
        return f"every {step} hours from {first} to {last}"
    if len(hours) == 24:
        return f"at minute {_listed([str(minute) for minute in minutes])} of every hour"
    return f"{_minutes(minutes, beat)} {_hours(hours)}"


def _minutes(minutes: Sequence[int], beat: int | None) -> str:
    if minutes == [0]:
        return "on the hour"
    if beat is not None and minutes[0] == 0:
        return "every minute" if beat == 1 else f"every {beat} minutes"
    return f"at minute {_listed([str(minute) for minute in minutes])}"


def _hours(hours: Sequence[int]) -> str:
    beat = _beat(hours, 24)
    if beat is not None and beat > 1:
        start = f" from {hours[0]:02}:00" if hours[0] else ""
        return f"of every {_ordinal(beat)} hour{start}"
    if len(hours) > 1 and hours[-1] - hours[0] == len(hours) - 1:
        return f"from {hours[0]:02}:00 to {hours[-1]:02}:59"
    return f"of the hours {_listed([f'{hour:02}' for hour in hours])}"


def _step(numbers: Sequence[int]) -> int:
    """Return how far apart three or more are, if evenly; 0 otherwise."""
    apart = {later - earlier for earlier, later in pairwise(numbers)}
    return apart.pop() if len(apart) == 1 and len(numbers) > 2 else 0


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def _beat(numbers: Sequence[int], whole: int) -> int | None:
    """Return how far apart they are, if evenly all around; None otherwise."""
    step = whole // len(numbers)
    is_even = step * len(numbers) == whole and all(
        later - earlier == step for earlier, later in pairwise(numbers)
    )
    return step if is_even else None


def _days(day: str, weekday: str) -> str:
    """Say on which days; Debian cron takes either where both are named, unless one has a star."""
    of_month = "" if day == "*" else f"on {_month_days(day)}"
    of_week = "" if weekday == "*" else f"on {_week_days(weekday)}"
    joint = " and only " if "*" in (day[0], weekday[0]) else " or "
    return joint.join(part for part in (of_month, of_week) if part)


def _month_days(field: str) -> str:
    last = {"L": "the last day of the month", "LW": "the last weekday of the month"}
    if field in last:
        return last[field]
    plain = [item for item in field.split(",") if item not in last]
    days = _runs(_numbers(",".join(plain), 1, 31)) if plain else []
    numbered = [f"day {_listed(days)} of the month"] if days else []
    return _listed([*numbered, *(last[item] for item in field.split(",") if item in last)])


def _week_days(field: str) -> str:
    plain, special = [], []
    for item in field.split(","):
        if "#" in item:
            day, nth = item.split("#")
            special.append(f"the {_ORDINALS[int(nth)]} {_WEEKDAYS[_number(day)]} of the month")
        elif item.endswith("L") and item[:-1].isdecimal():
            special.append(f"the last {_WEEKDAYS[int(item[:-1])]} of the month")
        else:
            plain.append(item)
    numbers = _numbers(",".join(plain), 0, 6) if plain else []
    if 0 in numbers and 7 in numbers:
        numbers.remove(0)
    return _listed([*_runs(numbers, _WEEKDAYS), *special])


def _runs(numbers: Sequence[int], names: Sequence[str] = ()) -> list[str]:
    """Return numbers by their names, three or more in a row as `Monday to Friday`."""
    told: list[str] = []
    for run in _in_a_row(numbers):
        words = [names[number] if names else str(number) for number in run]
        told += [f"{words[0]} to {words[-1]}"] if len(run) > 2 else words
    return told


def _in_a_row(numbers: Sequence[int]) -> list[list[int]]:
    rows: list[list[int]] = []
    for number in numbers:
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    return rows


def _listed(words: Sequence[str]) -> str:
    """Write `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""
