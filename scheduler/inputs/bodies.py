"""From a batch to the bodies that it makes, one after the other: no more than one is held."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final

from scheduler.domain.batch import (
    DueTime,
    Parked,
    canary_size,
    fill_due_at,
    find_lack,
    input_digest,
    max_chunks_of,
    max_inputs_of,
    required_fields,
)
from scheduler.domain.errors import InputsError, InvalidInput
from scheduler.domain.records import Batch, JsonObject, StoredBody
from scheduler.domain.request import (
    MOST_BYTES,
    BodyTooLarge,
    BodyWriter,
    SendAs,
    Spool,
    render_body,
)
from scheduler.inputs.doubts import Warn
from scheduler.inputs.files import ANY_FILE, InputFiles, find_files
from scheduler.inputs.read import Located, iter_inputs, iter_parsed, not_empty

MOST_BODY_BYTES: Final = 64 * 1024**2
MOST_BODY_INPUTS: Final = 1_000_000


@dataclass(slots=True)
class LeaveOut:
    """The inputs that are parked, by their digests, and how many of them were met."""

    digests: Parked
    count: int = 0

    def meets(self, item: JsonObject) -> bool:
        """Tell whether *item* is parked, and count it."""
        is_parked = bool(self.digests) and input_digest(item) in self.digests
        self.count += is_parked
        return is_parked


class NoSpool:
    """Keeps nothing of a large body but its measures, for whoever asks only for these."""

    def begin(self) -> str:
        """Give a key that finds nothing."""
        return "not kept"

    def put(self, parts: str, number: int, text: str) -> None:
        """Let it go."""

    def drop(self, parts: str) -> None:
        """There is nothing."""


def iter_bodies(
    batch: Batch,
    due: DueTime | None,
    *,
    files: InputFiles = ANY_FILE,
    warn: Warn | None = None,
    spool: Spool | None = None,
    most_bytes: int | None = None,
    most_inputs: int = MOST_BODY_INPUTS,
    leave_out: LeaveOut | None = None,
) -> Iterator[StoredBody]:
    """
    Yield what *batch* makes now: a body for each `max_inputs_per_trigger` inputs, in order; the
    first has no more than its `canary`, of which a share is known only once all were counted.

    With a *spool* a large JSON body goes there in parts, and may be as large as the upstream takes.
    Any other is held in memory, 64 MiB at most: of CSV the columns are known only at the end.
    One body holds *most_inputs* at most. With `dedupe`, some 100 bytes are remembered of each
    input. Raises InputsError or InvalidInput with the way out; DueTimeNeeded if an input holds
    `{due_at…}` and *due* is None.
    """
    is_json = batch.send_as == SendAs.JSON
    if most_bytes is None:
        most_bytes = MOST_BYTES if is_json and spool is not None else MOST_BODY_BYTES
    canary = canary_size(batch, partial(_count, batch, due, files, leave_out))
    wanted = min(canary or MOST_BODY_INPUTS, batch.max_inputs_per_trigger or MOST_BODY_INPUTS)
    inputs = iter_sent(batch, due, files=files, warn=warn, leave_out=leave_out)
    for number, first in enumerate(inputs, 1):
        if number > max_chunks_of(batch):
            raise _above(batch, "max_chunks", max_chunks_of(batch), "triggers")
        most = wanted if number == 1 else batch.max_inputs_per_trigger
        limited = _Limited(batch, chain((first,), inputs), most_bytes, most_inputs, most)
        try:
            if is_json:
                writer = BodyWriter(SendAs.JSON, spool=spool, most_bytes=most_bytes)
                yield write_body(limited, writer)
            else:
                yield render_body(list(limited), SendAs(batch.send_as), most_bytes=most_bytes)
        except BodyTooLarge:
            raise limited.too_large() from None
        except InvalidInput as error:
            where = f"chunk {number}: " if batch.max_inputs_per_trigger is not None else ""
            raise InvalidInput(f"batch {batch.name!r}: {where}{error}") from None


def _count(batch: Batch, due: DueTime | None, files: InputFiles, leave_out: LeaveOut | None) -> int:
    parked = None if leave_out is None else LeaveOut(leave_out.digests)
    return sum(1 for _ in iter_sent(batch, due, files=files, leave_out=parked))


def write_body(inputs: Iterable[JsonObject], writer: BodyWriter) -> StoredBody:
    """Return the body of *inputs*; whatever they raise, nothing of it is left."""
    try:
        for item in inputs:
            writer.add(item)
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise


def iter_sent(
    batch: Batch,
    due: DueTime | None,
    *,
    files: InputFiles = ANY_FILE,
    warn: Warn | None = None,
    leave_out: LeaveOut | None = None,
) -> Iterator[JsonObject]:
    """
    Yield the inputs as they are sent: checked, without repeats, their due time filled in.

    Only *files* are read; what is doubtful in them is told to *warn*.
    """
    required = required_fields(batch)
    most = max_inputs_of(batch)
    count = 0
    seen: set[bytes] = set()
    for item in _iter_read(batch, files, warn):
        lack = find_lack(item.value, required)
        if lack is not None:
            raise InputsError(
                f"{item.place}: has no {lack!r}, which the batch requires: write one, or leave the"
                " input out"
            )
        try:
            filled = fill_due_at(item.value, due)
        except InvalidInput as error:
            raise InputsError(f"{item.place}: {error}") from None
        if batch.dedupe:
            digest = input_digest(filled)
            if digest in seen:
                continue
            seen.add(digest)
        if leave_out is not None and leave_out.meets(filled):
            continue
        count += 1
        if count > most:
            raise _above(batch, "max_inputs", most, "inputs")
        yield filled


def _iter_read(batch: Batch, files: InputFiles, warn: Warn | None) -> Iterator[Located]:
    if batch.file is None:
        place = f"batch {batch.name!r}"
        return not_empty(iter_parsed(batch.inputs or "", place=place, warn=warn), place)
    paths = find_files(batch.file)
    read = partial(iter_inputs, files=files, warn=warn)
    return not_empty(chain.from_iterable(map(read, paths)), batch.file)


@dataclass(slots=True)
class _Limited:
    """The inputs of one body; stops early, and raises, where they are too many for one."""

    batch: Batch
    inputs: Iterator[JsonObject]
    most_bytes: int
    most_inputs: int
    wanted: int | None
    count: int = 0

    def __iter__(self) -> Iterator[JsonObject]:
        length = 0
        for item in self.inputs:
            self.count += 1
            length += least_length(item)
            if length > self.most_bytes or self.count > self.most_inputs:
                raise self.too_large()
            yield item
            if self.count == self.wanted:
                break

    def too_large(self) -> InputsError:
        """Return the error that the inputs are, with the way out."""
        return _too_large(self.batch, self.count, self.most_bytes, self.most_inputs)


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


def _above(batch: Batch, key: str, most: int, what: str) -> InputsError:
    return InputsError(
        f"batch {batch.name!r} has more than {most} {what}, its {key}: is its file right? If so,"
        f" raise {key}"
    )


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
