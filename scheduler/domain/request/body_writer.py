"""A body made of inputs that come one by one; what is large goes to a spool, part by part."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from enum import StrEnum
from math import isfinite
from typing import Final, Protocol

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import JsonObject, StoredBody

# "Input of one job up to 1 GB" (DCA, 1, limits).
MOST_BYTES: Final = 1024**3
PART_BYTES: Final = 1024**2
"""A body that is larger is kept in parts of about this size, where there is a spool for them."""

# Every input has a cell of every column: many of either are many times more text.
_MOST_COLUMNS: Final = 1000


class SendAs(StrEnum):
    """The kinds of body that the upstream takes."""

    JSON = "json"  # an array of objects, application/json
    CSV = "csv"  # with a header row, text/csv
    MULTIPART = "multipart"  # the same CSV as a file in the form field `data`


class BodyTooLarge(InvalidInput):
    """The inputs come to more than one request may hold."""


class Spool(Protocol):
    """Where the parts of a large body are kept while it is made. Whoever makes it may block."""

    def begin(self) -> str:
        """Return the key of a new body's parts."""

    def put(self, parts: str, number: int, text: str) -> None:
        """Keep a part; the first has the number 1."""

    def drop(self, parts: str) -> None:
        """Forget parts that become no body."""


_TOGETHER: Final = 64 * 1024
"""So many characters of rows are encoded at once: one by one costs five times as much."""


class BodyWriter:
    """
    Makes one body: `add` its inputs in order, then `finish`, or `abandon` what it made so far.

    Equal inputs, their keys in the same order, make an equal body and fingerprint. CSV needs its
    *columns* ahead. Without a *spool* all of its text is held. Raises InvalidInput for a value
    that the kind of body cannot hold, and BodyTooLarge above *most_bytes*.
    """

    def __init__(
        self,
        send_as: SendAs,
        *,
        columns: Sequence[str] = (),
        spool: Spool | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.send_as = send_as
        self.row_count = 0
        self.byte_count = 0
        self._rows = _JsonRows() if send_as is SendAs.JSON else _CsvRows(columns)
        self._spool = spool
        self._most_bytes = most_bytes - len("".join(frame(send_as, "0" * 64)))
        self._over = most_bytes
        self._hash = hashlib.sha256(f"{send_as}\0".encode())
        self._fresh: list[str] = []
        self._fresh_length = 0
        self._written = 0
        self._pending: list[str] = []
        self._pending_bytes = 0
        self._parts: str | None = None
        self._number = 0

    def add(self, one: JsonObject) -> None:
        """Take the next input; what is wrong with one may be told with a later one."""
        self.row_count += 1
        text = self._rows.row(one, self.row_count)
        self._fresh.append(text)
        self._fresh_length += len(text)
        if self._fresh_length > _TOGETHER:
            self._write()

    def finish(self) -> StoredBody:
        """Return the body; raises InvalidInput if it has no inputs."""
        if not self.row_count:
            raise InvalidInput("there are no inputs: a trigger needs at least one")
        self._fresh.append(self._rows.tail)
        self._write()
        if self._parts is not None:
            self._put()
        return StoredBody(
            fingerprint=self._hash.hexdigest(),
            send_as=self.send_as,
            row_count=self.row_count,
            byte_count=self.byte_count,
            text="".join(self._pending),
            parts=self._parts,
        )

    def abandon(self) -> None:
        """Forget it: its parts are dropped."""
        if self._parts is not None and self._spool is not None:
            self._spool.drop(self._parts)

    def _write(self) -> None:
        text = "".join(self._fresh)
        try:
            raw = text.encode()
        except UnicodeEncodeError:
            raise self._half_a_character() from None
        self._hash.update(raw)
        self._pending.append(text)
        self._pending_bytes += len(raw)
        self.byte_count += len(raw)
        self._fresh, self._fresh_length = [], 0
        self._written = self.row_count
        if self.byte_count > self._most_bytes:
            raise BodyTooLarge(
                f"the inputs come to more than {self._over} bytes, which is the most that one"
                " request may have: divide them among several"
            )
        if self._spool is not None and self._pending_bytes > PART_BYTES:
            self._put()

    def _half_a_character(self) -> InvalidInput:
        index = next(index for index, text in enumerate(self._fresh) if not _is_whole(text))
        return InvalidInput(
            f"input {self._written + index + 1} holds half a character (a surrogate without the"
            " other half), which no body can hold: write it whole"
        )

    def _put(self) -> None:
        if self._spool is None:
            return
        if self._parts is None:
            self._parts = self._spool.begin()
        text = "".join(self._pending)
        # One input may be larger than a part.
        for start in range(0, len(text), PART_BYTES):
            self._number += 1
            self._spool.put(self._parts, self._number, text[start : start + PART_BYTES])
        self._pending, self._pending_bytes = [], 0


def frame(send_as: SendAs, boundary: str) -> tuple[str, str]:
    """Return what stands before and behind a body's text when it is sent."""
    if send_as is not SendAs.MULTIPART:
        return "", ""
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="data"; filename="inputs.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    )
    return head, f"\r\n--{boundary}--\r\n"


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _JsonRows:
    """A compact array."""

    tail: Final = "]"

    def row(self, one: JsonObject, number: int) -> str:
        try:
            return ("[" if number == 1 else ",") + _ENCODER.encode(one)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"the inputs cannot be written as JSON: {error}") from None


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class _CsvRows:
    """A table of *columns*."""

    tail: Final = ""

    def __init__(self, columns: Sequence[str]) -> None:
        if not columns:
            raise InvalidInput(
                'the inputs have no keys, and CSV needs a column: write send_as = "json"'
            )
        if len(columns) > _MOST_COLUMNS:
            raise InvalidInput(
                f"the inputs have {len(columns)} different keys, and a CSV of ours has"
                f' {_MOST_COLUMNS} columns at most: write send_as = "json"'
            )
        self._columns = columns
        self._out = io.StringIO(newline="")
        # RFC 4180 ends a line with CRLF, and every reader takes it.
        self._writer = csv.writer(self._out, lineterminator="\r\n")

    def row(self, one: JsonObject, number: int) -> str:
        self._out.seek(0)
        self._out.truncate()
        if number == 1:
            names = [_cell(column, "the name of a column") for column in self._columns]
            self._writer.writerow(names)
        self._writer.writerow(
            [_cell(one.get(column), f"input {number}: {column!r}") for column in self._columns]
        )
        return self._out.getvalue()


def _cell(value: object, place: str) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() if "\0" in value:
            flaw = "holds a NUL character"
        case str():
            return value
        case int():
            return str(value)
        case float() if isfinite(value):
            return str(value)
        case dict() | list():
            flaw = "is an object or an array"
        case _:
            raise InvalidInput(f"{place} is no JSON value: write text, or a finite number")
    raise InvalidInput(
        f'{place} {flaw}, which CSV cannot hold: change it, or write send_as = "json"'
    )
