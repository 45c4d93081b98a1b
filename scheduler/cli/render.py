"""
Tables and JSON on standard output.

A table fits the terminal, cutting its widest columns; where there is no terminal nothing is cut.
Whatever the upstream or a row holds, no control character reaches the terminal.
"""

import json
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final

import click

from scheduler.domain.records import RunState
from scheduler.domain.timestamps import display_time
from scheduler.views.decoding import shown_fields
from scheduler.views.json_document import json_document, json_value
from scheduler.views.page import Key

_GAP: Final = "  "
_NARROWEST: Final = 6
_FEWEST_COLUMNS: Final = 2
_WIDEST_WHOLE: Final = 40


def print_json(value: Any) -> None:
    """Print *value* as the one document of this command."""
    click.echo(json.dumps(json_document(value), indent=2))


def answer(value: Any, text: str, *, as_json: bool) -> None:
    """Say what was done: in a sentence, or by what it is now."""
    if as_json:
        print_json(value)
    else:
        click.echo(one_line(text))


def say(text: str, *, err: bool = False) -> None:
    """Print a sentence on one line: a terminal obeys nothing that a row's text holds."""
    indent = text[: len(text) - len(text.lstrip(" "))]
    click.echo(indent + one_line(text), err=err)


def print_table(
    rows: Sequence[Any],
    columns: Sequence[str],
    *,
    empty: str,
    spare: Sequence[str] = (),
    to_stderr: bool = False,
) -> None:
    """
    Print *rows*, mappings or views, under the headings *columns*; say *empty* where there is none.

    A terminal too narrow for all goes without the *spare* columns, one after the other.
    """
    if not rows:
        click.echo(empty, err=True)
        return
    texts = {column: [cell(_value(row, column)) for row in rows] for column in columns}
    widths = {column: max(len(column), *map(len, texts[column])) for column in columns}
    if sys.stdout.isatty():
        bare = [column for column in columns[1:] if not any(_says(row, column) for row in rows)]
        whole = {columns[0], *(column for column in columns if _are_moments(rows, column))}
        room = shutil.get_terminal_size().columns
        widths = fit(widths, room, spare=(*bare, *spare), whole=whole)
    click.secho(_line(list(widths), widths.values()), bold=True, color=_colour(), err=to_stderr)
    for row, *line in zip(rows, *(texts[column] for column in widths), strict=True):
        styles = [_style(_value(row, column)) for column in widths]
        click.echo(_line(line, widths.values(), styles), color=_colour(), err=to_stderr)
    left_out = [column for column in columns if column not in {*widths, *spare} and column in texts]
    if told := [column for column in left_out if any(_says(row, column) for row in rows)]:
        click.echo(f"left out for want of room: {', '.join(told)}", err=True)


def _says(row: Any, column: str) -> bool:
    return _value(row, column) is not None


def _are_moments(rows: Sequence[Any], column: str) -> bool:
    return any(isinstance(_value(row, column), datetime) for row in rows)


def _style(value: Any) -> Mapping[str, Any]:
    return _STYLES.get(value, {}) if isinstance(value, RunState) else {}


_STYLES: Final[Mapping[RunState, Mapping[str, Any]]] = {
    RunState.DISPATCHING: {"fg": "cyan"},
    RunState.COLLECTING: {"fg": "cyan"},
    RunState.UNCONFIRMED: {"fg": "yellow"},
    RunState.NEEDS_ATTENTION: {"fg": "red", "bold": True},
    RunState.SUCCEEDED: {"fg": "green"},
    RunState.PARTIAL: {"fg": "yellow"},
    RunState.FAILED: {"fg": "red"},
    RunState.CANCELLED: {"dim": True},
    RunState.SKIPPED: {"dim": True},
}


def print_listing(
    rows: Sequence[Any], columns: Sequence[str], *, empty: str, as_json: bool
) -> None:
    """Print *rows* as JSON, or as a table."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns, empty=empty)


def tell_more(shown: int, following: Key | None, *, option: str = "--before") -> None:
    """Say on stderr that a list was cut, and how it goes on."""
    if following is not None:
        click.echo(
            f"{shown} shown, and there are more: go on with {option} {following}, or set --limit",
            err=True,
        )


def until_words(end: datetime | None) -> str:
    """Say when something ends by itself; nothing where it does not."""
    return f" until {display_time(end)}" if end is not None else ""


def warn(warning: str) -> None:
    """Say on stderr what may be meant, and hardly is."""
    click.echo(f"warning: {one_line(warning)}", err=True)


def print_fields(record: Any, *, without: Collection[str] = ()) -> None:
    """Print what a mapping or a view says, each field on a line; what says nothing is left out."""
    values = record if isinstance(record, Mapping) else _fields(record)
    texts = {
        name: cell(value)
        for name, value in values.items()
        if name not in without and value not in (None, (), "")
    }
    width = max(map(len, texts), default=0)
    for name, text in texts.items():
        styled = click.style(text, **_style(values[name]))
        click.echo(f"{name.ljust(width)}{_GAP}{styled}", color=_colour())


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in shown_fields(record)}


def _value(row: Any, column: str) -> Any:
    return row.get(column) if isinstance(row, Mapping) else getattr(row, column)


def cell(value: Any) -> str:
    """Write *value* for a person, on one line."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return display_time(value)
        case float():
            return f"{value:g}"
        case Enum():
            return str(value.value)
        case tuple():
            return one_line(", ".join(map(cell, value)))
        case Mapping() | list():
            return one_line(json.dumps(json_value(value), ensure_ascii=False))
        case _:
            return one_line(str(value))


def one_line(text: str) -> str:
    """Return *text* on one line, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


def fit(
    widths: Mapping[str, int],
    room: int,
    *,
    spare: Sequence[str] = (),
    whole: Collection[str] = (),
) -> dict[str, int]:
    """
    Return the widths of the columns that fit into *room*.

    Columns of *spare* go first, then the widest give way, as long as they can, those that must be
    *whole* last; a heading is never cut. Where that is not enough the last columns go.
    """
    fitted = dict(widths)
    for column in spare:
        if _total(fitted) <= room:
            break
        fitted.pop(column, None)
    if _total(fitted) > room:
        fitted |= {name: min(fitted[name], _WIDEST_WHOLE) for name in whole if name in fitted}
    while _total(fitted) > room:
        cuttable = [name for name in fitted if fitted[name] > max(_NARROWEST, len(name))]
        ready = [name for name in cuttable if name not in whole]
        if ready:
            fitted[max(ready, key=lambda name: fitted[name])] -= 1
        elif len(fitted) > _FEWEST_COLUMNS:
            fitted.popitem()
        elif cuttable:
            fitted[max(cuttable, key=lambda name: fitted[name])] -= 1
        else:
            break
    return fitted


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _line(
    texts: Sequence[str], widths: Iterable[int], styles: Sequence[Mapping[str, Any]] = ()
) -> str:
    cells = [_cut(text, width).ljust(width) for text, width in zip(texts, widths, strict=True)]
    cells[-1] = cells[-1].rstrip()
    if not any(styles):
        return _GAP.join(cells).rstrip()
    styled = (click.style(cell, **style) for cell, style in zip(cells, styles, strict=True))
    return _GAP.join(styled)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _colour() -> bool | None:
    """Tell click whether styles may be kept: it leaves them out where there is no terminal."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if is_plain else None
