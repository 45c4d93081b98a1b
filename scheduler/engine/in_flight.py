"""What a daemon has claimed and not recorded: waiting for the wire, on it, or answered."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.clock import boot_seconds
from scheduler.domain.records import SentRun
from scheduler.engine.answered import Answered
from scheduler.engine.send_buffer import Claim, SendBuffer
from scheduler.engine.tuning import LONGEST_PREFETCH
from scheduler.storage.departures import ClaimKey


def key_of(run: SentRun) -> ClaimKey:
    """Return what tells the claim of *run* from others."""
    return run.id, run.fence


@dataclass(slots=True)
class InFlight:
    """
    The claims of one daemon, each in one place: a buffer, *sending*, or *answers*.

    An answer stays until it is on disk: `forget`.
    """

    answers: list[Answered] = field(default_factory=list)
    sending: dict[ClaimKey, asyncio.Task[None]] = field(default_factory=dict)
    buffers: defaultdict[str, SendBuffer[Claim]] = field(
        default_factory=lambda: defaultdict(SendBuffer)
    )

    def list_claimed(self) -> frozenset[ClaimKey]:
        """Return every claim that is known here."""
        waiting = (claim.run for buffer in self.buffers.values() for claim in buffer.waiting)
        runs = (*waiting, *(answer.run for answer in self.answers))
        return frozenset({*self.sending, *map(key_of, runs)})

    def has_waiting(self) -> bool:
        """Tell whether a claim waits for the wire."""
        return any(buffer.waiting for buffer in self.buffers.values())

    def hold_back(self, *, accepting: bool) -> list[Claim]:
        """Stop the buffers whose claims may have to go back; return what waits in them."""
        held_back: list[Claim] = []
        for buffer in self.buffers.values():
            if buffer.waiting and (
                buffer.is_blocked
                or not accepting
                or boot_seconds() - buffer.waiting[0].claimed_at > LONGEST_PREFETCH
            ):
                buffer.is_stopped = True
                held_back += buffer.waiting
        return held_back

    def note_pass(self, answers: Sequence[Answered]) -> dict[str, int]:
        """Note what a pass is to record; return how many claims of each account may wait."""
        counts = Counter(answer.run.account for answer in answers)
        for name, buffer in self.buffers.items():
            buffer.note_pass(counts[name])
        return {name: buffer.prefetch for name, buffer in self.buffers.items()}

    def forget(self, answer: Answered) -> None:
        """Let go of an answer that is on disk: its brake has learned of it."""
        self.answers.remove(answer)
        if not answer.is_plain:
            self.buffers[answer.run.account].acknowledge()

    def update(
        self,
        claims: Sequence[Claim],
        released: Sequence[SentRun],
        slots: Mapping[str, int],
        *,
        accepting: bool,
    ) -> None:
        """Take what a pass claimed, let go of what it *released*, and open the buffers again."""
        for claim in claims:
            self.buffers[claim.account.name].waiting.append(claim)
        gone = set(map(key_of, released))
        for name, buffer in self.buffers.items():
            buffer.slots = slots.get(name, buffer.slots)
            buffer.is_stopped = not accepting
            if gone:
                buffer.waiting = deque(
                    claim for claim in buffer.waiting if key_of(claim.run) not in gone
                )
