"""Reads a dataset while it streams, for the inputs that its rows echo: little memory, any size."""

import codecs
import json
import re
from typing import Final

from scheduler.domain.answers import EchoedInputs, NotReady, input_key
from scheduler.upstream.fields import read_error, read_fields, read_word

_LONGEST_ROW: Final = 8 * 1024 * 1024
_MOST_KEYS: Final = 8 * 1024 * 1024
_KEPT_HEAD: Final = 4096
_BETWEEN: Final = re.compile(r"[\s,\ufeff]*")


class DatasetReader:
    """
    Takes a JSON array of rows, or JSON Lines, piece by piece; `result` says what they were.

    *body* is the beginning of what came, for whoever has to say what it was. *is_full* is set when
    a row was too long, or the inputs too many, to be kept: both are bounded by 8 Mi characters.
    """

    def __init__(self) -> None:
        self.is_full = False
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._json = json.JSONDecoder()
        self._head = bytearray()
        self._text = ""
        # The rest of a row is tried again when it is twice as long, so a long one costs no more
        # than its length.
        self._try_at = 1
        self._is_array: bool | None = None
        self._has_ended = False
        self._rows = 0
        self._last_row: object = None
        self._silent_rows = 0
        self._keys: set[str] = set()
        self._good: set[str] = set()
        self._errors: dict[str, str] = {}
        self._keys_size = 0

    @property
    def body(self) -> bytes:
        """The first bytes."""
        return bytes(self._head)

    def feed(self, piece: bytes) -> bool:
        """Take *piece*; False once it is full."""
        self._head += piece[: _KEPT_HEAD - len(self._head)]
        self._text += self._decode(piece)
        if len(self._text) >= self._try_at:
            self._take_rows()
            self._try_at = 2 * len(self._text) + 1
        self.is_full = len(self._text) > _LONGEST_ROW or self._keys_size > _MOST_KEYS
        return not self.is_full

    def result(self) -> EchoedInputs | NotReady | None:
        """Say what the dataset was, now that nothing more comes; None if that cannot be told."""
        self._take_rows(is_last=True)
        rest = self._text.strip()
        if self._rows == 0 and not rest and self._is_array is None:
            return NotReady(detail="the dataset is empty")
        if self._rows == 1 and not self._is_array and self._silent_rows:
            return _read_message(self._last_row)
        is_broken = rest or (self._is_array and not self._has_ended)
        tells_nothing = self._rows > 0 and not self._keys
        if tells_nothing or (is_broken and not self.is_full):
            return None
        is_whole = not self.is_full and not self._silent_rows
        errors = {key: error for key, error in self._errors.items() if key not in self._good}
        return EchoedInputs(
            keys=frozenset(self._keys),
            is_whole=is_whole,
            good=frozenset(self._good),
            errors=errors,
        )

    def _take_rows(self, *, is_last: bool = False) -> None:
        text, at = self._text, 0
        while not self._has_ended:
            between = _BETWEEN.match(text, at)
            at = between.end() if between else at
            if at == len(text):
                break
            if self._is_array is None:
                self._is_array = text[at] == "["
                at += self._is_array
            elif self._is_array and text[at] == "]":
                self._has_ended = True
                at += 1
            else:
                end = self._take_row(text, at, is_last=is_last)
                if end is None:
                    break
                at = end
        self._text = text[at:]

    def _take_row(self, text: str, at: int, *, is_last: bool) -> int | None:
        """Take the row that starts at *at* and return its end; None if it is not all there."""
        try:
            row, end = self._json.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        # A bare number may go on in the next piece.
        if end == len(text) and not is_last and not isinstance(row, dict):
            return None
        for one in _unwrapped(row):
            self._keep(one)
        return end

    def _keep(self, row: object) -> None:
        self._rows += 1
        self._last_row = row
        key = _echoed_key(row)
        if key is None:
            self._silent_rows += 1
            return
        if key not in self._keys:
            self._keys.add(key)
            self._keys_size += len(key)
        error = read_error(read_fields(row))
        if error is None:
            self._good.add(key)
        elif key not in self._errors:
            self._errors[key] = error
            self._keys_size += len(error)


def _unwrapped(row: object) -> list[object]:
    """Return the rows of `{"data": [row, …]}`, or the row that this is."""
    data = row.get("data") if isinstance(row, dict) and "input" not in row else None
    return data if isinstance(data, list) and all(isinstance(one, dict) for one in data) else [row]


def _echoed_key(row: object) -> str | None:
    echoed = read_fields(row).get("input")
    try:
        return input_key(echoed) if isinstance(echoed, dict) else None
    except RecursionError:
        return None


def _read_message(row: object) -> NotReady | None:
    """Read `{"status": "building", …}`, which comes with 202 or with 200 (DCA, 2)."""
    status = read_word(read_fields(row).get("status"))
    return NotReady(detail=f"the dataset is {status}") if status else None
