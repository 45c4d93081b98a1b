"""
Tables and JSON on standard output.

A table fits the terminal, cutting its widest columns; where there is no terminal nothing is cut.
Whatever the upstream or a row holds, no control character reaches the terminal.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final

import click

from scheduler.domain.moments import moment_iso, moment_text

_GAP: Final = "  "
_NARROWEST: Final = 6


def json_value(value: Any) -> Any:
    """Turn records, times and enums into what JSON knows; times are UTC and end in Z."""
    match value:
        case Enum():
            return value.value
        case datetime():
            return moment_iso(value)
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


def print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    empty: str,
    spare: Sequence[str] = (),
) -> None:
    """
    Print *rows* under the headings *columns*; where there is none, say *empty* on stderr.

    A terminal too narrow for all goes without the *spare* columns, one after the other.
    """
    if not rows:
        click.echo(empty, err=True)
        return
    texts = {column: [cell(row.get(column)) for row in rows] for column in columns}
    widths = {column: max(len(column), *map(len, texts[column])) for column in columns}
    if sys.stdout.isatty():
        widths = fit(widths, shutil.get_terminal_size().columns, spare=spare)
    click.secho(_line(list(widths), widths.values()), bold=True, color=_colour())
    for line in zip(*(texts[column] for column in widths), strict=True):
        click.echo(_line(line, widths.values()))


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


def one_line(text: str) -> str:
    """Return *text* on one line, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


def fit(widths: Mapping[str, int], room: int, *, spare: Sequence[str] = ()) -> dict[str, int]:
    """
    Return the widths of the columns that fit into *room*.

    Columns of *spare* go first, then the widest give way, as long as they can: a heading is
    never cut.
    """
    fitted = dict(widths)
    for column in spare:
        if _total(fitted) <= room:
            break
        del fitted[column]
    while _total(fitted) > room:
        cuttable = [name for name in fitted if fitted[name] > max(_NARROWEST, len(name))]
        if not cuttable:
            break
        fitted[max(cuttable, key=lambda name: fitted[name])] -= 1
    return fitted


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _line(texts: Sequence[str], widths: Iterable[int]) -> str:
    cells = (_cut(text, width).ljust(width) for text, width in zip(texts, widths, strict=True))
    return _GAP.join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _colour() -> bool | None:
    """Tell click whether styles may be kept: it leaves them out where there is no terminal."""
    return False if os.environ.get("NO_COLOR") else None
