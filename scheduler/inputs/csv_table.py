"""Inputs from CSV: one object a row, all values text."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject

_DELIMITERS: Final = ",;\t|"
_QUOTED: Final = r'"(?:[^"]|"")*+"'
_HEADER: Final = re.compile(rf'(?: *[\r\n])*+((?:{_QUOTED}|[^"\r\n])*+)')
# A field may hold a whole page; the module's own limit is 128 KiB.
_LONGEST_FIELD: Final = 2**31 - 1


def read_csv(text: str, place: str) -> list[JsonObject]:
    """
    Read *text* with its header row; *place* is named in errors.

    The delimiter is the one of comma, semicolon, tab and bar that the header has most of. Blank
    lines and rows of blank values are skipped. A row that is shorter than the header lacks its
    last values; a longer one is an error.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    rows = _rows(text, place)
    line, names = next(rows, (1, None))
    if names is None:
        return []
    header = _check_header(names, f"{place}:{line}")
    return [
        _input(row, header, f"{place}:{line}")
        for line, row in rows
        if any(cell.strip() for cell in row)
    ]


def _rows(text: str, place: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every row but blank lines, with the line where it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or any(cell.strip() for cell in row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputsError(
            f"{place}:{line}: {error}: is a quote in this row not closed, or not doubled?"
        ) from None


def _delimiter(text: str) -> str:
    found = _HEADER.match(text)
    header = re.sub(_QUOTED, "", found[1] if found else "")
    return max(_DELIMITERS, key=header.count)


def _check_header(header: list[str], place: str) -> list[str]:
    names = [name.strip() for name in header]
    if any("://" in name for name in names):
        raise InputsError(
            f"{place}: the first line holds a URL, so it is no header: name the columns above it"
            " (such as `url`), or name the file .txt if it holds a URL a line"
        )
    for column, name in enumerate(names, 1):
        if not name:
            raise InputsError(f"{place}: column {column} has no name: write one, or remove it")
        if names.index(name) != column - 1:
            raise InputsError(f"{place}: two columns are called {name!r}: rename one of them")
    return names


def _input(row: list[str], header: list[str], place: str) -> JsonObject:
    if len(row) > len(header):
        raise InputsError(
            f"{place}: has {len(row)} values, the header names {len(header)} columns:"
            " is a value with a delimiter in it not in quotes?"
        )
    return dict(zip(header, row, strict=False))
