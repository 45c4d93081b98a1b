"""Rows of a dataset while they stream, written as a file is to have them; no loop, no database."""

import csv
import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, cast

from scheduler.domain.results import ResultFormat, ResultPath
from scheduler.upstream import RowStream, read_message, unwrapped

_LONGEST_ROW: Final = 16 * 1024 * 1024
_MOST_COLUMNS: Final = 10_000
_HEAD: Final = 200


class Unreadable(Exception):
    """What came is no dataset, and why."""


class NotBuilt(Exception):
    """The dataset is not there yet: the upstream says so with 200."""


class _Hashed(io.RawIOBase):
    """Writes to a file, and knows how much that was and its SHA-256."""

    def __init__(self, file: IO[bytes]) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = bytes(cast(bytes, data))
        self._file.write(content)
        self.hash.update(content)
        self.size += len(content)
        return len(content)


class ResultWriter:
    """
    Takes a dataset piece by piece and writes it to *place*, in bounded memory whatever its size.

    All of it is read as JSON, also what is written as it came: a row that is cut, a gateway's page
    or a message in place of rows is Unreadable or NotBuilt. CSV has the columns of all rows, so
    these wait in a file beside until all have come. Raises OSError as the disk does.
    """

    def __init__(self, place: Path, path: ResultPath) -> None:
        self.row_count = 0
        self._format = path.format
        self._stream = RowStream(longest=_LONGEST_ROW, errors="strict")
        self._columns: dict[str, None] = {}
        self._head = b""
        self._first: object = None
        self._rows_place = place.with_name(f"{place.name}.rows")
        self._open = ExitStack()
        self._file = self._open.enter_context(place.open("xb"))
        self._hashed = _Hashed(self._file)
        self._out: IO[bytes] = cast(IO[bytes], self._hashed)
        if path.is_gzip:
            zipped = gzip.GzipFile("", "wb", 6, cast(IO[bytes], self._hashed), mtime=0)
            self._out = cast(IO[bytes], self._open.enter_context(zipped))
        self._rows: IO[bytes] | None = None
        if self._format is ResultFormat.CSV:
            self._open.callback(self._rows_place.unlink, missing_ok=True)
            self._rows = self._open.enter_context(self._rows_place.open("xb"))

    @property
    def byte_count(self) -> int:
        """Return how large the file is."""
        return self._hashed.size

    @property
    def sha256(self) -> str:
        """Return the checksum of the file, compressed as it is."""
        return self._hashed.hash.hexdigest()

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._head += piece[: _HEAD - len(self._head)]
        if self._head.lstrip().startswith(b"<"):
            raise Unreadable("it is a page in HTML or XML, some gateway's")
        if self._format is ResultFormat.AS_IT_CAME:
            self._out.write(piece)
        try:
            self._keep(self._stream.feed(piece))
        except UnicodeDecodeError:
            raise Unreadable("it is not UTF-8") from None
        if self._stream.is_full:
            raise Unreadable(f"a row is longer than {_LONGEST_ROW // 2**20} MiB, or no JSON")

    def finish(self, *, may_be_empty: bool) -> None:
        """Write what is left and have the disk keep it; raises what is wrong with the whole."""
        try:
            self._keep(self._stream.end())
        except UnicodeDecodeError:
            raise Unreadable("it is not UTF-8") from None
        if self._stream.is_empty:
            if not may_be_empty:
                raise NotBuilt("the dataset is empty")
        elif not self._stream.is_whole:
            raise Unreadable(f"after {self.row_count} rows it is no JSON, or breaks off")
        if self.row_count == 1 and not self._stream.is_array:
            message = read_message(self._first)
            if message is not None:
                raise NotBuilt(message.detail)
        if self._rows is not None:
            self._rows.close()
            self._write_csv()
        self._out.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._open.close()

    def abandon(self) -> None:
        """Close it, whatever is in it."""
        try:
            self._open.close()
        except OSError:  # a full disk also refuses what is left to be written
            self._file.close()

    def _keep(self, rows: Iterator[tuple[str, object]]) -> None:
        for text, outer in rows:
            found = unwrapped(outer)
            is_own = len(found) == 1 and found[0] is outer
            for row in found:
                if not isinstance(row, dict):
                    raise Unreadable(f"row {self.row_count + 1} is no object")
                if self.row_count == 0:
                    self._first = row
                self.row_count += 1
                self._write_row(row, text if is_own and "\n" not in text else None)

    def _write_row(self, row: dict[str, object], text: str | None) -> None:
        if self._format is ResultFormat.AS_IT_CAME:
            return
        if text is None:  # else numbers and the order of keys stay as they came
            text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        out = self._out
        if self._rows is not None:
            self._columns.update(dict.fromkeys(row))
            if len(self._columns) > _MOST_COLUMNS:
                raise Unreadable(f"its rows have more than {_MOST_COLUMNS:,} columns")
            out = self._rows
        out.write(text.encode("utf-8", "surrogatepass") + b"\n")

    def _write_csv(self) -> None:
        columns = list(self._columns)
        text = io.TextIOWrapper(self._out, encoding="utf-8", errors="replace", newline="")
        rows = csv.writer(text)
        if columns:
            rows.writerow(columns)
        with self._rows_place.open("rb") as lines:
            for line in lines:
                row = json.loads(line)
                rows.writerow([_cell(row.get(column)) for column in columns])
        text.flush()
        text.detach()


def _cell(value: object) -> object:
    match value:
        case None:
            return ""
        case bool() | dict() | list():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        case _:
            return value
