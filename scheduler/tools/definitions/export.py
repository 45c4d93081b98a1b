"""The definitions that the database holds, written as a configuration that `apply` takes again."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Item, Table

from scheduler.actions.comparing import Rows, read_held
from scheduler.actions.definition_columns import (
    Columns,
    Key,
    default_columns,
    definition_rows,
    key_of,
    keys_of,
)
from scheduler.config import Config
from scheduler.domain.request import secret_names
from scheduler.storage import definition_tables
from scheduler.storage.database import Connection
from scheduler.tools.toml_item import toml_item


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A configuration's text, and the iCalendar files that it names, by their name beside it."""

    text: str
    calendars: Mapping[str, str]


def export_definitions(
    conn: Connection, *, known: str | None = None, config: Config | None = None
) -> Export:
    """
    Write every definition of the database, whoever owns it; `apply` then changes nothing.

    With the text of the *known* file, which *config* was read from, what is the same there stays
    byte for byte, comments and order included; all that is no definition stays too.
    """
    base = config or Config()
    wanted = dict(definition_rows(base))
    stored = read_held(conn, wanted)
    document = tomlkit.parse(known) if known is not None else tomlkit.document()
    calendars: dict[str, str] = {}
    if known is None:
        _add_secrets(document, stored)
    for table, rows in stored.items():
        usual = {**definition_tables.list_defaults(table), **default_columns(table, base.defaults)}
        for name in wanted[table]:
            if name not in rows:
                del document[table][name]
        for name, row in rows.items():
            there = wanted[table].get(name)
            keys = list(_keys(table, name, row, usual if there is None else there))
            _write(document, table, name, keys, is_new=there is None)
            calendars |= {key.value: key.ics for key in keys if key.ics is not None}
    return Export(text=tomlkit.dumps(document), calendars=calendars)


_NOT_IN_A_FILE: Final = frozenset(
    {
        *(
            "name",
            "origin",
            "defined_in",
            "edits",
            "paused_at",
            "paused_by",
            "paused_reason",
            "paused_until",
        ),
        *("created_at", "edited_at", "planned_at", "fired_until", "next_fire_at", "error"),
    }
)


def _keys(table: str, name: str, row: Columns, there: Columns) -> Iterator[Key]:
    """Yield the keys whose column is not as it is *there*; without a value: to be left out."""
    for column, value in row.items():
        if column in _NOT_IN_A_FILE or value == there.get(column):
            continue
        keys = [] if value is None else list(keys_of(table, name, column, value))
        yield from keys
        given = {key.name for key in keys}
        yield from (Key(key, None) for key in _all_keys(table, column) if key not in given)


def _all_keys(table: str, column: str) -> tuple[str, ...]:
    if table == "calendars":
        return ("days", "ics")
    if column in ("queue", "confirm_cancel"):
        # The key that says "neither of these" has no column.
        return (column, "queue_next")
    return (key_of(table, column),)


def _write(
    document: TOMLDocument, section: str, name: str, keys: list[Key], *, is_new: bool
) -> None:
    if section not in document:
        document[section] = tomlkit.table(is_super_table=True)
    tables: Any = document[section]
    table: MutableMapping[str, Any] = tomlkit.table() if is_new else tables[name]
    for key in keys:
        if key.value is None:
            table.pop(key.name, None)
        elif key.name in table:
            table[key.name] = toml_item(key.value)
        else:
            _add(table, key)
    if is_new:
        tables[name] = table


def _add(table: MutableMapping[str, Any], key: Key) -> None:
    """Add a key below the last one: comments at the end of a table belong to what follows it."""
    below: list[Item] = []
    body = table.value.body if isinstance(table, Table) else []
    while body and body[-1][0] is None:
        below.append(body.pop()[1])
    table[key.name] = toml_item(key.value)
    if isinstance(table, Table):
        for item in reversed(below):
            table.value.append(None, item)


def _add_secrets(document: TOMLDocument, stored: Rows) -> None:
    """Name the secrets that rows refer to; where each is kept stands in no database."""
    params = [
        (key, row[key])
        for table in ("collectors", "schedules")
        for row in stored[table].values()
        for key in ("notify", "deliver")
        if row[key] is not None
    ]
    names = sorted(secret_names(params))
    if not names:
        return
    secrets = tomlkit.table()
    secrets.add(tomlkit.comment("the database does not know where these are kept: look at each"))
    for name in names:
        variable = re.sub(r"[^A-Z0-9_]", "_", name.upper())
        secrets[name] = toml_item({"env": variable if variable[0].isalpha() else f"_{variable}"})
    document["secrets"] = secrets
