"""
Keys of a configuration and columns of its rows, in both directions.

A column is called as its key, but for the few in `_COLUMN_OF`, and what it holds follows from
the kind of the key's value: a new key of a definition needs no line here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from scheduler.config import (
    AccountDefinition,
    BatchDefinition,
    BudgetDefinition,
    CalendarDefinition,
    CollectorDefinition,
    Config,
    Defaults,
    QueueDefinition,
    ScheduleDefinition,
    calendar_text,
)
from scheduler.config.problems import describe
from scheduler.config.schedule_keys import TimetableKeys
from scheduler.config.secrets import SecretReference
from scheduler.config.shape import kind_of
from scheduler.config.table import TomlTable
from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable import split_calendar

Columns = Mapping[str, Any]

# First what others name.
_DEFINITIONS: Final[Mapping[str, type[TomlTable]]] = {
    "accounts": AccountDefinition,
    "calendars": CalendarDefinition,
    "queues": QueueDefinition,
    "collectors": CollectorDefinition,
    "batches": BatchDefinition,
    "schedules": ScheduleDefinition,
    "budgets": BudgetDefinition,
}

_COLUMN_OF: Final[Mapping[str, Mapping[str, str]]] = {
    "queues": {"order": "queue_order"},
    "collectors": {"id": "collector_id", "name": "trigger_name"},
    "schedules": {"name": "trigger_name"},
}
_NOT_STORED: Final = frozenset({"queue_next"})  # it says "neither queue nor confirm_cancel"
_FROM_DEFAULTS: Final = ("timezone", "misfire_grace", "catch_up")
"""Keys of a schedule whose column holds the value of [defaults] where they are left out."""

TIMETABLE_COLUMNS: Final = (*TimetableKeys.model_fields, "enabled")
"""The columns of a schedule whose edit counts from the edit on: the database's trigger notes it."""

# A comma at both ends of labels, so that SQL finds one as ',name,'.
_LIST_TEXTS: Final = {"labels": (",", ",{},"), "exclude": (", ", "{}"), "required": (",", "{}")}

_NOT_IN_A_FILE_NAME: Final = re.compile(r"[^\w-]")


def definition_rows(config: Config) -> Iterator[tuple[str, Mapping[str, Columns]]]:
    """Yield each table with the rows that *config* wants in it, by name; first what others name."""
    for table in _DEFINITIONS:
        definitions: Mapping[str, TomlTable] = getattr(config, table)
        yield (
            table,
            {
                name: _columns(table, definition, config.defaults)
                for name, definition in definitions.items()
            },
        )


def default_columns(table: str, defaults: Defaults) -> Columns:
    """Return the columns whose default the configuration itself may set."""
    if table != "schedules":
        return {}
    return {key: getattr(defaults, key) for key in _FROM_DEFAULTS}


def _columns(table: str, definition: TomlTable, defaults: Defaults) -> Columns:
    if isinstance(definition, CalendarDefinition):
        return {"rules": calendar_text(definition)}
    columns = {
        column: _stored(column, getattr(definition, key)) for key, column in _stored_keys(table)
    }
    for column, value in default_columns(table, defaults).items():
        if columns[column] is None:
            columns[column] = value
    return columns


@cache
def _stored_keys(table: str) -> tuple[tuple[str, str], ...]:
    keys = _DEFINITIONS[table].model_fields
    return tuple((key, column_of(table, key)) for key in keys if key not in _NOT_STORED)


def columns_of(table: str) -> tuple[str, ...]:
    """Return the columns that a definition fills; the others are the daemon's, or a pause's."""
    if table == "calendars":
        return ("rules",)
    return tuple(column for _, column in _stored_keys(table))


def read_definition(
    table: str, name: str, values: Mapping[str, Any], defaults: Defaults
) -> Columns:
    """
    Return the columns of a definition whose *values* stand by their columns' names.

    They are judged as the keys of a file are; raises InvalidInput with all that is wrong.
    """
    if table == "calendars":
        return {"rules": _rules(name, values)}
    keys = {key_of(table, column): value for column, value in values.items()}
    if not str(keys.get("file") or "/").startswith("/"):
        raise InvalidInput(f"{table}.{name}: file: write the whole path, which begins with /")
    try:
        definition = _DEFINITIONS[table].model_validate(keys)
    except ValidationError as error:
        said = "; ".join(_problem(table, name, each) for each in error.errors(include_url=False))
        raise InvalidInput(f"{table}.{name}: {said}") from None
    return _columns(table, definition, defaults)


