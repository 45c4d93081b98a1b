"""
Environment variables that stand above the file: `DCA_SCHEDULER__LOG__LEVEL=debug`.

The parts of a path are joined by two underscores, in any case; whatever is no letter or digit in
a name is written `_`. A part means the key or the table that exists under that spelling, else its
lower case makes one. The value is TOML; it is text where text is wanted, or where it is no TOML.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from scheduler.config.document import VARIABLE, Document
from scheduler.config.problems import Problem
from scheduler.config.secrets import SecretKind
from scheduler.config.shape import is_named, keys_at, wants_text

PREFIX: Final = "DCA_SCHEDULER__"
_NEARLY: Final = "DCA_SCHEDULER_"

_TIMETABLE = ("cron", "every", "calendar_interval", "at", "manual", "after")
_GROUPS: Final = {
    "schedules": (_TIMETABLE, ("queue", "queue_next", "confirm_cancel")),
    "batches": (("file", "inputs"),),
}
_GOES_WITH: Final = {"anchor": ("every", "calendar_interval"), "after_when": ("after",)}


@dataclass(frozen=True, slots=True)
class SettingOverride:
    """
    One value from the environment: the *variable* that holds it, and where it goes.

    *made* is the outermost table on the way, or the value itself, that the file does not have.
    """

    variable: str
    place: tuple[str, ...]
    made: tuple[str, ...]
    value: object


@dataclass(frozen=True, slots=True)
class Overridden:
    """A document with the environment's values in it, and what of them led nowhere."""

    document: Document
    overrides: tuple[SettingOverride, ...]
    problems: tuple[Problem, ...]

    def variable_at(self, place: tuple[str | int, ...]) -> str | None:
        """Return the variable that set the value at *place*, or that made the table there."""
        for override in reversed(self.overrides):
            is_within = place[: len(override.place)] == override.place
            is_made = len(place) >= len(override.made) and override.place[: len(place)] == place
            if is_within or is_made:
                return override.variable
        return None


def apply_overrides(document: Document, environ: Mapping[str, str]) -> Overridden:
    """
    Return a copy of *document* with every override of *environ* in it.

    One key of a group of which only one may stand, such as cron and every, takes the others out.
    """
    overrides, problems = [], []
    for variable in sorted(environ):
        if variable.upper().startswith(PREFIX):
            try:
                overrides.append(_read(document, variable, environ[variable]))
            except ValueError as error:
                problems.append(Problem((), f"{variable}: {error}"))

    changed = deepcopy(document)
    overrides.sort(key=lambda override: len(override.place))
    for override in overrides:
        _make_room(changed, override)
    for override in overrides:
        _set(changed, override.place, override.value)
    return Overridden(changed, tuple(overrides), tuple(problems))


_PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


def strays(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each variable that was meant for this program and means nothing here."""
    for variable in sorted(environ):
        name = variable.upper()
        if name in _PROXIES and environ[variable]:
            yield (
                f"{variable} is set and not used: the upstream is called directly, whatever proxy"
                " the environment names"
            )
        if name.startswith(_NEARLY) and not name.startswith(PREFIX) and name != VARIABLE:
            meant = name.removeprefix(_NEARLY).replace("_", "__", 1)
            yield (
                f"{variable} means nothing here: the parts of a setting are joined by two"
                f" underscores, as in {PREFIX}{meant}"
            )


def _read(document: Document, variable: str, text: str) -> SettingOverride:
    place = _locate(document, variable[len(PREFIX) :])
    return SettingOverride(variable, place, _made(document, place), _read_value(text, place))


def _made(document: Document, place: tuple[str, ...]) -> tuple[str, ...]:
    here: Any = document
    for depth, key in enumerate(place, start=1):
        here = here.get(key)
        if not isinstance(here, dict):
            return place[:depth]
    return place


def _locate(document: Document, rest: str) -> tuple[str, ...]:
    place: tuple[str, ...] = ()
    here: Any = document
    while rest:
        there = tuple(here) if isinstance(here, dict) else ()
        key, rest = _take(rest, {*there, *(keys_at(place) or ())})
        place = (*place, key)
        here = here.get(key) if isinstance(here, dict) else None
    if not place or (len(place) == 1 and is_named(place[0])):
        raise ValueError("this leads to no value: write DCA_SCHEDULER__TABLE__KEY")
    return place


def _take(rest: str, known: Iterable[str]) -> tuple[str, str]:
    """Return the key that *rest* begins with, and what follows it."""
    folded = rest.upper()
    fits = [key for key in known if f"{folded}__".startswith(f"{_fold(key)}__")]
    if fits:
        longest = max(len(_fold(key)) for key in fits)
        best = sorted(key for key in fits if len(_fold(key)) == longest)
        if len(best) > 1:
            raise ValueError(f"this may mean {' or '.join(best)}: rename one of them in the file")
        return best[0], rest[longest + 2 :]
    part, separator, after = rest.partition("__")
    if not part or (separator and not after):
        raise ValueError("a part of its path is empty: write DCA_SCHEDULER__TABLE__KEY")
    return part.lower(), after


def _fold(key: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", key.upper())


def _read_value(text: str, place: tuple[str, ...]) -> object:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    value = parsed["value"]
    is_scalar = not isinstance(value, str | list | dict)
    # More than one key: a line break in the text made a second one.
    return text if len(parsed) > 1 or (is_scalar and wants_text(place)) else value


def _make_room(document: Document, override: SettingOverride) -> None:
    *parents, key = override.place
    table: Any = document
    for parent in parents:
        table = table.get(parent) if isinstance(table, dict) else None
    if not isinstance(table, dict) or override.value is False:
        return
    for other in _excluded_by(override.place, key):
        table.pop(other, None)


def _excluded_by(place: tuple[str, ...], key: str) -> set[str]:
    if key in list(SecretKind) and keys_at(place[:-1]) == tuple(SecretKind):
        return {*SecretKind} - {key}
    groups = _GROUPS.get(place[0], ()) if len(place) == 3 else ()
    others = {other for group in groups if key in group for other in group} - {key}
    if place[0] == "schedules" and key in _TIMETABLE:
        others |= {companion for companion, kinds in _GOES_WITH.items() if key not in kinds}
    return others


def _set(document: Document, place: tuple[str, ...], value: object) -> None:
    *parents, key = place
    table = document
    for parent in parents:
        if not isinstance(table.get(parent), dict):
            table[parent] = {}
        table = table[parent]
    table[key] = value
