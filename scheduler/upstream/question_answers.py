"""Reads the answers to questions. Pure: from what was response to the values of domain.answers."""

import re
from datetime import timedelta
from typing import Final

from scheduler.domain.answers import (
    CancelAnswer,
    CollectionLog,
    Done,
    DownloadAnswer,
    ErrorsAnswer,
    Gone,
    InputsAnswer,
    JobsPage,
    ListedJob,
    LogAnswer,
    NotReady,
    PageAnswer,
    PageErrors,
    Refused,
    Unanswered,
)
from scheduler.upstream.dataset import DatasetReader
from scheduler.upstream.fields import (
    read_answer,
    read_count,
    read_error,
    read_fields,
    read_flag,
    read_id,
    read_json,
    read_moment,
    read_rate,
    read_text,
    read_word,
)
from scheduler.upstream.response import Response

_TRY_AGAIN: Final = re.compile(r"\bin (\d{1,5}) ?s")


def read_log(response: Response, collection_id: str) -> LogAnswer:
    """Read the answer of /dca/log/ID; one that speaks of another job, or of none, is no answer."""
    if response.status == 404 and response.is_the_upstreams:
        return Gone(detail=response.words() or "answered 404")
    told = _success(response)
    rows = map(read_fields, told) if isinstance(told, list) else ()
    fields = next((row for row in rows if row.get("id") == collection_id), read_answer(told))
    if fields.get("id", collection_id) != collection_id:
        return read_failure(response)
    log = CollectionLog(
        status=read_word(fields.get("status")),
        inputs=read_count(fields.get("inputs")),
        lines=read_count(fields.get("lines")),
        fails=read_count(fields.get("fails")),
        pages=read_count(fields.get("pages")),
        pages_left=read_count(fields.get("pagesleft")),
        success_rate=read_rate(fields.get("successrate")),
        created_at=read_moment(fields.get("created")),
        started_at=read_moment(fields.get("started")),
        finished_at=read_moment(fields.get("finished")),
    )
    return read_failure(response) if log == _BLANK_LOG else log


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


def read_jobs_page(response: Response) -> PageAnswer:
    """Read one page of /dca/collector/jobs; Refused by an upstream that has no such call."""
    fields = read_answer(_success(response))
    rows = fields.get("data")
    if not isinstance(rows, list):
        return _read_refusal(response) or read_failure(response)
    jobs = tuple(job for row in rows if (job := _read_job(row)) is not None)
    return JobsPage(jobs=jobs, total=read_count(fields.get("total")), unread=len(rows) - len(jobs))


def _read_refusal(response: Response) -> Refused | None:
    status = response.status or 0
    is_answer = 400 <= status < 500 and status not in (401, 403, 408, 429)
    if not is_answer or response.failure or not response.is_the_upstreams:
        return None
    return Refused(detail=response.words() or f"answered {status}", status=status)


def _read_job(row: object) -> ListedJob | None:
    fields = read_fields(row)
    job_id = read_id(fields.get("id"))
    if job_id is None:
        return None
    return ListedJob(
        id=job_id,
        status=read_word(fields.get("status")),
        queued_at=read_moment(fields.get("queued")),
        started_at=read_moment(fields.get("started")),
        finished_at=read_moment(fields.get("finished")),
        inputs=read_count(fields.get("inputs")),
        name=read_text(fields.get("name")),
        page_loads=read_count(fields.get("pageloads")),
        total_pages=read_count(fields.get("totalpages")),
        failed_pages=read_count(fields.get("failedpages")),
        data_lines=read_count(fields.get("datalines")),
        expired=read_flag(fields.get("expired")),
        trigger_type=read_word(read_fields(fields.get("trigger")).get("type")),
    )


def read_inputs(response: Response, reader: DatasetReader) -> InputsAnswer:
    """Read the answer of /dca/dataset, whose body *reader* was fed."""
    if response.status == 404 and response.is_the_upstreams:
        return Gone(detail=response.words() or "answered 404")
    if response.status == 202:
        return _read_not_ready(response)
    if response.status != 200 or (response.failure and not reader.is_full):
        return read_failure(response)
    return reader.result() or read_failure(response)


def _read_not_ready(response: Response) -> NotReady:
    words = response.words()
    pause = _TRY_AGAIN.search(words)
    return NotReady(
        detail=words or "answered 202",
        retry_after=timedelta(seconds=int(pause[1])) if pause else None,
    )


def read_download(response: Response) -> DownloadAnswer:
    """Read the answer of /dca/dataset, whose rows went elsewhere: Done where all of them came."""
    if response.status in (404, 410) and response.is_the_upstreams:
        return Gone(detail=response.words() or f"answered {response.status}")
    if response.status == 202:
        return _read_not_ready(response)
    if response.status == 200 and response.failure is None:
        return Done()
    return _read_refusal(response) or read_failure(response)


def read_errors(response: Response) -> ErrorsAnswer:
    """Read the answer of /dca/jobs/ID/hp_errors; what is no error in it is passed over."""
    if response.status == 404 and response.is_the_upstreams:
        return Gone(detail=response.words() or "answered 404")
    rows = read_answer(_success(response)).get("errors")
    if not isinstance(rows, list):
        return _read_refusal(response) or read_failure(response)
    errors: dict[str, str] = {}
    for fields in map(read_fields, rows):
        url, error = read_text(fields.get("url")), read_error(fields)
        if url is not None and error is not None:
            errors.setdefault(url, error)
    return PageErrors(errors=errors)


def read_cancel(response: Response) -> CancelAnswer:
    """
    Read the answer of a cancel: plain `OK` (DCA, 2), or a refusal in the upstream's words.

    A gateway's page is a refusal, too: it ends nothing, and the collection is asked about next.
    """
    status = response.status
    if status is None or response.failure or status == 429 or response.refuses_credentials:
        return read_failure(response)
    if 200 <= status < 300 and not response.body.lstrip().startswith(b"<"):
        return Done()
    if 400 <= status < 500:
        return Refused(detail=response.words() or f"answered {status}", status=status)
    return read_failure(response)


def read_failure(response: Response) -> Unanswered:
    """Say why *response* answers nothing."""
    return Unanswered(
        detail=response.summary(),
        status=response.status,
        throttled=response.status == 429,
        credentials=response.refuses_credentials,
        retry_after=response.retry_after(),
    )


def _success(response: Response) -> object:
    """Return the JSON of a whole 200, else None."""
    return read_json(response.body) if response.status == 200 and not response.failure else None
