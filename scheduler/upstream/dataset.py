"""Reads a dataset while it streams, for the inputs that its rows echo: little memory, any size."""

from typing import Final

from scheduler.domain.answers import EchoedInputs, NotReady, input_key
from scheduler.upstream.fields import read_error, read_fields, read_word
from scheduler.upstream.row_stream import RowStream

_MOST_KEYS: Final = 8 * 1024 * 1024
_KEPT_HEAD: Final = 4096


class DatasetReader:
    """
    Takes a JSON array of rows, or JSON Lines, piece by piece; `result` says what they were.

    *body* is the beginning of what came, for whoever has to say what it was. *is_full* is set when
    a row was too long, or the inputs too many, to be kept: both are bounded by 8 Mi characters.
    """

    def __init__(self) -> None:
        self.is_full = False
        self._stream = RowStream()
        self._head = bytearray()
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
        for _, row in self._stream.feed(piece):
            self._keep(row)
        self.is_full = self._stream.is_full or self._keys_size > _MOST_KEYS
        return not self.is_full

    def result(self) -> EchoedInputs | NotReady | None:
        """Say what the dataset was, now that nothing more comes; None if that cannot be told."""
        for _, row in self._stream.end():
            self._keep(row)
        if self._stream.is_empty:
            return NotReady(detail="the dataset is empty")
        if self._rows == 1 and not self._stream.is_array and self._silent_rows:
            return read_message(self._last_row)
        tells_nothing = self._rows > 0 and not self._keys
        if tells_nothing or not (self._stream.is_whole or self.is_full):
            return None
        is_whole = not self.is_full and not self._silent_rows
        errors = {key: error for key, error in self._errors.items() if key not in self._good}
        return EchoedInputs(
            keys=frozenset(self._keys), is_whole=is_whole, good=frozenset(self._good), errors=errors
        )

    def _keep(self, outer: object) -> None:
        for row in unwrapped(outer):
            self._rows += 1
            self._last_row = row
            key = _echoed_key(row)
            if key is None:
                self._silent_rows += 1
                continue
            if key not in self._keys:
                self._keys.add(key)
                self._keys_size += len(key)
            error = read_error(read_fields(row))
            if error is None:
                self._good.add(key)
            elif key not in self._errors:
                self._errors[key] = error
                self._keys_size += len(error)


def unwrapped(row: object) -> list[object]:
    """Return the rows of `{"data": [row, …]}`, or the row that this is."""
    data = row.get("data") if isinstance(row, dict) and "input" not in row else None
    return data if isinstance(data, list) and all(isinstance(one, dict) for one in data) else [row]


def _echoed_key(row: object) -> str | None:
    echoed = read_fields(row).get("input")
    try:
        return input_key(echoed) if isinstance(echoed, dict) else None
    except RecursionError:
        return None


def read_message(row: object) -> NotReady | None:
    """Read `{"status": "building", …}`, which comes with 202 or with 200 (DCA, 2)."""
    fields = read_fields(row)
    status = read_word(fields.get("status")) if "input" not in fields else None
    return NotReady(detail=f"the dataset is {status}") if status else None
