"""Batches become bodies: read when a schedule is due, and again only if the batch has changed."""

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from scheduler.domain.errors import InputsError, SchedulerError
from scheduler.domain.records import Batch, StoredBody
from scheduler.domain.request import SendAs, render_body
from scheduler.inputs import parse_inputs, read_inputs

_Key = tuple[object, ...]

_MOST_KEPT_BYTES = 32 * 1024**2


@dataclass(slots=True)
class BatchReader:
    """
    Reads batches and remembers what it read, up to 32 MiB of bodies.

    A file counts as unchanged while its name, inode, size and time of change are.
    """

    _kept: OrderedDict[_Key, StoredBody] = field(default_factory=OrderedDict)

    def read(self, batch: Batch) -> StoredBody | SchedulerError:
        """Return the body that *batch* makes now, or why it makes none."""
        try:
            key = _key_of(batch)
            body = self._kept.get(key)
            if body is None:
                body = _render(batch)
                self._keep(key, body)
            self._kept.move_to_end(key) if key in self._kept else None
        except SchedulerError as error:
            return error
        return body

    def _keep(self, key: _Key, body: StoredBody) -> None:
        self._kept[key] = body
        total = sum(one.byte_count for one in self._kept.values())
        while total > _MOST_KEPT_BYTES and self._kept:
            total -= self._kept.popitem(last=False)[1].byte_count


def _key_of(batch: Batch) -> _Key:
    if batch.file is None:
        return (batch.inputs, batch.send_as)
    try:
        stat = Path(batch.file).stat()
    except OSError as error:
        raise InputsError(f"{batch.file}: {error.strerror}") from error
    return (batch.file, stat.st_ino, stat.st_size, stat.st_mtime_ns, batch.send_as)


def _render(batch: Batch) -> StoredBody:
    if batch.file is not None:
        inputs = read_inputs(Path(batch.file))
    else:
        inputs = parse_inputs(batch.inputs or "", place=f"batch {batch.name!r}")
    return render_body(inputs, SendAs(batch.send_as))
