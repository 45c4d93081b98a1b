"""How jobs look from outside: the answers of DCA, 2, field by field."""

import json
from datetime import datetime, timedelta

from scheduler.sandbox.answers import timestamp
from scheduler.sandbox.bodies import Input
from scheduler.sandbox.jobs import Job, JobStatus

_MILLISECOND = timedelta(milliseconds=1)


def log_view(job: Job, now: datetime) -> dict[str, object]:
    """
    Return the answer of /dca/log/ID.

    A job ended by its deadline is `done` with `pages_left` > 0, since the document has no status of
    its own for it; `fails` and `success_rate` speak of the pages that were loaded.
    """
    pages = job.reached(now)
    fails = _failed_pages(job, pages)
    started, end = job.started_at, job.finished_at or now
    return {
        "id": job.id,
        "status": _status(job),
        "collector": job.order.collector,
        "inputs": len(job.order.inputs),
        "dup_inputs": _duplicates(job.order.inputs),
        "lines": pages - fails,
        "fails": fails,
        "pages": job.page_loads(now),
        "pages_left": len(job.order.inputs) - pages,
        "success": pages - fails,
        "navigations": job.page_loads(now),
        "created": timestamp(job.queued_at),
        "started": timestamp(started),
        "finished": timestamp(job.finished_at),
        "trigger": _trigger(job),
        "success_rate": (pages - fails) / pages if pages else 0,
        "job_time": (end - started) // _MILLISECOND if started else 0,
        "queue_time": ((started or end) - job.queued_at) // _MILLISECOND,
    }


def list_view(job: Job, now: datetime, *, carry_name: bool) -> dict[str, object]:
    """Return one row of /dca/collector/jobs; it names neither collector nor, usually, batch."""
    pages = job.reached(now)
    fails = _failed_pages(job, pages)
    row: dict[str, object] = {
        "id": job.id,
        "status": _status(job),
        "queued": timestamp(job.queued_at),
        "started": timestamp(job.started_at),
        "finished": timestamp(job.finished_at),
        "inputs": 0 if job.counted_at and now < job.counted_at else len(job.order.inputs),
        "page_loads": job.page_loads(now),
        "total_pages": len(job.order.inputs),
        "failed_pages": fails,
        "data_lines": pages - fails,
        "trigger": _trigger(job),
        "expired": job.expired(now),
    }
    if job.listed_name is not None or carry_name:
        row["name"] = job.listed_name or job.order.name
    return row


def rows_view(job: Job, now: datetime) -> list[dict[str, object]]:
    """Return the dataset: one row per loaded input, each with its `input`, failed ones included."""
    return [_row(job, number) for number in range(job.reached(now))]


def errors_view(job: Job, now: datetime) -> dict[str, object]:
    """Return the answer of hp_errors; inputs that the job's end cut off are `aborted_page`."""
    reached = job.reached(now)
    errors = [
        _page_error(item, error)
        for number, item in enumerate(job.order.inputs[:reached])
        if (error := job.error_of(number))
    ]
    if job.ended:
        errors += [_page_error(item, "aborted_page") for item in job.order.inputs[reached:]]
    return {"errors": errors}


def failed_inputs(job: Job, now: datetime) -> tuple[Input, ...]:
    """Return the inputs that a rerun with failed_only loads again."""
    reached = job.reached(now)
    inputs = job.order.inputs
    failed = tuple(inputs[number] for number in range(reached) if job.error_of(number))
    return failed + inputs[reached:]


def judge_view(job: Job, now: datetime) -> dict[str, object]:
    """Return the job as /sandbox/log tells it: everything, with nothing left out as a trap."""
    told = {"queue": job.order.queue, "name": job.order.name, "internal_status": job.status.value}
    return log_view(job, now) | told


def _status(job: Job) -> str:
    return (JobStatus.BUILDING if job.status is JobStatus.QUEUED else job.status).value


def _trigger(job: Job) -> dict[str, object]:
    return {"type": job.order.trigger_type, "user": "sandbox", "ip": job.order.peer}


def _failed_pages(job: Job, pages: int) -> int:
    return sum(1 for number in range(pages) if job.error_of(number))


def _duplicates(inputs: tuple[Input, ...]) -> int:
    return len(inputs) - len({json.dumps(item, sort_keys=True) for item in inputs})


def _row(job: Job, number: int) -> dict[str, object]:
    item, code = job.order.inputs[number], job.error_of(number)
    if code:
        return {"input": item, "error": f"The page failed: {code}", "error_code": code}
    return {**item, "input": item}


def _page_error(item: Input, error: str) -> dict[str, object]:
    return {"url": item.get("url"), "error": error, "consumer": "sandbox"}
