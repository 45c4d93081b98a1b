"""From a batch to the bodies that it makes, one after the other: no more than one is held."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from scheduler.domain.batch import DueTime, fill_due_at, find_lack, input_digest, required_fields
from scheduler.domain.errors import InputsError, InvalidInput
from scheduler.domain.records import Batch, JsonObject, StoredBody
from scheduler.domain.request import SendAs, render_body
from scheduler.inputs.read import Located, find_files, iter_inputs, iter_parsed, not_empty

MOST_BODY_BYTES: Final = 64 * 1024**2
MOST_BODY_INPUTS: Final = 1_000_000


def iter_bodies(
    batch: Batch,
    due: DueTime | None,
    *,
    most_bytes: int = MOST_BODY_BYTES,
    most_inputs: int = MOST_BODY_INPUTS,
) -> Iterator[StoredBody]:
    """
    Yield what *batch* makes now: a body for each `max_inputs_per_trigger` inputs, in order.

    One body holds *most_bytes* and *most_inputs* at most: it is kept in the database and in
    memory. With `dedupe`, some 100 bytes are remembered of each input. Raises InputsError or
    InvalidInput with the way out; DueTimeNeeded if an input holds `{due_at…}` and *due* is None.
    """
    inputs = iter_sent(batch, due)
    for number, first in enumerate(inputs, 1):
        part = _take_part(batch, chain((first,), inputs), most_bytes, most_inputs)
        try:
            body = render_body(part, SendAs(batch.send_as))
        except InvalidInput as error:
            where = f"part {number}: " if batch.max_inputs_per_trigger is not None else ""
            raise InvalidInput(f"batch {batch.name!r}: {where}{error}") from None
        if body.byte_count > most_bytes:
            raise _too_large(batch, len(part), most_bytes, most_inputs)
        del part  # it is larger than what it became
        yield body


def iter_sent(batch: Batch, due: DueTime | None) -> Iterator[JsonObject]:
    """Yield the inputs as they are sent: checked, without repeats, their due time filled in."""
    required = required_fields(batch)
    seen: set[bytes] = set()
    for one in _iter_read(batch):
        lack = find_lack(one.value, required)
        if lack is not None:
            raise InputsError(
                f"{one.place}: has no {lack!r}, which the batch requires: write one, or leave the"
                " input out"
            )
        try:
            filled = fill_due_at(one.value, due)
        except InvalidInput as error:
            raise InputsError(f"{one.place}: {error}") from None
        if batch.dedupe:
            digest = input_digest(filled)
            if digest in seen:
                continue
            seen.add(digest)
        yield filled


def _iter_read(batch: Batch) -> Iterator[Located]:
    if batch.file is None:
        place = f"batch {batch.name!r}"
        return not_empty(iter_parsed(batch.inputs or "", place=place), place)
    files = find_files(batch.file)
    return not_empty(chain.from_iterable(map(iter_inputs, files)), batch.file)


def _take_part(
    batch: Batch, inputs: Iterator[JsonObject], most_bytes: int, most_inputs: int
) -> list[JsonObject]:
    """Take the inputs of one body; stops early, and raises, where they are too many for one."""
    wanted = batch.max_inputs_per_trigger
    part: list[JsonObject] = []
    length = 0
    for one in inputs:
        part.append(one)
        length += least_length(one)
        if length > most_bytes or len(part) > most_inputs:
            raise _too_large(batch, len(part), most_bytes, most_inputs)
        if len(part) == wanted:
            break
    return part


def least_length(value: Any) -> int:
    """Return how many characters *value* has at least when it is sent, whatever it is sent as."""
    match value:
        case str():
            return len(value) + 1
        case dict():
            return sum(map(least_length, value.values()))
        case list():
            return sum(map(least_length, value)) + 1
        case _:
            return 1


def _too_large(batch: Batch, count: int, most_bytes: int, most_inputs: int) -> InputsError:
    size = f"{most_bytes // 1024**2} MiB"
    wanted = batch.max_inputs_per_trigger
    if count == 1:
        return InputsError(f"batch {batch.name!r}: one of its inputs is larger than {size}")
    if wanted is None:
        advice = f"set max_inputs_per_trigger, such as {10 ** (len(str(count - 1)) - 1)}"
    else:
        advice = f"lower max_inputs_per_trigger (it is {wanted})"
    return InputsError(
        f"batch {batch.name!r}: one trigger would have more than {size} or {most_inputs} inputs:"
        f" {advice}, and they go in several, one after the other"
    )
