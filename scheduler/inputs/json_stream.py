"""Inputs from a JSON array of any length, of which only a window is held at a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, Final

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject
from scheduler.inputs.doubts import LARGEST_INPUT
from scheduler.inputs.json_text import ONE_DOCUMENT, decode_at, flaw_of, read_json, reason_of

_WINDOW: Final = 8 * 1024**2
_CUT_WITHIN: Final = 16
"""What breaks off does so at the end of the window, within a word, a number or an escape."""
_TOO_LARGE: Final = "is larger than 16 MiB: link to what is so large"
_SPACE: Final = re.compile(r"[ \t\r\n]*")


def iter_json(
    chunks: Iterator[str], place: str, *, window: int = _WINDOW
) -> Iterator[tuple[int, JsonObject]]:
    """
    Yield the objects of an array, each with its number; one object alone is a single input.

    A text of up to *window* characters is read as a whole, and its errors are known before its
    first input.
    """
    seen = _Window(chunks, place, window)
    if seen.next_sign() == "[" and not seen.is_last:
        yield from enumerate(_elements(seen), 1)
        return
    if not seen.is_last:
        seen.grow(LARGEST_INPUT + 1)
    if not seen.is_last and len(seen.text) > LARGEST_INPUT:
        raise InputsError(f"{place}: an input {_TOO_LARGE}, or write an array of objects")
    yield from enumerate(read_json("\n" * seen.lines_before + seen.text, place), 1)


def _elements(window: "_Window") -> Iterator[JsonObject]:
    window.position += 1
    sign = "," if window.next_sign() != "]" else window.take_sign()
    while sign == ",":
        yield window.take_object()
        sign = window.take_sign()
    if sign != "]":
        window.position -= len(sign)
        raise window.problem(f"expecting ',' delimiter: {ONE_DOCUMENT}")
    if window.next_sign():
        raise window.problem(f"extra data: {ONE_DOCUMENT}")


@dataclass(slots=True)
class _Window:
    """The part of a text that is being read; what lies before it is forgotten but for its lines."""

    chunks: Iterator[str]
    place: str
    size: int
    text: str = ""
    position: int = 0
    lines_before: int = 0
    count: int = 0
    is_last: bool = False

    def grow(self, length: int) -> None:
        """Have *length* characters from the position on, unless the text ends before."""
        pieces = [self.text[self.position :]]
        self.lines_before += self.text.count("\n", 0, self.position)
        self.position = 0
        held = len(pieces[0])
        while held < length and not self.is_last:
            chunk = next(self.chunks, "")
            self.is_last = not chunk
            pieces.append(chunk)
            held += len(chunk)
        self.text = "".join(pieces)

    def skip_space(self) -> str:
        """Move to what is no space within the window, and return the window."""
        found = _SPACE.match(self.text, self.position)
        self.position = found.end() if found else self.position
        return self.text

    def next_sign(self) -> str:
        """Move to the next sign that is no space, and return it; empty at the end of the text."""
        self.skip_space()
        while self.position == len(self.text) and not self.is_last:
            self.grow(self.size)
            self.skip_space()
        return self.text[self.position : self.position + 1]

    def take_sign(self) -> str:
        """Return the next sign that is no space, and move behind it."""
        sign = self.next_sign()
        self.position += len(sign)
        return sign

    def take_object(self) -> JsonObject:
        """Return the object at the position, and move behind it."""
        self.next_sign()
        self.count += 1
        wanted = self.size
        while True:
            try:
                value, self.position = decode_at(self.text, self.position)
                break
            except JSONDecodeError as error:
                if self.is_last or not self._may_go_on(error):
                    self.position = error.pos
                    raise self.problem(f"{error.msg.lower()}: {ONE_DOCUMENT}") from None
                if len(self.text) - self.position > LARGEST_INPUT:
                    raise InputsError(
                        f"{self.place}:{self.line}: input {self.count} {_TOO_LARGE}"
                    ) from None
            except (ValueError, RecursionError) as error:
                raise InputsError(f"{self.place}:{self.line}: {reason_of(error)}") from None
            # What broke off may go on: the rest has not been read yet.
            self.grow(min(wanted, LARGEST_INPUT + 1))
            wanted *= 2
        return self._checked(value)

    def _may_go_on(self, error: JSONDecodeError) -> bool:
        """Tell whether it only breaks off here: what is wrong further up is no matter of length."""
        is_at_the_end = error.pos >= len(self.text) - _CUT_WITHIN
        return is_at_the_end or error.msg.startswith("Unterminated string")

    def _checked(self, value: Any) -> JsonObject:
        if flaw := flaw_of(value, may_be_broken=True):
            raise InputsError(f"{self.place}:{self.line}: input {self.count} {flaw}")
        checked: JsonObject = value
        return checked

    @property
    def line(self) -> int:
        """The line of the position."""
        return self.lines_before + self.text.count("\n", 0, self.position) + 1

    def problem(self, what: str) -> InputsError:
        """Return the error that the sign at the position is."""
        column = self.position - self.text.rfind("\n", 0, self.position)
        return InputsError(f"{self.place}:{self.line}:{column}: {what}")
