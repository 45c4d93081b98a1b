"""Batches become bodies: read when a schedule is due, and again only if the batch has changed."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from scheduler.domain.batch import (
    Asked,
    Chunk,
    Chunks,
    Dated,
    DueTime,
    DueTimeNeeded,
    Parked,
    Reading,
)
from scheduler.domain.errors import InputsError, SchedulerError
from scheduler.domain.records import Batch, StoredBody
from scheduler.domain.request import Spool
from scheduler.inputs import (
    ANY_FILE,
    ChangedMeanwhile,
    InputFiles,
    LeaveOut,
    find_files,
    find_written_at,
    iter_bodies,
)

Store = Callable[[StoredBody], None]

InThread = Callable[[Callable[[], Reading]], Awaitable[Reading]]
"""Reads a file where nobody waits for the reading."""

_Key = tuple[object, ...]
_Wanted = tuple[Asked, Batch]

_MOST_KEPT_BYTES: Final = 32 * 1024**2
_LARGE_INLINE: Final = 256 * 1024
_ENTRY_BYTES: Final = 1024
_PATIENCE: Final = 0.2
_GIVES_UP_AFTER: Final = 600.0
_MOST_READINGS: Final = 3
_AT_ONCE: Final = 16


class _NotStored(Exception):
    """The database did not take a body: that is no fault of the batch."""


@dataclass(slots=True)
class BatchReader:
    """
    Reads batches in threads and remembers what it read, up to 32 MiB of bodies.

    A file counts as unchanged while its name, inode, size and times of change are. Files are
    read aside, each in a thread of its own: others go on after *patience* seconds, and after
    *gives_up_after* it is an error of that batch. Whatever a thread hangs on, nobody waits for it.
    """

    files: Callable[[], InputFiles] = lambda: ANY_FILE
    most_kept_bytes: int = _MOST_KEPT_BYTES
    patience: float = _PATIENCE
    gives_up_after: float = _GIVES_UP_AFTER
    in_thread: InThread | None = None
    _kept: OrderedDict[_Key, Chunks | Dated] = field(default_factory=OrderedDict)
    _kept_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _aside: dict[_Wanted, asyncio.Task[Reading]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    @property
    def is_busy(self) -> bool:
        """Tell whether something is still being read: ask again soon."""
        return bool(self._aside)

    async def read_all(
        self, wanted: Mapping[Asked, Batch], *, store: Store, spool: Spool | None = None
    ) -> dict[Asked, Reading]:
        """Return what is *wanted*, but for what is not read to its end yet."""
        small = {asked: batch for asked, batch in wanted.items() if _is_quick(batch)}
        aside = {each for each in wanted.items() if each[0] not in small}
        readings = self._list_kept(small)
        if unread := {asked: small[asked] for asked in small.keys() - readings.keys()}:
            readings |= await asyncio.to_thread(self._read_quick, unread, store)
        for asked, batch in aside - self._aside.keys():
            reading = self._read_aside(batch, asked, store, spool)
            self._aside[asked, batch] = asyncio.create_task(reading)
        if aside:
            await asyncio.wait([self._aside[each] for each in aside], timeout=self.patience)
        for each in [each for each, task in self._aside.items() if task.done()]:
            # One that is not wanted as it was read has been edited since.
            reading_of = self._aside.pop(each).result()
            if each in aside:
                readings[each[0]] = reading_of
        return readings

    async def _read_aside(
        self, batch: Batch, asked: Asked, store: Store, spool: Spool | None
    ) -> Reading:
        given_up = threading.Event()

        def store_while_wanted(body: StoredBody) -> None:
            if given_up.is_set():
                raise _NotStored
            store(body)

        try:
            async with self._slots, asyncio.timeout(self.gives_up_after):
                return await (self.in_thread or _in_thread)(
                    lambda: self.read(
                        batch, asked.due, parked=asked.parked, store=store_while_wanted, spool=spool
                    )
                )
        except TimeoutError:
            return InputsError(
                f"{batch.file}: was not read to its end in {self.gives_up_after:.0f} s:"
                " does its disk answer, and is it as large as it is meant to be?"
            )
        finally:
            given_up.set()

    def _list_kept(self, wanted: Mapping[Asked, Batch]) -> dict[Asked, Reading]:
        """Return what was read before: a thread costs a lone run more than all else of it."""
        kept = {
            asked: self._find((*_key_of(batch), asked.parked), asked.due)
            for asked, batch in wanted.items()
        }
        return {asked: reading for asked, reading in kept.items() if reading is not None}

    def _read_quick(self, wanted: Mapping[Asked, Batch], store: Store) -> dict[Asked, Reading]:
        return {
            asked: self.read(batch, asked.due, parked=asked.parked, store=store)
            for asked, batch in wanted.items()
        }

    def read(
        self,
        batch: Batch,
        due: DueTime | None,
        *,
        store: Store,
        spool: Spool | None = None,
        parked: Parked = frozenset(),
    ) -> Reading:
        """
        Return what *batch* makes now, or why it makes nothing; DATED if that depends on *due*.

        What comes to more than it keeps is handed to *store*, body by body, and is not held; one
        that is large goes to *spool* while it is made.
        """
        for _ in range(_MOST_READINGS):
            try:
                key = (*_key_of(batch), parked)
                if (kept := self._find(key, due)) is not None:
                    return kept
                asked = Asked(batch.name, due, parked)
                if (reading := self._read(asked, batch, store, spool)) is not None:
                    self._keep(key if reading is Dated.DATED else (*key, due), reading)
                    return reading
            except ChangedMeanwhile:
                continue
            except _NotStored as failed:
                raise failed.__cause__ or failed from None
            except SchedulerError as error:
                return error
            except Exception as error:  # whatever a file holds, it is this batch's problem alone
                return InputsError(
                    f"batch {batch.name!r} ({batch.file or 'inputs'}) cannot be read:"
                    f" {type(error).__name__}: is it what it is meant to be?"
                )
        return InputsError(
            f"{batch.file}: is changed while it is read: write it elsewhere, then rename it"
        )

    def _find(self, key: _Key, due: DueTime | None) -> Chunks | Dated | None:
        with self._lock:
            for name in ((*key, due), *([key] if due is None else [])):
                if name in self._kept:
                    self._kept.move_to_end(name)
                    return self._kept[name]
        return None

    def _keep(self, key: _Key, reading: Chunks | Dated) -> None:
        with self._lock:
            if _is_whole(reading) and key not in self._kept:
                self._kept[key] = reading
                self._kept_bytes += _size(reading)
            while self._kept_bytes > self.most_kept_bytes:
                self._kept_bytes -= _size(self._kept.popitem(last=False)[1])

    def _read(
        self, asked: Asked, batch: Batch, store: Store, spool: Spool | None
    ) -> Chunks | Dated | None:
        """Return what the batch comes to; None as soon as it is seen to change meanwhile."""
        key, leave_out = _key_of(batch), LeaveOut(asked.parked)
        chunks: list[Chunk] = []
        byte_count = 0
        written_at = None if batch.file is None else find_written_at(batch.file)
        try:
            for body in iter_bodies(
                batch, asked.due, files=self.files(), spool=spool, leave_out=leave_out
            ):
                chunks.append(Chunk(body.fingerprint, body.row_count, body, written_at))
                byte_count += body.byte_count
                if byte_count > self.most_kept_bytes or body.parts is not None:
                    chunks[:] = [_stored(chunk, store) for chunk in chunks]
                if _key_of(batch) != key:
                    return None
        except DueTimeNeeded:
            return Dated.DATED
        return tuple(replace(chunk, parked_count=leave_out.count) for chunk in chunks)


async def _in_thread(read: Callable[[], Reading]) -> Reading:
    """Run *read* in a thread that the end of the process does not wait for."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Reading] = loop.create_future()

    def settle(reading: Reading | None, error: BaseException | None) -> None:
        if result.done():
            return  # given up
        if error is not None:
            result.set_exception(error)
        elif reading is not None:
            result.set_result(reading)

    def run() -> None:
        reading, failure = None, None
        try:
            reading = read()
        except BaseException as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, reading, failure)

    threading.Thread(target=run, daemon=True, name="batch").start()
    return await result