def _problem(table: str, name: str, error: ErrorDetails) -> str:
    place = (table, name, *error["loc"])
    problem = describe({**error, "loc": place})
    _, _, *keys = problem.place
    if not keys:
        return problem.sentence
    return f"{'.'.join([column_of(table, str(keys[0])), *map(str, keys[1:])])}: {problem.sentence}"


def definition_model(table: str) -> type[TomlTable]:
    """Return the model by which the definitions of a table are judged."""
    return _DEFINITIONS[table]


def _rules(name: str, values: Mapping[str, Any]) -> str:
    days, ics = values.get("days") or (), values.get("ics")
    if not days and not ics:
        raise InvalidInput(f"calendars.{name}: must have days or ics, or both")
    lines, text = split_calendar(ics or "")
    if lines or (ics and not text):
        raise InvalidInput(f"calendars.{name}: ics: is not iCalendar text: no BEGIN:VCALENDAR")
    if any("\n" in day for day in days):
        raise InvalidInput(f"calendars.{name}: days: write one rule each")
    return "\n".join((*days, *([text.strip()] if text else [])))


def written_keys(table: str, row: Columns) -> dict[str, Any]:
    """Return what a row says, by its columns' names, as `read_definition` takes it."""
    if table == "calendars":
        days, ics = split_calendar(row["rules"])
        return {"days": days, "ics": ics or None}
    return {
        column: _written(table, row["name"], column, row[column])
        for column in columns_of(table)
        if row[column] is not None
    }


def _written(table: str, name: str, column: str, value: Any) -> Any:
    kind = kind_of(_DEFINITIONS[table], key_of(table, column))
    if kind is tuple:
        return [item.strip() for item in value.split(",") if item.strip()]
    if kind not in (dict, list):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise InvalidInput(f"{table}.{name}: {column} is not JSON: set it anew") from None


def _stored(column: str, value: Any) -> Any:
    match value:
        case tuple():
            separator, text = _LIST_TEXTS[column]
            return text.format(separator.join(value)) if value else None
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case SecretReference():
            return str(value)
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a definition; *ics* is the text of the file that it names, to be written."""

    name: str
    value: Any
    ics: str | None = None


def column_of(table: str, key: str) -> str:
    """Return the column that holds a key of the configuration."""
    return _COLUMN_OF.get(table, {}).get(key, key)


def key_of(table: str, column: str) -> str:
    """Return what the configuration calls a column."""
    keys = {stored: key for key, stored in _COLUMN_OF.get(table, {}).items()}
    return keys.get(column, column)


def keys_of(table: str, name: str, column: str, value: Any) -> Iterator[Key]:
    """
    Yield the keys that make *column* hold *value*, which is not None.

    Raises InvalidInput for a text that is not what its column holds.
    """
    if table == "calendars":
        yield from _calendar(name, value)
        return
    key = key_of(table, column)
    kind = kind_of(_DEFINITIONS[table], key)
    if kind in (dict, list):
        yield Key(key, _parsed(table, name, column, value))
    elif kind is tuple:
        yield Key(key, [item.strip() for item in value.split(",") if item.strip()])
    elif kind is SecretReference:
        source, _, where = value.partition(":")
        yield Key(key, {source: where})
    else:
        yield Key(key, value)


def _calendar(name: str, rules: str) -> Iterator[Key]:
    lines, icalendar = split_calendar(rules)
    if lines:
        yield Key("days", lines)
    if icalendar:
        yield Key("ics", f"{_NOT_IN_A_FILE_NAME.sub('_', name)}.ics", ics=icalendar)


def _parsed(table: str, name: str, column: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        raise InvalidInput(f"{table}.{name}: {column} is not JSON: mend the row first") from None
    if holds_null(value):
        raise InvalidInput(
            f"{table}.{name}: {column} holds null, which TOML does not know: leave the field out,"
            " or keep the inputs in a file"
        )
    return value


def holds_null(value: object) -> bool:
    """Tell whether null, which TOML does not know, is anywhere in a value of JSON."""
    match value:
        case dict():
            return any(map(holds_null, value.values()))
        case list():
            return any(map(holds_null, value))
        case _:
            return value is None
