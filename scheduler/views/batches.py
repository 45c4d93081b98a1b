"""Batches: as they are stored, what each would send now, and how that differs from before."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from scheduler.domain.batch import DueTime, input_digest, max_chunks_of, max_inputs_of
from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.records import Batch, JsonObject, Run
from scheduler.domain.request import SendAs, body_inputs
from scheduler.domain.timestamps import display_time
from scheduler.inputs import ANY_FILE, InputFiles, NoSpool, iter_bodies, iter_sent, iter_stored
from scheduler.storage import definitions, runs, schedules
from scheduler.storage.body_parts import iter_text
from scheduler.storage.database import Connection
from scheduler.storage.runs import sent
from scheduler.views.decoding import read_json, view
from scheduler.views.page import Page, by_name, page_of

_SAMPLES: Final = 5

Source = Callable[[], Iterator[JsonObject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRules:
    """Where a batch's inputs are, and how they are sent."""

    name: str
    file: str | None
    send_as: str
    dedupe: bool
    max_inputs_per_trigger: int | None
    required: tuple[str, ...]
    max_change_percent: int | None
    max_inputs: int
    max_chunks: int
    canary: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView(BatchRules):
    """A named list of inputs: those of a file, or *inputs* that the database holds."""

    inputs: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSummary(BatchRules):
    """
    A batch without its inputs; *input_bytes* is how long those are that the database holds.

    *changed_at* is when its definition changed last, as far as is known; *used_by_count* is how
    many schedules use it.
    """

    input_bytes: int | None
    changed_at: datetime | None
    used_by_count: int


def page_batches(conn: Connection, *, limit: int, after: str | None = None) -> Page[BatchSummary]:
    """Return a page of the batches by name, those *after* a name; no inputs are read."""
    rows = definitions.list_batch_rules(conn, limit=limit + 1, after=after)
    return page_of([_summary(*row) for row in rows], limit=limit, key=by_name)


def find_summary(conn: Connection, name: str) -> BatchSummary | None:
    """Return the batch of that name, if there is one; no inputs are read."""
    rows = definitions.list_batch_rules(conn, limit=1, name=name)
    return _summary(*rows[0]) if rows else None


def _summary(batch: Batch, besides: dict[str, Any]) -> BatchSummary:
    return view(BatchSummary, batch, **besides, **_ceilings(batch))


def count_batches(conn: Connection) -> int:
    """Return how many batches there are."""
    return definitions.count_batches(conn)


def get_batch(conn: Connection, name: str) -> BatchView:
    """Return the batch of that name; raises NotFound."""
    return _batch_view(definitions.get_batch(conn, name))


def list_batches(conn: Connection) -> tuple[BatchView, ...]:
    """Return every batch, by name."""
    return tuple(map(_batch_view, definitions.list_batches(conn)))


def _batch_view(batch: Batch) -> BatchView:
    return view(BatchView, batch, inputs=read_json(batch.inputs), **_ceilings(batch))