def _is_quick(batch: Batch) -> bool:
    return batch.file is None and len(batch.inputs or "") < _LARGE_INLINE


def _key_of(batch: Batch) -> _Key:
    rules = (
        *(batch.send_as, batch.dedupe, batch.required),
        *(batch.max_inputs_per_trigger, batch.max_inputs, batch.max_chunks, batch.canary),
    )
    if batch.file is None:
        return (batch.inputs, *rules)
    return (*map(_key_of_file, find_files(batch.file)), *rules)


def _key_of_file(file: Path) -> _Key:
    try:
        stat = file.stat()
    except OSError as error:
        raise InputsError(f"{file}: {error.strerror}") from error
    except ValueError as error:  # no name that a file can have
        raise InputsError(f"file {str(file)!r}: {error}") from error
    return (str(file), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _stored(chunk: Chunk, store: Store) -> Chunk:
    if chunk.body is None:
        return chunk
    try:
        store(chunk.body)
    except Exception as error:
        raise _NotStored from error
    return replace(chunk, body=None)


def _is_whole(reading: Chunks | Dated) -> bool:
    return isinstance(reading, Dated) or all(chunk.body is not None for chunk in reading)


def _size(reading: Chunks | Dated) -> int:
    bodies = () if isinstance(reading, Dated) else reading
    return _ENTRY_BYTES + sum(chunk.body.byte_count for chunk in bodies if chunk.body is not None)
