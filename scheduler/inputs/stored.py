"""The inputs of a body that is stored, read again piece by piece."""

import csv
from collections.abc import Iterable, Iterator
from typing import Final

from scheduler.domain.records import JsonObject
from scheduler.domain.request import SendAs
from scheduler.inputs.json_stream import iter_json

# A field may hold a whole page; the csv module's own limit is 128 KiB.
_LONGEST_FIELD: Final = 2**31 - 1


def iter_stored(send_as: str, pieces: Iterable[str]) -> Iterator[JsonObject]:
    """Yield the inputs that a body of that kind and text holds; CSV has only text."""
    if send_as == SendAs.JSON:
        for _, one in iter_json(iter(pieces), "body"):
            yield one
        return
    csv.field_size_limit(_LONGEST_FIELD)
    yield from csv.DictReader(_lines(pieces))


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest
