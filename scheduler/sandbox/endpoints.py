"""The documented calls, each from a SandboxCall to an Answer. Pure: no socket, no clock."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from scheduler.sandbox.answers import Answer, RequestRefused, SandboxCall, json_answer, timestamp
from scheduler.sandbox.book import JobBook
from scheduler.sandbox.jobs import Job, Order
from scheduler.sandbox.settings import SandboxCollector, SandboxSettings
from scheduler.sandbox.trigger import known_collector, read_order
from scheduler.sandbox.views import errors_view, failed_inputs, list_view, log_view, rows_view

LIMIT_TEXT = "Maximum limit of {limit} jobs per scraper has been exceeded"
# "limit=(0-500)", "a default `limit` of 50" (DCA, 2).
_MOST_ROWS = 500
_USUAL_ROWS = 50
_NOT_READY = {"status": "building", "message": "Dataset is not ready yet, try again in 30s"}
_OK = Answer(body=b"OK", content_type="text/plain")


@dataclass(frozen=True, slots=True)
class DcaEndpoints:
    """The account as its API shows it. `answer` never raises for anything a caller can send."""

    settings: SandboxSettings
    book: JobBook

    def answer(self, call: SandboxCall, now: datetime) -> Answer:
        """Carry *call* out at *now*, or refuse it."""
        try:
            for method, pattern, endpoint in _ROUTES:
                found = pattern.fullmatch(call.path)
                if method == call.method and found:
                    return endpoint(self, call, self.book.advance(now), *found.groups())
            raise RequestRefused(404, f"Cannot {call.method} {call.path}")
        except RequestRefused as refused:
            return refused.answer

    def trigger(self, call: SandboxCall, now: datetime) -> Answer:
        """Create a job. Nothing is de-duplicated: every accepted call is a new one (DCA, 1)."""
        return self._submit(read_order(call, self.settings))

    def dataset(self, call: SandboxCall, now: datetime) -> Answer:
        """Return the rows of a job that ended; 202 until then, 404 once they expired (DCA, 2)."""
        job = self._job(call.param("id") or "")
        if job.expired(now):
            raise RequestRefused(404, "Dataset expired")
        if not job.ended:
            return json_answer(_NOT_READY, status=202)
        return json_answer(rows_view(job, now))

    def log(self, call: SandboxCall, now: datetime, job_id: str) -> Answer:
        """Return how a job fares."""
        return json_answer(log_view(self._job(job_id), now))

    def jobs(self, call: SandboxCall, now: datetime) -> Answer:
        """Return a page of a collector's jobs; both dates are whole UTC days, included."""
        collector = known_collector(call, self.settings)
        last = _day(call, "to_date")
        end = last + timedelta(days=1) if last else None
        found = self.book.listed(collector.id, _day(call, "from_date"), end)
        if call.param("sort_asc") != "1":
            found.reverse()
        offset = _number(call, "offset", default=0, most=None)
        limit = _number(call, "limit", default=_USUAL_ROWS, most=_MOST_ROWS)
        carry = self.settings.jobs_carry_name
        rows = [list_view(job, now, carry_name=carry) for job in found[offset : offset + limit]]
        return json_answer({"total": len(found), "offset": offset, "limit": limit, "data": rows})

    def errors(self, call: SandboxCall, now: datetime, job_id: str) -> Answer:
        """Return which pages of a job failed, and why."""
        return json_answer(errors_view(self._job(job_id), now))

    def cancel(self, call: SandboxCall, now: datetime, job_id: str) -> Answer:
        """End a job."""
        self.book.cancel(self._live_job(job_id))
        return _OK

    def pause(self, call: SandboxCall, now: datetime, job_id: str) -> Answer:
        """Stop a job where it is."""
        self.book.pause(self._live_job(job_id))
        return _OK

    def resume(self, call: SandboxCall, now: datetime, job_id: str) -> Answer:
        """Let a paused job go on."""
        self.book.resume(self._live_job(job_id))
        return _OK

    def rerun(self, call: SandboxCall, now: datetime, job_id: str) -> Answer:
        """Create a new job from an old one's inputs, or from those that failed."""
        job = self._job(job_id)
        if job.expired(now):
            raise RequestRefused(404, "Job expired")
        inputs = failed_inputs(job, now) if _failed_only(call.body) else job.order.inputs
        if not inputs:
            raise RequestRefused(400, "No failed inputs")
        order = replace(job.order, inputs=inputs, confirm_cancel=False, peer=call.peer)
        return self._submit(order)

    def collectors(self, call: SandboxCall, now: datetime) -> Answer:
        """Return the account's collectors: those of the settings, else those triggered so far."""
        known = {one.id: one for one in self.settings.collectors}
        ids = list(known) or self.book.collectors()
        return json_answer([self._collector_view(one, known.get(one)) for one in ids])

    def balance(self, call: SandboxCall, now: datetime) -> Answer:
        """Return what the account has, less what its jobs cost (DCA, 3)."""
        if self.settings.balance is None:
            raise RequestRefused(403, "Permission denied")
        cost = sum(money for _, _, _, money in self._billed(now))
        body = {"balance": round(self.settings.balance - cost, 2), "credit": 0, "prepayment": 0}
        return json_answer({**body, "pending_costs": 0})

    def costs(self, call: SandboxCall, now: datetime) -> Answer:
        """Return what was billed by day, of collectors or of jobs; `to` is exclusive (DCA, 3)."""
        if self.settings.balance is None:
            raise RequestRefused(403, "Permission denied")
        try:
            asked = json.loads(call.body)
            dimension, first, end = (str(asked[name]) for name in ("dimension", "from", "to"))
        except (ValueError, KeyError, TypeError):
            raise RequestRefused(400, "dimension, from and to are needed") from None
        if dimension not in ("collectors", "dca_jobs"):
            raise RequestRefused(400, f"Unknown dimension {dimension[:40]}")
        days: dict[str, dict[str, float]] = {}
        for day, collector, job, money in self._billed(now):
            if first <= day < end:
                sums = days.setdefault(day, {})
                subject = collector if dimension == "collectors" else job
                sums[subject] = round(sums.get(subject, 0.0) + money, 6)
        total = round(sum(map(sum, (sums.values() for sums in days.values()))), 6)
        return json_answer({**days, "total": total})

    def _billed(self, now: datetime) -> Iterator[tuple[str, str, str, float]]:
        for job in self.book.jobs.values():
            loads = list_view(job, now, carry_name=False).get("page_loads")
            if isinstance(loads, int) and loads:
                day, money = f"{job.queued_at:%Y-%m-%d}", loads * self.settings.price_per_thousand
                yield day, job.order.collector, job.id, money / 1000

    def _submit(self, order: Order) -> Answer:
        limit = self.settings.job_limit
        if self.book.live(order.collector) >= limit:
            raise RequestRefused(429, LIMIT_TEXT.format(limit=limit))
        job, start_eta = self.book.submit(order)
        body = {"collection_id": job.id, "start_eta": timestamp(start_eta)}
        return json_answer(body, collection_id=job.id)

    def _job(self, job_id: str) -> Job:
        job = self.book.jobs.get(job_id)
        if job is None:
            raise RequestRefused(404, "Job not found")
        return job

    def _live_job(self, job_id: str) -> Job:
        job = self._job(job_id)
        if job.ended:
            raise RequestRefused(400, f"Job is already {job.status}")
        return job

    def _collector_view(self, collector: str, known: SandboxCollector | None) -> dict[str, object]:
        jobs = self.book.listed(collector, None, None)
        last_run = timestamp(jobs[-1].queued_at) if jobs else None
        shown = {
            "id": collector,
            "name": (known and known.name) or collector,
            "active": True,
            "last_run": last_run,
            "output_schema": {},
        }
        if known is None or known.schedule_frequency is None:
            return shown
        schedule = {"frequency": known.schedule_frequency, "start": known.schedule_start}
        return {**shown, "schedule": schedule}


def _day(call: SandboxCall, name: str) -> datetime | None:
    text = call.param(name)
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise RequestRefused(400, f"{name} must be a date: YYYY-MM-DD") from None


def _number(call: SandboxCall, name: str, *, default: int, most: int | None) -> int:
    text = call.param(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", text) or (most is not None and int(text) > most):
        raise RequestRefused(
            400, f"{name} must be a number from 0" + (f" to {most}" if most else "")
        )
    return int(text)


def _failed_only(body: bytes) -> bool:
    try:
        asked = json.loads(body or b"{}")
    except ValueError:
        raise RequestRefused(400, "The body is not JSON") from None
    return isinstance(asked, dict) and asked.get("failed_only") in (1, True)


_JOB = "/dca/jobs/([^/]+)"
_ROUTES: tuple[tuple[str, re.Pattern[str], Callable[..., Answer]], ...] = (
    ("POST", re.compile("/dca/trigger"), DcaEndpoints.trigger),
    ("GET", re.compile("/dca/dataset"), DcaEndpoints.dataset),
    ("GET", re.compile("/dca/log/([^/]+)"), DcaEndpoints.log),
    ("GET", re.compile("/dca/collector/jobs"), DcaEndpoints.jobs),
    ("GET", re.compile("/dca/collectors_list"), DcaEndpoints.collectors),
    ("GET", re.compile("/customer/balance"), DcaEndpoints.balance),
    ("POST", re.compile("/costs/export/json"), DcaEndpoints.costs),
    ("GET", re.compile(_JOB + "/hp_errors"), DcaEndpoints.errors),
    ("POST", re.compile(_JOB + "/cancel"), DcaEndpoints.cancel),
    ("POST", re.compile(_JOB + "/pause"), DcaEndpoints.pause),
    ("POST", re.compile(_JOB + "/resume"), DcaEndpoints.resume),
    ("POST", re.compile(_JOB + "/rerun"), DcaEndpoints.rerun),
)
