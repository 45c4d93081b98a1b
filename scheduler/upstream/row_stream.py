"""Cuts a JSON array of rows, or JSON Lines, into its rows while it streams."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Final

_LONGEST_ROW: Final = 8 * 1024 * 1024
_BETWEEN: Final = re.compile(r"[\s,\ufeff]*")


class RowStream:
    """
    Takes an answer piece by piece and gives its rows, each with its text.

    *is_full* is set when a row was too long to be kept: *longest* characters. *errors* is what
    becomes of bytes that are no UTF-8, as `codecs` has it.
    """

    def __init__(self, *, longest: int = _LONGEST_ROW, errors: str = "replace") -> None:
        self.is_full = False
        self.is_array: bool | None = None
        self.row_count = 0
        self._longest = longest
        self._decode = codecs.getincrementaldecoder("utf-8")(errors=errors).decode
        self._json = json.JSONDecoder()
        self._text = ""
        # The rest of a row is tried again when it is twice as long, so a long one costs no more
        # than its length.
        self._try_at = 1
        self._has_ended = False

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing but white space came."""
        return self.row_count == 0 and not self._text.strip() and self.is_array is None

    @property
    def is_whole(self) -> bool:
        """Tell whether what came is all there, once `end` was asked."""
        return not self._text.strip() and (not self.is_array or self._has_ended)

    def feed(self, piece: bytes) -> Iterator[tuple[str, object]]:
        """Take *piece*, and yield the rows that are all there; what is not asked for is lost."""
        self._text += self._decode(piece)
        if len(self._text) >= self._try_at:
            yield from self._rows()
            self._try_at = 2 * len(self._text) + 1
        self.is_full = len(self._text) > self._longest

    def end(self) -> Iterator[tuple[str, object]]:
        """Yield the last rows: nothing more comes."""
        self._text += self._decode(b"", final=True)
        yield from self._rows(is_last=True)

    def _rows(self, *, is_last: bool = False) -> Iterator[tuple[str, object]]:
        text, at = self._text, 0
        try:
            while not self._has_ended:
                between = _BETWEEN.match(text, at)
                at = between.end() if between else at
                if at == len(text):
                    break
                if self.is_array is None:
                    self.is_array = text[at] == "["
                    at += self.is_array
                elif self.is_array and text[at] == "]":
                    self._has_ended = True
                    at += 1
                else:
                    found = self._row(text, at, is_last=is_last)
                    if found is None:
                        break
                    row, end = found
                    self.row_count += 1
                    yield text[at:end], row
                    at = end
        finally:
            self._text = text[at:]

    def _row(self, text: str, at: int, *, is_last: bool) -> tuple[object, int] | None:
        """Return the row that starts at *at* and its end; None if it is not all there."""
        try:
            row, end = self._json.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        # A bare number may go on in the next piece.
        if end == len(text) and not is_last and not isinstance(row, dict):
            return None
        return row, end
