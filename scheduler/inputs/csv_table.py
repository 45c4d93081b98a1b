"""Inputs from CSV: one object a row, all values text."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject

_DELIMITERS: Final = ",;\t|"
_QUOTED: Final = r'"(?:[^"]|"")*+"'
_HEADER: Final = re.compile(rf'(?: *[\r\n])*+((?:{_QUOTED}|[^"\r\n])*+)')
# A first line that a spreadsheet writes to say, and obeys when it reads.
_SAID_DELIMITER: Final = re.compile(r'"?sep=([^\r\n"])"?[\r\n]*', re.IGNORECASE)
_MOST_LOOKED_AT: Final = 1024**2
# A field may hold a whole page; the module's own limit is 128 KiB.
_LONGEST_FIELD: Final = 2**31 - 1
# A quote that is never closed would take all the rest of a file for one row.
_LONGEST_ROW: Final = 16 * 1024**2

Numbered = Iterator[tuple[int, JsonObject]]


def read_csv(text: str, place: str) -> list[JsonObject]:
    """Return the inputs of a whole *text*; see `iter_csv`."""
    return [one for _, one in iter_csv(io.StringIO(text, newline=""), place)]


def iter_csv(lines: Iterable[str], place: str) -> Numbered:
    """
    Yield each row below the header as an object, with its line; *place* is named in errors.

    The delimiter is the one of comma, semicolon, tab and bar that the header has most of, or
    what a line `sep=;` above it says. Blank lines and rows of blank values are skipped. A row
    that is shorter than the header lacks its last values; a longer one is an error.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    rows = _rows(lines, place)
    line, names = next(rows, (1, None))
    if names is None:
        return
    header = _check_header(names, f"{place}:{line}")
    for line, row in rows:
        if any(cell.strip() for cell in row):
            if len(row) > len(header):
                raise _too_long(row, header, f"{place}:{line}")
            yield line, dict(zip(header, row, strict=False))


def _rows(lines: Iterable[str], place: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every row but blank lines, with the line where it begins."""
    feed = iter(lines)
    first = _first_lines(feed)
    said = _SAID_DELIMITER.fullmatch(first[0]) if first else None
    if said is not None:
        first = first[1:]
    delimiter = _delimiter("".join(first)) if said is None else said[1]
    watched = _Watched(chain(first, feed))
    above = 0 if said is None else 1
    reader = csv.reader(watched, delimiter=delimiter, strict=True)
    line = 1 + above
    try:
        for row in reader:
            if len(row) > 1 or any(cell.strip() for cell in row):
                yield line, row
            line = reader.line_num + 1 + above
            watched.length = 0
    except csv.Error as error:
        raise InputsError(
            f"{place}:{line}: {error}: is a quote in this row not closed, or not doubled?"
        ) from None


class _Watched:
    """The lines of a file, as long as a row is not unreasonably long; *length* is its length."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.length += len(line)
        if self.length > _LONGEST_ROW:
            raise csv.Error("a row goes on for more than 16 MiB")
        return line


def _first_lines(feed: Iterator[str]) -> list[str]:
    found: list[str] = []
    length = 0
    for line in feed:
        found.append(line)
        length += len(line)
        if length >= _MOST_LOOKED_AT:
            break
    return found


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
    if any(re.match(r'\s+"', name) for name in header):
        raise InputsError(f"{place}: a quote comes after a space: remove the space in every row")
    for column, name in enumerate(names, 1):
        if not name:
            raise InputsError(f"{place}: column {column} has no name: write one, or remove it")
        if names.index(name) != column - 1:
            raise InputsError(f"{place}: two columns are called {name!r}: rename one of them")
    return names


def _too_long(row: list[str], header: list[str], place: str) -> InputsError:
    return InputsError(
        f"{place}: has {len(row)} values, the header names {len(header)} columns:"
        " is a value with a delimiter in it not in quotes?"
    )
