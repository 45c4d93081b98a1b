"""
Tables and JSON on standard output.

A table fits the terminal, cutting its widest columns; where there is no terminal nothing is cut.
Whatever the upstream or a row holds, no control character reaches the terminal.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final

import click

_GAP: Final = "  "
_NARROWEST: Final = 6


def json_value(value: Any) -> Any:
    """Turn records, times and enums into what JSON knows; times are UTC and end in Z."""
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case Path():
            return str(value)
        case Mapping():
            return {str(json_value(key)): json_value(item) for key, item in value.items()}
        case list() | tuple():
            return [json_value(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {one.name: json_value(getattr(value, one.name)) for one in fields(value)}
        case _:
            return value


def print_json(value: Any) -> None:
    """Print *value* as the one document of this command."""
    click.echo(json.dumps(json_value(value), indent=2))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """Print *rows* under the headings *columns*; where there is none, say *empty* on stderr."""
    if not rows:
        click.echo(empty, err=True)
        return
    texts = [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [
        max(len(column), *(len(line[index]) for line in texts))
        for index, column in enumerate(columns)
    ]
    if sys.stdout.isatty():
        widths = fit(widths, columns, shutil.get_terminal_size().columns)
    click.secho(_line(columns, widths), bold=True, color=_colour())
    for line in texts:
        click.echo(_line(line, widths))


def print_fields(record: Mapping[str, Any]) -> None:
    """Print each field of *record* that has a value on a line of its own."""
    known = {name: cell(value) for name, value in record.items() if value is not None}
    width = max(map(len, known), default=0)
    for name, text in known.items():
        click.echo(f"{name.ljust(width)}{_GAP}{text}")


def cell(value: Any) -> str:
    """Write *value* for a person, on one line."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return moment_text(value)
        case float():
            return f"{value:g}"
        case Enum():
            return str(value.value)
        case _:
            return one_line(str(value))


def moment_text(moment: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def one_line(text: str) -> str:
    """Return *text* on one line, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


def fit(widths: Sequence[int], headings: Sequence[str], room: int) -> list[int]:
    """Take from the widest columns until all fit into *room*, or none can give more."""
    fitted = list(widths)
    least = [max(_NARROWEST, len(heading)) for heading in headings]
    while sum(fitted) + len(_GAP) * (len(fitted) - 1) > room:
        spare = [width - floor for width, floor in zip(fitted, least, strict=True)]
        widest = max(range(len(fitted)), key=lambda index: (spare[index] > 0, fitted[index]))
        if spare[widest] <= 0:
            break
        fitted[widest] -= 1
    return fitted


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    cells = (_cut(text, width).ljust(width) for text, width in zip(texts, widths, strict=True))
    return _GAP.join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _colour() -> bool | None:
    """Tell click whether styles may be kept: it leaves them out where there is no terminal."""
    return False if os.environ.get("NO_COLOR") else None
