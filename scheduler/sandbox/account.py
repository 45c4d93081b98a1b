"""The stand-in without its socket: what one request meets on its way, in order."""

from datetime import datetime, timedelta

from scheduler.sandbox.answers import Answer, SandboxCall
from scheduler.sandbox.book import JobBook
from scheduler.sandbox.disguise import disguise
from scheduler.sandbox.endpoints import DcaEndpoints
from scheduler.sandbox.fault_plan import Fault, FaultKind, FaultPlan, When
from scheduler.sandbox.gate import Gate
from scheduler.sandbox.jobs import FateOf, Order
from scheduler.sandbox.journal import Journal
from scheduler.sandbox.settings import SandboxSettings
from scheduler.sandbox.views import judge_view


class SandboxAccount:
    """One account of the upstream: its jobs, its limits, its faults and the log of its requests."""

    def __init__(self, settings: SandboxSettings, fate_of: FateOf | None = None) -> None:
        self.settings = settings
        self._fate_of = fate_of
        self.reset()

    def reset(self) -> None:
        """Begin anew: no jobs, no log, nobody blocked, the faults of the settings."""
        self.book = JobBook(self.settings, self._fate_of)
        self.journal = Journal(self.settings.log_limit)
        self.faults = FaultPlan(self.settings.faults)
        self._gate = Gate(self.settings)
        self._dca = DcaEndpoints(self.settings, self.book)

    def strike_first(self, call: SandboxCall) -> Fault | None:
        """Return the fault that *call* meets before anything is done about it."""
        if self._gate.blocked(call.peer):
            return None
        return self.faults.pick(call.path, call.param("collector"), When.BEFORE)

    def decide(
        self, call: SandboxCall, now: datetime, early: Fault | None
    ) -> tuple[Answer, Fault | None]:
        """
        Return the answer to *call* and the fault that it meets on the way out.

        A fault that strikes afterwards waits for a request that was accepted, so that a refused
        one does not use it up.
        """
        answer, fault = self._carry_out(call, now, early)
        if fault:
            answer = disguise(fault, answer)
            self._hide(answer.collection_id, fault)
        if answer.status == 429:
            self._gate.count_refusal(call.peer, now)
        return answer, fault

    def start_elsewhere(self, collector: str, now: datetime) -> str:
        """Start a job with one input as somebody does in the vendor's panel; return its id."""
        self.book.advance(now)
        inputs = ({"url": "https://example.org/panel"},)
        order = Order(collector=collector, inputs=inputs, queue="panel", trigger_type="CP")
        return self.book.submit(order)[0].id

    def jobs_view(self, now: datetime) -> list[dict[str, object]]:
        """Return every job, in order of creation, with nothing hidden."""
        now = self.book.advance(now)
        return [judge_view(job, now) for job in self.book.jobs.values()]

    def _carry_out(
        self, call: SandboxCall, now: datetime, early: Fault | None
    ) -> tuple[Answer, Fault | None]:
        blocked = self._gate.blocked(call.peer)
        if blocked:
            return blocked, None
        if early and early.kind is not FaultKind.SLOW:
            return Answer(), early
        answer = self._gate.refusal(call, now) or self._dca.answer(call, now)
        if answer.status >= 400:
            return answer, early
        late = self.faults.pick(call.path, call.param("collector"), When.AFTER)
        return answer, late or early

    def _hide(self, collection_id: str | None, fault: Fault) -> None:
        if collection_id is None:
            return
        job = self.book.jobs[collection_id]
        until = job.queued_at + timedelta(seconds=fault.seconds)
        match fault.kind:
            case FaultKind.LATE_LISTING:
                job.listed_at = until
            case FaultKind.LATE_COUNT:
                job.counted_at = until
            case FaultKind.FAILED_INPUTS:
                job.error_of_others = fault.error
            case FaultKind.OTHER_NAME:
                job.listed_name = "the scraper's own name"
