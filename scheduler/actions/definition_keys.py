"""From rows back to the keys of a configuration: the reverse of definition_rows.py."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scheduler.domain.errors import InvalidInput

Keys = dict[str, Any]

ICALENDAR: Final = "BEGIN:VCALENDAR"
_NOT_IN_A_FILE_NAME: Final = re.compile(r"[^\w-]")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a definition; *ics* is the text of the file that it names, to be written."""

    name: str
    value: Any
    ics: str | None = None


_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {
    "queues": {"queue_order": "order"},
    "collectors": {"collector_id": "id", "trigger_name": "name"},
    "schedules": {"trigger_name": "name"},
}
_JSON: Final = frozenset({"notify", "deliver", "inputs"})
_LISTS: Final = frozenset({"exclude", "labels", "required"})


def key_of(table: str, column: str) -> str:
    """Return what the configuration calls a column."""
    return _RENAMED.get(table, {}).get(column, column)


def keys_of(table: str, name: str, column: str, value: Any) -> Iterator[Key]:
    """
    Yield the keys that make *column* hold *value*, which is not None.

    Raises InvalidInput for a text that is not what its column holds.
    """
    if table == "calendars":
        yield from _calendar(name, value)
        return
    key = key_of(table, column)
    if column in _JSON:
        yield Key(key, _parsed(table, name, column, value))
    elif column in _LISTS:
        yield Key(key, [part.strip() for part in value.split(",") if part.strip()])
    elif column == "token":
        kind, _, where = value.partition(":")
        yield Key(key, {kind: where})
    else:
        yield Key(key, value)


def _calendar(name: str, rules: str) -> Iterator[Key]:
    start = rules.find(ICALENDAR)
    days = rules if start < 0 else rules[:start]
    lines = [line.strip() for line in days.splitlines() if line.strip()]
    if lines:
        yield Key("days", lines)
    if start >= 0:
        yield Key("ics", f"{_NOT_IN_A_FILE_NAME.sub('_', name)}.ics", ics=rules[start:])


def _parsed(table: str, name: str, column: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        raise InvalidInput(f"{table}.{name}: {column} is not JSON: mend the row first") from None
    if _holds_null(value):
        raise InvalidInput(
            f"{table}.{name}: {column} holds null, which TOML does not know: leave the field out,"
            " or keep the inputs in a file"
        )
    return value


def _holds_null(value: Any) -> bool:
    match value:
        case dict():
            return any(map(_holds_null, value.values()))
        case list():
            return any(map(_holds_null, value))
        case _:
            return value is None
