"""Inputs from CSV: one object a row, all values text."""

import csv
import io
from typing import Final

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject

_DELIMITERS: Final = ",;\t|"


def read_csv(text: str, place: str) -> list[JsonObject]:
    """
    Read *text* with its header row; *place* is named in errors.

    The delimiter is the one of comma, semicolon, tab and bar that the header has most of.
    A row that is shorter than the header lacks its last values; a longer one is an error.
    """
    # A field may hold a whole page; the module's own limit is 128 KiB.
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        header = _check_header(next(reader, []), place)
        return [
            _input(row, header, f"{place}:{reader.line_num}")
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise InputsError(f"{place}:{reader.line_num}: {error}") from None


def _delimiter(text: str) -> str:
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    return max(_DELIMITERS, key=first_line.count)


def _check_header(header: list[str], place: str) -> list[str]:
    names = [name.strip() for name in header]
    if not any(names):
        raise InputsError(f"{place}:1: has no header row: name the columns in the first line")
    for column, name in enumerate(names, 1):
        if not name:
            raise InputsError(f"{place}:1: column {column} has no name")
        if names.index(name) != column - 1:
            raise InputsError(f"{place}:1: two columns are called {name!r}")
    if len(names) == 1 and "://" in names[0]:
        raise InputsError(
            f"{place}:1: the first line is a URL, not a header: write `url` above it,"
            " or name the file .txt"
        )
    return names


def _input(row: list[str], header: list[str], place: str) -> JsonObject:
    if len(row) > len(header):
        raise InputsError(
            f"{place}: has {len(row)} values, the header names {len(header)} columns:"
            " is a value with a delimiter in it not in quotes?"
        )
    return dict(zip(header, row, strict=False))
