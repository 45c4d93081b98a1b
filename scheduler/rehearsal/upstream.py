"""The upstream of a rehearsal: the sandbox's account, asked without a socket."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime

from scheduler.clock import Clock
from scheduler.rehearsal.virtual_loop import pause
from scheduler.sandbox import Fault, FaultKind, SandboxSettings
from scheduler.sandbox.account import SandboxAccount
from scheduler.sandbox.answers import Answer, SandboxCall
from scheduler.sandbox.bodies import Input
from scheduler.sandbox.faults import leaves_an_answer
from scheduler.sandbox.jobs import FateOf, Job
from scheduler.upstream.in_process import CannotConnect, InProcessAnswer, InProcessRequest


@dataclass(slots=True, kw_only=True)
class SimulatedUpstream:
    """
    Answers as the DCA does, by *clock*, which is its own and nobody sets.

    Each way takes *one_way* seconds. While *is_away*, nobody can connect. *fate_of* says how long
    an order takes and how it ends.
    """

    clock: Clock
    settings: SandboxSettings = field(default_factory=SandboxSettings)
    fate_of: FateOf | None = None
    one_way: Callable[[], float] = lambda: 0.1
    is_away: Callable[[datetime], bool] = lambda now: False
    account: SandboxAccount = field(init=False)
    _inputs: dict[bytes, tuple[Input, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin without jobs."""
        self.account = SandboxAccount(self.settings, self.fate_of)

    @property
    def jobs(self) -> list[Job]:
        """Every job that was accepted, in order."""
        return list(self.account.book.jobs.values())

    def connect(self) -> None:
        """Raise CannotConnect while it is away."""
        if self.is_away(self.clock()):
            raise CannotConnect("it is away, as the rehearsal has it")

    async def carry(self, request: InProcessRequest) -> InProcessAnswer | None:
        """Answer *request*, as far as faults let it: it has left, whoever sent it."""
        call = SandboxCall(
            method=request.method,
            path=request.path,
            query=request.query,
            authorization=request.authorization,
            content_type=request.content_type,
            body=request.body,
        )
        await pause(self.one_way())
        early = self.account.strike_first(call)
        if early and early.kind is FaultKind.SLOW:
            await pause(early.seconds)
        answer, fault = self.account.decide(call, self.clock(), early)
        self._share_inputs(call, answer)
        await pause(self.one_way() + (fault.seconds if fault and _dawdles(fault) else 0))
        return self._sent(answer, fault)

    def _sent(self, answer: Answer, fault: Fault | None) -> InProcessAnswer | None:
        if not leaves_an_answer(fault):
            return None
        is_half = fault is not None and fault.kind is FaultKind.HALF
        told = {
            "Content-Type": answer.content_type,
            "Date": format_datetime(self.clock(), usegmt=True),
        }
        return InProcessAnswer(
            status=answer.status,
            body=answer.body,
            headers={**answer.headers, **told},
            breaks_off=len(answer.body) // 2 if is_half else None,
        )

    def _share_inputs(self, call: SandboxCall, answer: Answer) -> None:
        """Keep the inputs of each body once, whatever the number of its jobs."""
        job = self.account.book.jobs.get(answer.collection_id or "")
        if job is not None and call.body:
            digest = hashlib.sha256(call.body).digest()
            shared = self._inputs.setdefault(digest, job.order.inputs)
            job.order = replace(job.order, inputs=shared)


def _dawdles(fault: Fault) -> bool:
    return fault.kind in (FaultKind.HANG, FaultKind.DRIP)
