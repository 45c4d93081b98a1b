"""Reads the answers to questions. Pure: from what was heard to the values of domain.answers."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from scheduler.domain.answers import (
    CancelAnswer,
    CollectionLog,
    Done,
    Gone,
    InputsAnswer,
    ListedJob,
    LogAnswer,
    NotReady,
    Refused,
    Unanswered,
)
from scheduler.upstream.dataset import DatasetReader
from scheduler.upstream.fields import (
    read_count,
    read_id,
    read_json,
    read_moment,
    read_rate,
    read_text,
    read_word,
)
from scheduler.upstream.heard import Heard

_TRY_AGAIN: Final = re.compile(r"\bin (\d{1,5}) ?s")


def read_log(heard: Heard, collection_id: str) -> LogAnswer:
    """Read the answer of /dca/log/ID; one that speaks of another job, or of none, is no answer."""
    if heard.status == 404:
        return Gone(detail=heard.words() or "answered 404")
    value = _success(heard)
    if not isinstance(value, dict) or value.get("id", collection_id) != collection_id:
        return read_failure(heard)
    log = CollectionLog(
        status=read_word(value.get("status")),
        inputs=read_count(value.get("inputs")),
        lines=read_count(value.get("lines")),
        fails=read_count(value.get("fails")),
        pages=read_count(value.get("pages")),
        pages_left=read_count(value.get("pages_left")),
        success_rate=read_rate(value.get("success_rate")),
        created_at=read_moment(value.get("created")),
        started_at=read_moment(value.get("started")),
        finished_at=read_moment(value.get("finished")),
    )
    return read_failure(heard) if log == _BLANK_LOG else log


_BLANK_LOG: Final = CollectionLog(
    status=None,
    inputs=None,
    lines=None,
    fails=None,
    pages=None,
    pages_left=None,
    success_rate=None,
    created_at=None,
    started_at=None,
    finished_at=None,
)


@dataclass(frozen=True, slots=True)
class JobsPage:
    """One page of a collector's jobs, and how many there are on all; None if it does not say."""

    jobs: tuple[ListedJob, ...]
    total: int | None


def read_jobs_page(heard: Heard) -> JobsPage | Unanswered:
    """
    Read one page of /dca/collector/jobs.

    A row without a readable id spoils the page: it might be the very job that is looked for.
    """
    value = _success(heard)
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(rows, list):
        return read_failure(heard)
    jobs = tuple(job for row in rows if (job := _read_job(row)) is not None)
    if len(jobs) < len(rows):
        return Unanswered(detail="a row of the jobs list has no readable id", status=heard.status)
    return JobsPage(jobs, read_count(value.get("total")))


def _read_job(row: object) -> ListedJob | None:
    job_id = read_id(row.get("id")) if isinstance(row, dict) else None
    if job_id is None or not isinstance(row, dict):
        return None
    return ListedJob(
        id=job_id,
        status=read_word(row.get("status")),
        queued_at=read_moment(row.get("queued")),
        started_at=read_moment(row.get("started")),
        finished_at=read_moment(row.get("finished")),
        inputs=read_count(row.get("inputs")),
        name=read_text(row.get("name")),
    )


def read_inputs(heard: Heard, reader: DatasetReader) -> InputsAnswer:
    """Read the answer of /dca/dataset, whose body *reader* was fed."""
    if heard.status == 404:
        return Gone(detail=heard.words() or "answered 404")
    if heard.status == 202:
        words = heard.words()
        pause = _TRY_AGAIN.search(words)
        return NotReady(
            detail=words or "answered 202",
            retry_after=timedelta(seconds=int(pause[1])) if pause else None,
        )
    if heard.status != 200 or (heard.flaw and not reader.is_full):
        return read_failure(heard)
    return reader.result() or read_failure(heard)


def read_cancel(heard: Heard) -> CancelAnswer:
    """Read the answer of a cancel: plain `OK` (DCA, 2), or a refusal in the upstream's words."""
    status = heard.status
    if status is None or heard.flaw or status in (401, 403, 429):
        return read_failure(heard)
    if 200 <= status < 300 and not heard.body.lstrip().startswith(b"<"):
        return Done()
    if 400 <= status < 500:
        return Refused(detail=heard.words() or f"answered {status}", status=status)
    return read_failure(heard)


def read_failure(heard: Heard) -> Unanswered:
    """Say why *heard* answers nothing."""
    return Unanswered(
        detail=heard.summary(),
        status=heard.status,
        throttled=heard.status == 429,
        credentials=heard.status in (401, 403),
        retry_after=heard.retry_after(),
    )


def _success(heard: Heard) -> object:
    """Return the JSON of a whole 200, else None."""
    return read_json(heard.body) if heard.status == 200 and not heard.flaw else None
