"""Results of runs that ended well are downloaded, and saved to files: each once."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, assert_never

import structlog

from scheduler.clock import Clock
from scheduler.domain.answers import Done, DownloadAnswer, Gone, NotReady, Refused, Unanswered
from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import Account
from scheduler.domain.results import NotSaved, ResultPath, ResultReason, is_too_short, next_attempt
from scheduler.domain.timestamps import iso_time
from scheduler.engine.accounts import Upstreams
from scheduler.engine.hooks import tell_end
from scheduler.engine.loop import Wake
from scheduler.engine.rate_limiter import Feedback, feedback_of_answer, open_limiter
from scheduler.engine.result_file import ResultFile, not_saved
from scheduler.engine.result_object import NO_EXTRA, NoStore, ResultObject, has_extra, spool_folder
from scheduler.engine.result_rows import NotBuilt, ResultWriter, Unreadable
from scheduler.engine.tuning import REMOVED_AT_ONCE, SAVED_AT_ONCE
from scheduler.storage import accounts, collections_, results
from scheduler.storage.database import Connection, Database
from scheduler.storage.results import Place, Result

log = structlog.get_logger()

LEASE: Final = timedelta(minutes=1)
"""So long after its last sign of life a daemon's download is another's."""

_RENEWED_EVERY: Final = 15.0
_FED_AT_ONCE: Final = 256 * 1024

Folder = Callable[[], Path | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    result: Result
    account: Account
    lines: int | None


class _Lost(Exception):
    """The claim is another's by now."""

    def __str__(self) -> str:
        """Say so."""
        return "its lease has ended"


@dataclass(slots=True, kw_only=True)
class _Download:
    """What one download has come to."""

    writer: ResultWriter
    taken: int = 0
    error: Exception | None = None
    waiting: bytearray = field(default_factory=bytearray)

    async def take(self, piece: bytes) -> None:
        """Take a piece; the disk is waited for by a thread."""
        self.taken += len(piece)
        self.waiting += piece
        if len(self.waiting) < _FED_AT_ONCE:
            return
        content, self.waiting = bytes(self.waiting), bytearray()
        try:
            await asyncio.to_thread(self.writer.write, content)
        except Exception as error:
            self.error = error
            raise OSError("what came is not written") from None  # it ends the exchange


