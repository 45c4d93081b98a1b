"""Inputs that come by HTTP: read, judged and made into bodies while they come, none held whole."""

import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject, StoredBody
from scheduler.domain.request import BodyTooLarge, BodyWriter, SendAs, Spool
from scheduler.inputs.bodies import write_body
from scheduler.inputs.csv_table import iter_csv
from scheduler.inputs.json_stream import iter_json
from scheduler.inputs.text import iter_chunks, iter_lines

_PLACE: Final = Path("the body")
_BUFFER: Final = 64 * 1024


def read_upload(
    pieces: Iterable[bytes],
    send_as: SendAs,
    spool: Spool,
    *,
    max_inputs_per_trigger: int | None = None,
    max_chunks: int,
) -> tuple[StoredBody, ...]:
    """
    Return what *pieces* come to: a body for each so many inputs, in order.

    JSON is an array of objects; all else is CSV with a header row. Raises InputsError with the line
    and the way out, InvalidInput where nothing can be sent, and what *pieces* raises; what was
    spooled until then is dropped.
    """
    made: list[StoredBody] = []
    columns: list[str] = []
    inputs = (one for _, one in _numbered(pieces, send_as, columns.extend))
    try:
        for first in inputs:
            if len(made) == max_chunks:
                raise InputsError(
                    f"more than {max_chunks} triggers of {max_inputs_per_trigger} inputs each"
                    " (max_inputs_per_trigger of the collector): send fewer at once"
                )
            writer = BodyWriter(send_as, columns=columns, spool=spool)
            few = _first(chain((first,), inputs), max_inputs_per_trigger)
            made.append(write_body(few, writer))
    except BaseException as error:
        drop(made, spool)
        if isinstance(error, BodyTooLarge):
            raise InputsError(f"{error}: set max_inputs_per_trigger of the collector") from None
        raise
    if not made:
        raise InputsError("the body holds no inputs: send at least one")
    return tuple(made)


def drop(bodies: Iterable[StoredBody], spool: Spool) -> None:
    """Forget the parts of these bodies."""
    for body in bodies:
        if body.parts is not None:
            spool.drop(body.parts)


def _numbered(
    pieces: Iterable[bytes], send_as: SendAs, tell_names: Callable[[list[str]], object]
) -> Iterator[tuple[int, JsonObject]]:
    raw = io.BufferedReader(_Stream(pieces), _BUFFER)
    if send_as is SendAs.JSON:
        yield from iter_json(iter_chunks(raw, _PLACE), str(_PLACE))
    else:
        yield from iter_csv(iter_lines(raw, _PLACE), str(_PLACE), tell_names=tell_names)


def _first(inputs: Iterator[JsonObject], most: int | None) -> Iterator[JsonObject]:
    for number, one in enumerate(inputs, 1):
        yield one
        if number == most:
            return


class _Stream(io.RawIOBase):
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        """Fill *buffer* whole, but at the end: whoever looks at the beginning sees enough of it."""
        filled = 0
        while filled < len(buffer):
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    break
            taken = min(len(self._rest), len(buffer) - filled)
            buffer[filled : filled + taken] = self._rest[:taken]
            self._rest = self._rest[taken:]
            filled += taken
        return filled
