"""Batches become bodies: read when a schedule is due, and again only if the batch has changed."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scheduler.domain.batch import Asked, Dated, DueTime, DueTimeNeeded, Part, Parts, Reading
from scheduler.domain.errors import InputsError, InvalidInput
from scheduler.domain.records import Batch, StoredBody
from scheduler.inputs import find_files, iter_bodies

Store = Callable[[StoredBody], None]

_Key = tuple[object, ...]
_Wanted = tuple[Asked, Batch]

_MOST_KEPT_BYTES: Final = 32 * 1024**2
_LARGE_FILE_BYTES: Final = 8 * 1024**2
_ENTRY_BYTES: Final = 1024
_PATIENCE: Final = 0.2
_MOST_READINGS: Final = 3


@dataclass(slots=True)
class BatchReader:
    """
    Reads batches in threads and remembers what it read, up to 32 MiB of bodies.

    A file counts as unchanged while its name, inode, size and time of change are. Large ones are
    read aside, while others go on after *patience* seconds.
    """

    most_kept_bytes: int = _MOST_KEPT_BYTES
    patience: float = _PATIENCE
    _kept: OrderedDict[_Key, Parts | Dated] = field(default_factory=OrderedDict)
    _kept_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _aside: dict[_Wanted, asyncio.Task[Reading]] = field(default_factory=dict)

    @property
    def is_busy(self) -> bool:
        """Tell whether something large is still being read: ask again soon."""
        return bool(self._aside)

    async def read_all(
        self, wanted: Mapping[Asked, Batch], *, store: Store
    ) -> dict[Asked, Reading]:
        """Return what is *wanted*, but for large files that are not read to their end yet."""
        found, large = await asyncio.to_thread(self._read_small, wanted, store)
        for one in large - self._aside.keys():
            asked, batch = one
            self._aside[one] = asyncio.create_task(self._read_aside(batch, asked.due, store))
        if large:
            await asyncio.wait([self._aside[one] for one in large], timeout=self.patience)
        for one in [one for one, task in self._aside.items() if task.done()]:
            # One that is not wanted as it was read has been edited since.
            reading_of = self._aside.pop(one).result()
            if one in large:
                found[one[0]] = reading_of
        return found

    async def _read_aside(self, batch: Batch, due: DueTime | None, store: Store) -> Reading:
        given_up = threading.Event()

        def store_while_wanted(body: StoredBody) -> None:
            if given_up.is_set():
                raise asyncio.CancelledError
            store(body)

        try:
            return await asyncio.to_thread(self.read, batch, due, store=store_while_wanted)
        finally:
            # A thread cannot be cancelled, and whoever stops the daemon would wait for its end.
            given_up.set()

    def _read_small(
        self, wanted: Mapping[Asked, Batch], store: Store
    ) -> tuple[dict[Asked, Reading], set[_Wanted]]:
        """Read what is not large; return the rest beside it."""
        found: dict[Asked, Reading] = {}
        large: set[_Wanted] = set()
        for asked, batch in wanted.items():
            if _is_large(batch):
                large.add((asked, batch))
            else:
                found[asked] = self.read(batch, asked.due, store=store)
        return found, large

    def read(self, batch: Batch, due: DueTime | None, *, store: Store) -> Reading:
        """
        Return what *batch* makes now, or why it makes nothing; DATED if that depends on *due*.

        What comes to more than it keeps is handed to *store*, body by body, and is not held.
        """
        try:
            for _ in range(_MOST_READINGS):
                key = _key_of(batch)
                if (known := self._find(key, due)) is not None:
                    return known
                if (found := self._read(batch, due, store, key)) is not None:
                    self._keep(key if found is Dated.DATED else (*key, due), found)
                    return found
        except (InputsError, InvalidInput) as error:
            return error
        except ValueError as error:  # no name that a file can have
            return InputsError(f"file {batch.file!r}: {error}")
        return InputsError(
            f"{batch.file}: is changed while it is read: write it elsewhere, then rename it"
        )

    def _find(self, key: _Key, due: DueTime | None) -> Parts | Dated | None:
        with self._lock:
            for known in ((*key, due), *([key] if due is None else [])):
                if known in self._kept:
                    self._kept.move_to_end(known)
                    return self._kept[known]
        return None

    def _keep(self, key: _Key, found: Parts | Dated) -> None:
        with self._lock:
            if _is_whole(found) and key not in self._kept:
                self._kept[key] = found
                self._kept_bytes += _size(found)
            while self._kept_bytes > self.most_kept_bytes:
                self._kept_bytes -= _size(self._kept.popitem(last=False)[1])

    def _read(
        self, batch: Batch, due: DueTime | None, store: Store, key: _Key
    ) -> Parts | Dated | None:
        """Return what the batch comes to; None as soon as it is seen to change meanwhile."""
        parts: list[Part] = []
        held = 0
        try:
            for body in iter_bodies(batch, due):
                parts.append(Part(body.fingerprint, body.row_count, body))
                held += body.byte_count
                if held > self.most_kept_bytes:
                    parts[:] = [_stored(part, store) for part in parts]
                if _key_of(batch) != key:
                    return None
        except DueTimeNeeded:
            return Dated.DATED
        return tuple(parts)


def _key_of(batch: Batch) -> _Key:
    rules = (batch.send_as, batch.dedupe, batch.max_inputs_per_trigger, batch.required)
    if batch.file is None:
        return (batch.inputs, *rules)
    return (*map(_key_of_file, find_files(batch.file)), *rules)


def _key_of_file(file: Path) -> _Key:
    try:
        stat = file.stat()
    except OSError as error:
        raise InputsError(f"{file}: {error.strerror}") from error
    return (str(file), stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _is_large(batch: Batch) -> bool:
    try:
        files = [] if batch.file is None else find_files(batch.file)
        return sum(file.stat().st_size for file in files) > _LARGE_FILE_BYTES
    except (InputsError, OSError, ValueError):
        return False  # reading it says why


def _stored(part: Part, store: Store) -> Part:
    if part.body is None:
        return part
    store(part.body)
    return Part(part.fingerprint, part.row_count, None)


def _is_whole(found: Parts | Dated) -> bool:
    return isinstance(found, Dated) or all(part.body is not None for part in found)


def _size(found: Parts | Dated) -> int:
    bodies = () if isinstance(found, Dated) else found
    return _ENTRY_BYTES + sum(part.body.byte_count for part in bodies if part.body is not None)
