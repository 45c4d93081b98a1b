"""The stand-in without its socket: what one request meets on its way, in order."""

from datetime import datetime, timedelta

from scheduler.sandbox.answers import Answer, Call
from scheduler.sandbox.book import JobBook
from scheduler.sandbox.disguise import disguise
from scheduler.sandbox.endpoints import Dca
from scheduler.sandbox.fault_plan import Fault, FaultKind, FaultPlan, When
from scheduler.sandbox.gate import Gate
from scheduler.sandbox.journal import Journal
from scheduler.sandbox.settings import SandboxSettings
from scheduler.sandbox.views import judge_view


class Account:
    """One account of the upstream: its jobs, its limits, its faults and the log of its requests."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Begin anew: no jobs, no log, nobody blocked, the faults of the settings."""
        self.book = JobBook(self.settings)
        self.journal = Journal(self.settings.log_limit)
        self.faults = FaultPlan(self.settings.faults)
        self._gate = Gate(self.settings)
        self._dca = Dca(self.settings, self.book)

    def strike_first(self, call: Call) -> Fault | None:
        """Return the fault that *call* meets before anything is done about it."""
        if self._gate.blocked(call.peer):
            return None
        return self.faults.pick(call.path, call.param("collector"), When.BEFORE)

    def decide(self, call: Call, now: datetime, early: Fault | None) -> tuple[Answer, Fault | None]:
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

    def jobs_view(self, now: datetime) -> list[dict[str, object]]:
        """Return every job, in order of creation, with nothing hidden."""
        now = self.book.advance(now)
        return [judge_view(job, now) for job in self.book.jobs.values()]

    def _carry_out(
        self, call: Call, now: datetime, early: Fault | None
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
        if collection_id and fault.kind is FaultKind.LATE_LISTING:
            job = self.book.jobs[collection_id]
            job.listed_at = job.queued_at + timedelta(seconds=fault.seconds)