def _ceilings(batch: Batch) -> dict[str, int]:
    return {"max_inputs": max_inputs_of(batch), "max_chunks": max_chunks_of(batch)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContents(BatchRules):
    """
    What a batch would send now, by so many triggers: *first* are its first inputs.

    *duplicates_dropped* is how many inputs `dedupe` drops; None without it. *warnings* say what in
    them is hardly meant.
    """

    input_count: int
    duplicates_dropped: int | None
    byte_count: int
    trigger_count: int
    fingerprint: str
    first: list[JsonObject]
    warnings: list[str]


def show_batch(
    conn: Connection, name: str, *, limit: int, now: datetime, files: InputFiles = ANY_FILE
) -> BatchContents:
    """Read a batch as it would be sent now; raises NotFound, InputsError or InvalidInput."""
    batch = definitions.get_batch(conn, name)
    due = _due(conn, name, now)
    count = byte_count = 0
    fingerprints: list[str] = []
    first: list[JsonObject] = []
    warnings: list[str] = []
    spool = NoSpool()
    for body in iter_bodies(batch, due, files=files, warn=warnings.append, spool=spool):
        count += body.row_count
        byte_count += body.byte_count
        fingerprints.append(body.fingerprint)
        if len(first) < limit and body.parts is None:
            first += body_inputs(body)[: limit - len(first)]
    # Of a large body nothing is kept but its measures.
    if len(first) < min(limit, count):
        first = list(islice(iter_sent(batch, due, files=files), limit))
    return view(
        BatchContents,
        batch,
        **_ceilings(batch),
        input_count=count,
        duplicates_dropped=_count_all(batch, due, files) - count if batch.dedupe else None,
        byte_count=byte_count,
        trigger_count=len(fingerprints),
        fingerprint=_joint_fingerprint(fingerprints),
        first=first,
        warnings=warnings,
    )


def _count_all(batch: Batch, due: DueTime, files: InputFiles) -> int:
    return sum(1 for _ in iter_sent(replace(batch, dedupe=False), due, files=files))


def _due(conn: Connection, name: str, now: datetime) -> DueTime:
    """Return *now* in the zone of the batch's schedules, if they have one in common; else UTC."""
    zones = schedules.list_zones(conn, batch=name)
    return DueTime(now, zones[0] if len(zones) == 1 else "UTC")


def _joint_fingerprint(fingerprints: list[str]) -> str:
    if len(fingerprints) == 1:
        return fingerprints[0]
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDiff:
    """
    How the inputs differ from those of *against*: how many are new, gone, and there in both.

    Order does not count; an input that is there twice counts twice. *new* and *gone* are samples.
    """

    against: str
    old_count: int
    new_count: int
    added_count: int
    removed_count: int
    new: list[JsonObject]
    gone: list[JsonObject]

    @property
    def is_empty(self) -> bool:
        """Tell whether the same inputs would be sent again."""
        return not self.added_count and not self.removed_count


def diff_batch(
    conn: Connection,
    name: str,
    *,
    run_id: int | None = None,
    file: Path | None = None,
    now: datetime,
    files: InputFiles = ANY_FILE,
) -> BatchDiff:
    """
    Compare what a batch holds now with what was last sent of it, or by a run, or with a file.

    What depends on the due time is told for that of the run it is compared with.
    """
    batch = definitions.get_batch(conn, name)
    due = _due(conn, name, now)
    before: Source
    if file is not None:
        against = str(file)
        named = replace(files, roots=None)
        before = partial(_now_in, replace(batch, file=str(file), inputs=None), due, files=named)
    else:
        run = _run_to_compare(conn, name, run_id)
        against = f"run {run.id}, due {display_time(run.due_at)}"
        due = DueTime(run.due_at, _zone_of(conn, run))
        before = partial(_sent_in, conn, run)
    return _compare(against, before, partial(_now_in, batch, due, files=files))


def _run_to_compare(conn: Connection, name: str, run_id: int | None) -> Run:
    run = sent.find_last_sent(conn, name) if run_id is None else runs.get_run(conn, run_id)
    if run is None:
        raise NotFound(f"nothing of batch {name!r} was sent yet: name a --run or a --file")
    if run.body is None:
        raise Conflict(f"run {run.id} has no inputs: it was {run.state}, {run.reason}")
    return run


def _zone_of(conn: Connection, run: Run) -> str:
    known = {schedule.name: schedule.timezone for schedule in schedules.list_schedules(conn)}
    return known.get(run.schedule or "", "UTC")


def _sent_in(conn: Connection, run: Run) -> Iterator[JsonObject]:
    for chunk in sent.list_chunks(conn, run):
        if chunk.body is not None:
            body = definitions.get_body(conn, chunk.body)
            yield from iter_stored(body.send_as, iter_text(conn, body))


def _now_in(batch: Batch, due: DueTime, files: InputFiles) -> Iterator[JsonObject]:
    """Yield the inputs as a body holds them: in CSV every value has become text."""
    if batch.send_as == SendAs.JSON:
        yield from iter_sent(batch, due, files=files)
        return
    for body in iter_bodies(batch, due, files=files):
        yield from body_inputs(body)


def _compare(against: str, before: Source, after: Source) -> BatchDiff:
    left: Counter[bytes] = Counter(map(input_digest, before()))
    total_before = left.total()
    total_after = added = 0
    new: list[JsonObject] = []
    for item in after():
        total_after += 1
        digest = input_digest(item)
        if left[digest] > 0:
            left[digest] -= 1
            continue
        added += 1
        if len(new) < _SAMPLES:
            new.append(item)
    return BatchDiff(
        against=against,
        old_count=total_before,
        new_count=total_after,
        added_count=added,
        removed_count=left.total(),
        new=new,
        gone=list(islice(_take_left(before(), left), _SAMPLES)),
    )


def _take_left(inputs: Iterator[JsonObject], left: Counter[bytes]) -> Iterator[JsonObject]:
    if not left.total():
        return
    for item in inputs:
        digest = input_digest(item)
        if left[digest] > 0:
            left[digest] -= 1
            yield item