@dataclass(slots=True, kw_only=True)
class SaveStep:
    """
    Save the results that are due, and remove files whose time is over.

    1. One transaction takes results of each account, under its limiter: a lease on a row.
    2. A task downloads each into a file beside, while it keeps the lease; threads write.
    3. What the file holds is written down before it gets its name, and the marker comes last.

    Killed at any moment the next claim either finds nothing by that name and begins anew, or finds
    what was written down, and marks it: no file is written twice, none is overwritten.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    host: str
    folder: Folder
    stalled_after: timedelta
    wake: Wake
    _saving: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _accepting: bool = True

    async def run(self, now: datetime) -> datetime | None:
        """Begin what is due; return when more is."""
        root = self.folder()
        is_of = self._is_ours(root)
        if is_of not in (Place.OBJECTS, Place.ALL):
            await self._tell_no_extra(now)
        if is_of is None or not self._accepting:
            return None
        await self._remove_old(root, now)
        due = await self.db.read(partial(results.find_next, of=is_of))
        room = SAVED_AT_ONCE - len(self._saving)
        if due is None or due > now or room <= 0:
            return due if room > 0 else None
        for work in await self.db.write(partial(self._claim, of=is_of, room=room, now=now)):
            task = asyncio.create_task(self._save(root, work), name=f"save {work.result.run_id}")
            self._saving[work.result.run_id] = task
        return None  # an end wakes it, else the loop comes again by itself

    async def _tell_no_extra(self, now: datetime) -> None:
        untold = await self.db.read(partial(results.find_next, of=Place.UNTOLD))
        if untold is not None and untold <= now:
            await self.db.write(partial(results.tell_no_store, detail=NO_EXTRA, now=now))

    async def drain(self, grace: timedelta) -> None:
        """Begin nothing more, give what is under way a little time, and cut it off then."""
        self._accepting = False
        tasks = list(self._saving.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def settled(self) -> None:
        """Wait for all that is under way."""
        await asyncio.gather(*self._saving.values())

    def _claim(
        self, conn: Connection, *, of: Place = Place.ALL, room: int, now: datetime
    ) -> list[_Work]:
        taken: list[_Work] = []
        for name in results.list_accounts(conn, of=of, now=now):
            account = accounts.find_account(conn, name)
            if account is None or len(taken) >= room:
                continue
            limiter = open_limiter(conn, account, now=now)
            found = results.claim(
                conn,
                name,
                of=of,
                now=now,
                owner=self.owner,
                until=now + LEASE,
                limit=min(room - len(taken), limiter.questions().count),
            )
            limiter.ask(len(found))
            limiter.close(conn)
            taken += [
                _Work(
                    result=one,
                    account=account,
                    lines=collections_.find_lines(conn, one.collection_id),
                )
                for one in found
            ]
        return taken

    def _is_ours(self, root: Path | None) -> Place | None:
        """Return what this daemon can save: files where it has a folder, objects by the extra."""
        if root is None:
            return Place.OBJECTS if has_extra() else None
        return Place.ALL if has_extra() else Place.FILES

    def _file_of(self, root: Path | None, result: Result) -> ResultFile | ResultObject | None:
        """Return where a result stands, or is to; None where that is no matter of this daemon."""
        path = ResultPath.read(result.path or "")
        if path.store is not None:
            spool = spool_folder(root)
            return ResultObject(spool, path, result.run_id, result.attempt_count)
        if root is None:
            return None
        return ResultFile(root, path, result.run_id, result.attempt_count, self.host)

    async def _save(self, root: Path | None, work: _Work) -> None:
        result = work.result
        file = self._file_of(root, result)
        if file is None:  # it is not claimed without a folder
            return
        feedbacks: list[Feedback] = []
        failure: NotSaved | None = None
        try:
            failure = await self._write(file, work, feedbacks)
        except (_Lost, DatabaseError) as error:  # it is taken again when its lease is over
            log.warning("result_left", run_id=result.run_id, error=str(error))
        except asyncio.CancelledError:
            failure = NotSaved(reason=ResultReason.CUT_OFF, detail="the daemon stopped")
            raise
        except Exception as error:
            failure = _failure_in(error)
            if failure is None:
                log.exception("result_broken", run_id=result.run_id)
                detail = f"{type(error).__name__} while saving: see the log"
                failure = NotSaved(reason=ResultReason.BROKEN, detail=detail)
        finally:
            await asyncio.shield(asyncio.to_thread(file.abandon))
            if failure is not None or feedbacks:
                await self._record(work, failure, feedbacks)
            self._saving.pop(result.run_id, None)
            self.wake()

    async def _write(
        self, file: ResultFile | ResultObject, work: _Work, feedbacks: list[Feedback]
    ) -> NotSaved | None:
        """Have the file stand there, whole and marked; return why it does not."""
        result = work.result
        written: Mapping[str, Any] = {
            "sha256": result.sha256,
            "row_count": result.row_count,
            "byte_count": result.byte_count,
        }
        await asyncio.to_thread(file.prepare)
        if not await asyncio.to_thread(file.is_there, written):
            writer = await asyncio.to_thread(ResultWriter, file.beside, file.path)
            try:
                failure = await self._download(work, writer, feedbacks)
                if failure is None:
                    failure = await _finish(writer, work)
            finally:
                await asyncio.shield(asyncio.to_thread(writer.abandon))
            if failure is not None:
                return failure
            written = {
                "sha256": writer.sha256,
                "row_count": writer.row_count,
                "byte_count": writer.byte_count,
            }
            await self._upload(file, work, written)
            await self._hold(work, {**written, "host": file.host})
            await asyncio.to_thread(file.publish, written)
        now = self.clock()
        await asyncio.to_thread(file.mark, _marker(result, written, now))
        saved = partial(self._record_saved, work=work, host=file.host, now=now)
        await self.db.write(saved)
        log.info("result_saved", run_id=result.run_id, path=str(file.place), **written)
        return None

    async def _download(
        self, work: _Work, writer: ResultWriter, feedbacks: list[Feedback]
    ) -> NotSaved | None:
        client = self.upstreams.client(work.account)
        fingerprint = self.upstreams.token_fingerprint(work.account)
        download = _Download(writer=writer)
        task = asyncio.create_task(client.download(work.result.collection_id, download.take))
        stalled = await self._watch(task, download, work)
        answer = await task
        feedbacks.append(feedback_of_answer(answer, token_fingerprint=fingerprint))
        if download.error is not None:
            raise download.error
        if stalled is not None:
            return NotSaved(reason=ResultReason.CUT_OFF, detail=stalled)
        await asyncio.to_thread(writer.write, bytes(download.waiting))
        return _failure_of(answer)

    async def _watch(
        self, task: "asyncio.Task[DownloadAnswer]", download: _Download, work: _Work
    ) -> str | None:
        """Keep the lease while a download goes on; cancel one that stands still, and say so."""
        taken, still = 0, timedelta()
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=_RENEWED_EVERY)
                if done:
                    return None
                try:
                    await self._hold(work)
                except DatabaseError as away:  # it may be back before the lease is over
                    log.warning("result_not_held", run_id=work.result.run_id, error=str(away))
                still = timedelta() if download.taken != taken else still + _RENEWED
                taken = download.taken
                if still >= self.stalled_after:
                    task.cancel()
                    return f"nothing came for {still.total_seconds():g} s, after {taken} bytes"
        except BaseException:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _upload(
        self, file: ResultFile | ResultObject, work: _Work, written: Mapping[str, Any]
    ) -> None:
        """Have a store take what was written, and keep the lease meanwhile."""
        uploading = asyncio.ensure_future(asyncio.to_thread(file.upload, written))
        while not (await asyncio.wait({uploading}, timeout=_RENEWED_EVERY))[0]:
            await self._hold(work)
        uploading.result()

    async def _hold(self, work: _Work, written: Mapping[str, Any] | None = None) -> None:
        """Show that somebody is at it, and what the file holds; raises _Lost."""
        now = self.clock()
        keep = partial(results.renew, result=work.result, until=now + LEASE, now=now)
        if written is not None:
            keep = partial(
                results.announce_file,
                result=work.result,
                file=written,
                until=now + LEASE,
                now=now,
            )
        if not await self.db.write(keep):
            raise _Lost

    async def _record(
        self, work: _Work, failure: NotSaved | None, feedbacks: list[Feedback]
    ) -> None:
        now = self.clock()
        record = partial(
            self._record_failure, work=work, failure=failure, feedbacks=feedbacks, now=now
        )
        try:
            again = await self.db.write(record)
        except DatabaseError as away:  # it is taken again when its lease is over
            log.warning("result_not_recorded", run_id=work.result.run_id, error=str(away))
            return
        if failure is None:
            return
        told = {
            "run_id": work.result.run_id,
            "reason": failure.reason.value,
            "detail": failure.detail,
        }
        if again is None:
            log.error("result_failed", **told)
        else:
            log.warning("result_not_saved", **told, again_at=iso_time(again))

    def _record_failure(
        self,
        conn: Connection,
        *,
        work: _Work,
        failure: NotSaved | None,
        feedbacks: list[Feedback],
        now: datetime,
    ) -> datetime | None:
        if feedbacks:
            limiter = open_limiter(conn, work.account, now=now)
            limiter.apply(conn, feedbacks)
            limiter.close(conn)
        if failure is None:
            return None
        result = work.result
        again = next_attempt(
            failure, attempts=result.attempt_count, now=now, expires_at=result.expires_at
        )
        is_ours = results.record_failure(
            conn, result, reason=failure.reason, detail=failure.detail, again=again, now=now
        )
        if is_ours and again is None:
            tell_end(conn, result.run_id, now=now)
        return again

    def _record_saved(
        self, conn: Connection, *, work: _Work, host: str | None, now: datetime
    ) -> None:
        if results.record_saved(conn, work.result, host=host, now=now):
            tell_end(conn, work.result.run_id, now=now)

    async def _remove_old(self, root: Path | None, now: datetime) -> None:
        old = partial(results.list_removable, host=self.host, now=now, limit=REMOVED_AT_ONCE)
        for result in await self.db.read(old):
            file = self._file_of(root, result)
            if file is None:
                continue
            written = {"sha256": result.sha256, "byte_count": result.byte_count}
            try:
                why = await asyncio.to_thread(file.remove, written)
            except (OSError, NoStore) as error:
                log.warning("result_not_removed", run_id=result.run_id, error=str(error))
                until = now + _REMOVED_AGAIN
                await self.db.write(
                    partial(results.put_off_removal, run_id=result.run_id, until=until)
                )
                continue
            record = partial(results.record_removed, run_id=result.run_id, why_kept=why)
            await self.db.write(record)
            log.info("result_removed", run_id=result.run_id, path=str(file.place), kept=why)


_RENEWED: Final = timedelta(seconds=_RENEWED_EVERY)
_REMOVED_AGAIN: Final = timedelta(hours=1)


async def _finish(writer: ResultWriter, work: _Work) -> NotSaved | None:
    """Write the end of the file; return what is wrong with the whole of it."""
    await asyncio.to_thread(writer.finish, may_be_empty=work.lines == 0)
    if is_too_short(writer.row_count, work.lines, attempts=work.result.attempt_count):
        detail = f"{writer.row_count} rows, and the upstream's log tells of {work.lines}"
        return NotSaved(reason=ResultReason.SHORT, detail=detail)
    return None


def _failure_in(error: Exception) -> NotSaved | None:
    match error:
        case NotBuilt():
            return NotSaved(reason=ResultReason.NOT_READY, detail=str(error))
        case Unreadable():
            return NotSaved(reason=ResultReason.UNREADABLE, detail=str(error))
        case NoStore():
            return NotSaved(reason=ResultReason.NO_STORE, detail=str(error))
        case _:
            return not_saved(error)


def _failure_of(answer: DownloadAnswer) -> NotSaved | None:
    match answer:
        case Done():
            return None
        case NotReady():
            return NotSaved(
                reason=ResultReason.NOT_READY,
                detail=answer.detail,
                retry_after=answer.retry_after,
            )
        case Gone():
            return NotSaved(reason=ResultReason.EXPIRED, detail=answer.detail)
        case Refused():
            return NotSaved(reason=ResultReason.REFUSED, detail=answer.detail)
        case Unanswered():
            is_cut = answer.status == 200
            reason = ResultReason.CUT_OFF if is_cut else ResultReason.UNANSWERED
            return NotSaved(reason=reason, detail=answer.detail, retry_after=answer.retry_after)
        case _:
            assert_never(answer)


def _marker(result: Result, written: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "run_id": result.run_id,
        "collection_id": result.collection_id,
        "schedule": result.schedule,
        "collector": result.collector,
        "due_at": iso_time(result.due_at),
        "saved_at": iso_time(now),
        **written,
    }
