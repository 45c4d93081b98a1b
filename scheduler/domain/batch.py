"""
What a batch asks of its inputs, and what they become: chunks, each of which is one trigger's.

A text in an input may hold `{due_at:%Y-%m-%d}`: the time its run was due, in the schedule's zone.
Only what begins with `{due_at` is looked at: all other braces are data, and stay.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final

from scheduler.domain.errors import InvalidInput, SchedulerError
from scheduler.domain.records import Batch, JsonObject, NewRun, RunState, StoredBody
from scheduler.domain.request import render_due_at
from scheduler.domain.timetable import find_zone

_PLACEHOLDER: Final = re.compile(r"\{due_at\b[^{}]*\}?")


@dataclass(frozen=True, slots=True)
class DueTime:
    """When a run was due, and the name of the zone in which that is told."""

    due_at: datetime
    zone: str


class DueTimeNeeded(Exception):
    """An input holds `{due_at…}`: what the batch comes to differs from one due time to the next."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    A body that a batch made; where that is stored already, only its measures are here.

    *written_at* is when the newest file of its batch was last written; *parked_count* inputs of
    the batch are left out.
    """

    fingerprint: str
    row_count: int
    body: StoredBody | None
    written_at: datetime | None = None
    parked_count: int = 0


class Dated(Enum):
    """Stands for what a batch comes to while no due time is given that it depends on."""

    DATED = "dated"


Parked = frozenset[bytes]
"""The digests of inputs that a schedule leaves out."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A batch to read, and for which due time; None where that makes no difference.

    Inputs whose digests are *parked* are left out.
    """

    batch: str
    due: DueTime | None = None
    parked: Parked = frozenset()


Chunks = tuple[Chunk, ...]
Reading = Chunks | SchedulerError | Dated
Readings = Mapping[Asked, Reading]


def find_chunks(
    readings: Readings, batch: str, due: DueTime, parked: Parked = frozenset()
) -> Chunks | SchedulerError | None:
    """Return what *batch* came to for *due*; None when that was not read."""
    reading = readings.get(Asked(batch, None, parked))
    if reading is Dated.DATED:
        reading = readings.get(Asked(batch, due, parked))
    return None if isinstance(reading, Dated) else reading


def list_unread(
    readings: Readings, batch: str, dues: Sequence[DueTime], parked: Parked = frozenset()
) -> list[Asked]:
    """Return what must be read before it is known what *batch* comes to for each of *dues*."""
    if not dues:
        return []
    undated = Asked(batch, None, parked)
    if undated not in readings:
        return [undated]
    if readings[undated] is not Dated.DATED:
        return []
    return [asked for due in dues if (asked := Asked(batch, due, parked)) not in readings]


def required_fields(batch: Batch) -> tuple[str, ...]:
    """Return the fields that every input of *batch* must have, as its row lists them."""
    return tuple(name.strip() for name in (batch.required or "").split(",") if name.strip())


_MOST_INPUTS: Final = 100_000
_MOST_PARTS: Final = 100


def max_inputs_of(batch: Batch) -> int:
    """Return how many inputs an occurrence of *batch* may send: each of them is paid."""
    return batch.max_inputs or _MOST_INPUTS


def max_chunks_of(batch: Batch) -> int:
    """Return how many runs an occurrence of *batch* may become."""
    return batch.max_chunks or _MOST_PARTS


_CANARY: Final = re.compile(r"([1-9][0-9]{0,8})|([1-9][0-9]?)%", re.ASCII)


def check_canary(text: str) -> None:
    """Raise InvalidInput for what is neither a number of inputs nor a share of them."""
    if _CANARY.fullmatch(text) is None:
        raise InvalidInput("must be a number of inputs, such as 50, or a share, such as 2%")


def canary_words(canary: str) -> str:
    """Say what it is, for whoever asks beforehand."""
    return f"canary = {canary}: so many inputs first, the others once these have ended well"


def canary_size(batch: Batch, count: Callable[[], int]) -> int | None:
    """Return how many inputs its canary has, *count* of them all; None without one."""
    if batch.canary is None:
        return None
    check_canary(batch.canary)
    number = int(batch.canary.rstrip("%"))
    return -(-count() * number // 100) if batch.canary.endswith("%") else number


def find_lack(row: JsonObject, required: Sequence[str]) -> str | None:
    """Return the first of *required* that *row* lacks, or has without a value."""
    for field in required:
        value = row.get(field)
        has_value = bool(value.strip()) if isinstance(value, str) else value not in (None, [], {})
        if not has_value:
            return field
    return None


def input_digest(row: JsonObject) -> bytes:
    """Return what is the same for equal inputs, whatever the order of their keys."""
    text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def fill_due_at(row: JsonObject, due: DueTime | None) -> JsonObject:
    """
    Return *row* with `{due_at:…}` filled in, in texts at any depth; keys stay as they are.

    Raises DueTimeNeeded when there is one and *due* is None, InvalidInput for a malformed one.
    """
    if not any(not isinstance(value, str) or "{due_at" in value for value in row.values()):
        return row
    return {key: _fill(value, due) for key, value in row.items()}


def _fill(value: Any, due: DueTime | None) -> Any:
    match value:
        case str() if "{due_at" in value:
            return _PLACEHOLDER.sub(lambda match: _render(match[0], due), value)
        case list():
            return [_fill(item, due) for item in value]
        case dict():
            return {key: _fill(item, due) for key, item in value.items()}
        case _:
            return value


def _render(placeholder: str, due: DueTime | None) -> str:
    if due is None:
        raise DueTimeNeeded
    if not placeholder.endswith("}"):
        raise InvalidInput(f"{placeholder[:40]!r}: the brace is not closed: write {{due_at:%Y-%m}}")
    return render_due_at(placeholder, due_at=due.due_at, zone=find_zone(due.zone))


def all_parked(batch: str, schedule: str) -> str:
    """Say that nothing of a batch is sent, for all its inputs are parked."""
    return (
        f"all inputs of batch {batch!r} are parked: see `dca-scheduler schedules parked {schedule}`"
    )


def change_problem(batch: Batch, count: int, last: int | None) -> str | None:
    """
    Return why *count* inputs are too far from the *last* ones sent; None when they are not.

    With nothing sent before, or without `max_change_percent`, any number is right.
    """
    allowed = batch.max_change_percent
    if allowed is None or not last or abs(count - last) * 100 <= allowed * last:
        return None
    percent = abs(count - last) * 100 / last
    is_split = batch.max_inputs_per_trigger is not None and count > batch.max_inputs_per_trigger
    by_hand = "" if is_split else ", or send it once by hand: the next is compared with that"
    return (
        f"batch {batch.name!r} has {count} inputs and the last run sent had {last}: {percent:.0f} %"
        f" {'more' if count > last else 'fewer'}, above max_change_percent = {allowed}: see"
        f" `dca-scheduler batches diff {batch.name}`; if that is right, raise it{by_hand}"
    )


def split_run(run: NewRun, chunks: Sequence[Chunk], *, has_canary: bool = False) -> list[NewRun]:
    """
    Return one run for each chunk, in order; a run that is not to be sent stays one.

    They share an order key, so that they go in that order: one of their own where *run* has none.
    With a canary the first goes alone. What comes after it waits for that one only, and has its
    misfire grace from its end on.
    """
    if run.state is not RunState.QUEUED:
        return [run]
    order_key = run.order_key
    if len(chunks) > 1 and order_key is None:
        order_key = f"occurrence:{run.schedule}/{run.due_at.isoformat()}"
    first, *others = [
        replace(run, body=chunk.fingerprint, chunk=number, chunks=len(chunks), order_key=order_key)
        for number, chunk in enumerate(chunks, 1)
    ]
    if has_canary:
        others = [
            replace(other, after_canary=True, send_before=None, waits_for=None, replaces=False)
            for other in others
        ]
    return [first, *others]
