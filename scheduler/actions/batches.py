"""What a person can do with batches: import a file as one, see what it would send, compare it."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from scheduler.domain.batch import DueTime, input_digest
from scheduler.domain.errors import Conflict, InputsError, InvalidInput, NotFound
from scheduler.domain.records import Batch, JsonObject, Origin, Run, StoredBody
from scheduler.domain.request import SendAs, body_inputs
from scheduler.inputs import MOST_BODY_BYTES, iter_bodies, iter_inputs, iter_sent, least_length
from scheduler.storage import audit, definitions, owned, runs, schedules, sent
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce

_SAMPLES: Final = 5

Source = Callable[[], Iterable[StoredBody]]


def import_batch(
    conn: Connection,
    name: str,
    file: Path,
    *,
    send_as: SendAs,
    by: str,
    now: datetime,
    overwrite: bool = False,
) -> int:
    """
    Make a batch of the inputs that *file* holds now, kept in the database; return how many.

    It belongs to the database: `apply` never touches it. With *overwrite* an earlier one of that
    name gets these inputs and keeps its other columns; nothing fires because of it.
    """
    if not name.isprintable() or name != name.strip() or not name:
        raise InvalidInput(f"{name!r} is no name: use printable characters, no space around them")
    inputs = _take_all(file)
    columns = {"file": None, "inputs": json.dumps(inputs, ensure_ascii=False), "send_as": send_as}
    held = owned.list_rows(conn, "batches", hold=True).get(name)
    if held is None:
        owned.create_row(conn, "batches", {"name": name, "origin": Origin.DATABASE, **columns})
    elif held["origin"] == Origin.FILE:
        raise Conflict(f"batch {name!r} belongs to the configuration file: edit it there")
    elif not overwrite:
        raise Conflict(f"there is a batch {name!r} already: say --replace to give it these inputs")
    else:
        owned.update_row(conn, "batches", name, columns)
    told = {"inputs": (None if held is None else "…", f"{len(inputs)} from {file.name}")}
    audit.record_change(
        conn, who=by, action="import", subject=f"batches.{name}", columns=told, now=now
    )
    announce(conn)
    return len(inputs)


def _take_all(file: Path) -> list[JsonObject]:
    inputs: list[JsonObject] = []
    length = 0
    for one in iter_inputs(file):
        inputs.append(one.value)
        length += least_length(one.value)
        if length > MOST_BODY_BYTES:
            raise InputsError(
                f"{file}: is too large to be kept in the database: name it as `file` of a batch"
            )
    if not inputs:
        raise InputsError(f"{file}: holds no inputs: write at least one")
    return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """
    What a batch would send at *due*: *first* are its first inputs, *parts* its triggers.

    *duplicates* is how many inputs `dedupe` drops; None without it.
    """

    batch: Batch
    due: DueTime
    count: int
    duplicates: int | None
    byte_count: int
    parts: int
    fingerprint: str
    first: list[JsonObject]


def show_batch(conn: Connection, name: str, *, limit: int, now: datetime) -> BatchView:
    """Read a batch as it would be sent now; raises NotFound, InputsError or InvalidInput."""
    batch = definitions.get_batch(conn, name)
    due = _due(conn, name, now)
    count = byte_count = 0
    fingerprints: list[str] = []
    first: list[JsonObject] = []
    for body in iter_bodies(batch, due):
        count += body.row_count
        byte_count += body.byte_count
        fingerprints.append(body.fingerprint)
        if len(first) < limit:
            first += body_inputs(body)[: limit - len(first)]
    return BatchView(
        batch=batch,
        due=due,
        count=count,
        duplicates=_count_all(batch, due) - count if batch.dedupe else None,
        byte_count=byte_count,
        parts=len(fingerprints),
        fingerprint=_joint_fingerprint(fingerprints),
        first=first,
    )


def _count_all(batch: Batch, due: DueTime) -> int:
    return sum(1 for _ in iter_sent(replace(batch, dedupe=False), due))


def _due(conn: Connection, name: str, now: datetime) -> DueTime:
    """Return *now* in the zone of the batch's schedules, if they have one in common; else UTC."""
    zones = {one.timezone for one in schedules.list_schedules(conn) if one.batch == name}
    return DueTime(now, zones.pop() if len(zones) == 1 else "UTC")


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
    before: int
    after: int
    added: int
    removed: int
    new: list[JsonObject]
    gone: list[JsonObject]

    @property
    def is_empty(self) -> bool:
        """Tell whether the same inputs would be sent again."""
        return not self.added and not self.removed


def diff_batch(
    conn: Connection,
    name: str,
    *,
    run_id: int | None = None,
    file: Path | None = None,
    now: datetime,
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
        before = partial(iter_bodies, replace(batch, file=str(file), inputs=None), due)
    else:
        run = _run_to_compare(conn, name, run_id)
        against = f"run {run.id}, due {run.due_at:%Y-%m-%d %H:%M:%SZ}"
        due = DueTime(run.due_at, _zone_of(conn, run))
        before = partial(_bodies_of, conn, run)
    return _compare(against, before, partial(iter_bodies, batch, due))


def _run_to_compare(conn: Connection, name: str, run_id: int | None) -> Run:
    run = sent.find_last_sent(conn, name) if run_id is None else runs.get_run(conn, run_id)
    if run is None:
        raise NotFound(f"nothing of batch {name!r} was sent yet: name a --run or a --file")
    if run.body is None:
        raise Conflict(f"run {run.id} has no inputs: it was {run.state}, {run.reason}")
    return run


def _zone_of(conn: Connection, run: Run) -> str:
    known = {one.name: one.timezone for one in schedules.list_schedules(conn)}
    return known.get(run.schedule or "", "UTC")


def _bodies_of(conn: Connection, run: Run) -> Iterator[StoredBody]:
    for part in sent.list_parts(conn, run):
        if part.body is not None:
            yield definitions.get_body(conn, part.body)


def _compare(against: str, before: Source, after: Source) -> BatchDiff:
    left: Counter[bytes] = Counter(map(input_digest, _inputs_of(before)))
    total_before = left.total()
    total_after = added = 0
    new: list[JsonObject] = []
    for one in _inputs_of(after):
        total_after += 1
        digest = input_digest(one)
        if left[digest] > 0:
            left[digest] -= 1
            continue
        added += 1
        if len(new) < _SAMPLES:
            new.append(one)
    return BatchDiff(
        against=against,
        before=total_before,
        after=total_after,
        added=added,
        removed=left.total(),
        new=new,
        gone=list(islice(_take_left(_inputs_of(before), left), _SAMPLES)),
    )


def _take_left(inputs: Iterator[JsonObject], left: Counter[bytes]) -> Iterator[JsonObject]:
    if not left.total():
        return
    for one in inputs:
        digest = input_digest(one)
        if left[digest] > 0:
            left[digest] -= 1
            yield one


def _inputs_of(source: Source) -> Iterator[JsonObject]:
    for body in source():
        yield from body_inputs(body)
