"""Inputs from CSV: one object a row, all values text."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, zip_longest
from typing import Final

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject
from scheduler.inputs.doubts import LARGEST_INPUT, MOST_FIELDS

_DELIMITERS: Final = ",;\t|"
_QUOTED: Final = r'"(?:[^"]|"")*+"'
_HEADER: Final = re.compile(rf'(?: *[\r\n])*+((?:{_QUOTED}|[^"\r\n])*+)')
# A first line that a spreadsheet writes to say, and obeys when it reads.
_SAID_DELIMITER: Final = re.compile(r'"?sep=([^\r\n"])"?[\r\n]*', re.IGNORECASE)
_MOST_LOOKED_AT: Final = 1024**2
# A field may hold a whole page; the module's own limit is 128 KiB.
_LONGEST_FIELD: Final = 2**31 - 1
# A quote that is never closed would take all the rest of a file for one row.
_LONGEST_ROW: Final = LARGEST_INPUT

# What no cell is meant to hold, looked for in a row that is joined by _BETWEEN.
_BETWEEN: Final = "\x1f"
_FLAWED: Final = re.compile(
    r"""(?:\A|\x1f)(?:
    (?P<quote>\s+"[^\x1f]*"\s*)
    |(?P<sheet>\#(?:N/A|REF!|VALUE!|DIV/0!|NAME\?|NULL!|NUM!|SPILL!|GETTING_DATA))
    |(?P<merge><{7}(?:\s[^\x1f]*)?|>{7}(?:\s[^\x1f]*)?|={7}|\|{7}(?:\s[^\x1f]*)?)
    )(?:\x1f|\Z)""",
    re.VERBOSE,
)
_FLAWS: Final = {
    "quote": "a quote comes after a space: remove the space in every row",
    "sheet": "holds a spreadsheet's error, such as #N/A: mend its formula, or leave the row out",
    "merge": "is a mark of a merge conflict: choose a side, and remove the marks",
}
_JSON: Final = (
    "is JSON, and no names of columns: name the file .json or .jsonl; a request sends it as its"
    " body, in no form, with Content-Type: application/json"
)
_NOT_A_NAME: Final = {
    "#": "is a comment: remove it, a table begins with the names of its columns",
    "<": "is HTML or XML, and no names of columns: is this the page of an error?",
    "{": _JSON,
    "[": _JSON,
}

Numbered = Iterator[tuple[int, JsonObject]]


def read_csv(text: str, place: str) -> list[JsonObject]:
    """Return the inputs of a whole *text*; see `iter_csv`."""
    return [one for _, one in iter_csv(io.StringIO(text, newline=""), place)]


def iter_csv(
    lines: Iterable[str], place: str, *, tell_names: Callable[[list[str]], object] = list
) -> Numbered:
    """
    Yield each row below the header as an object, with its line; *place* is named in errors.

    The names in the header are told to *tell_names* before the first row.

    The delimiter is the one of comma, semicolon, tab and bar that the header has most of, or
    what a line `sep=;` above it says. Blank lines and rows of blank values are skipped. A row
    that is shorter than the header lacks its last values; a value without a column is an error,
    a column without a name and without a value is none.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    rows = _rows(lines, place)
    start, names = next(rows, (1, None))
    if names is None:
        return
    header = _check_header(names, f"{place}:{start}")
    tell_names([name for name in header if name])
    has_unnamed = "" in header
    for line, row in rows:
        if any(cell.strip() for cell in row):
            if found := _FLAWED.search(_BETWEEN.join(row)):
                raise InputsError(f"{place}:{line}: {_FLAWS[found.lastgroup or '']}")
            if has_unnamed or len(row) > len(header):
                _check_unnamed(row, header, place, line)
            value = dict(zip(header, row, strict=False))
            value.pop("", None)
            yield line, value


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
    first = names[0]
    is_comment = first.startswith("#") and (len(names) == 1 or first.startswith("# "))
    if first[:1] in _NOT_A_NAME and (is_comment or first[0] != "#"):
        is_conflict = first.startswith("<<<<<<< ")
        raise InputsError(f"{place}: {_FLAWS['merge'] if is_conflict else _NOT_A_NAME[first[0]]}")
    if any("://" in name for name in names):
        raise InputsError(
            f"{place}: the first line holds a URL, so it is no header: name the columns above it"
            " (such as `url`), or name the file .txt if it holds a URL a line"
        )
    if not any(map(str.isalnum, "".join(names))) and first:
        raise InputsError(f"{place}: is a line of signs, and no names of columns: export as CSV")
    if len(names) == 1 and any(sign in first for sign in _DELIMITERS):
        raise InputsError(
            f"{place}: is one name with a delimiter in it: write no quotes around a whole line"
        )
    if any(re.match(r'\s+"', name) for name in header):
        raise InputsError(f"{place}: {_FLAWS['quote']}")
    if len(names) > MOST_FIELDS:
        raise InputsError(f"{place}: has {len(names)} columns, and {MOST_FIELDS} are the most")
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise InputsError(f"{place}: two columns are called {name!r}: rename one of them")
        seen.add(name)
    return names


def _check_unnamed(row: list[str], header: list[str], place: str, line: int) -> None:
    """Raise InputsError where *row* has a value in a column that has no name."""
    for column, (name, cell) in enumerate(zip_longest(header, row, fillvalue=""), 1):
        if cell.strip() and not name:
            if column > len(header):
                raise InputsError(
                    f"{place}:{line}: has {len(row)} values, the header names {len(header)}"
                    " columns: is a value with a delimiter in it not in quotes?"
                )
            raise InputsError(
                f"{place}:{line}: has a value in column {column}, which the header gives no name:"
                " write one, or remove the column"
            )
