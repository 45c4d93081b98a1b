"""The log of every request received: the judge of what a client really did."""

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from scheduler.sandbox.answers import Answer, SandboxCall, timestamp
from scheduler.sandbox.fault_plan import Fault


@dataclass(slots=True, kw_only=True)
class ReceivedRequest:
    """
    One request, noted when its headers arrive and completed when it is answered.

    *status* is what the client was sent; None if the body never arrived, a fault took the answer
    away, or it is still on its way. *collection_id* tells whether a job was created all the same.
    """

    number: int
    at: datetime
    peer: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    content_type: str
    body_bytes: int | None = None
    body_sha256: str | None = None
    inputs: int | None = None
    fault: str | None = None
    status: int | None = None
    collection_id: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return it as /sandbox/log tells it."""
        return {
            "number": self.number,
            "at": timestamp(self.at),
            "peer": self.peer,
            "method": self.method,
            "path": self.path,
            "query": [list(pair) for pair in self.query],
            "content_type": self.content_type,
            "body_bytes": self.body_bytes,
            "body_sha256": self.body_sha256,
            "inputs": self.inputs,
            "fault": self.fault,
            "status": self.status,
            "collection_id": self.collection_id,
        }


@dataclass(slots=True)
class Journal:
    """The latest *limit* requests, numbered from 1 in order of arrival."""

    limit: int
    received: int = 0
    _requests: deque[ReceivedRequest] = field(init=False)

    def __post_init__(self) -> None:
        self._requests = deque(maxlen=self.limit)

    def __iter__(self) -> Iterator[ReceivedRequest]:
        return iter(self._requests)

    def note(self, call: SandboxCall, at: datetime) -> ReceivedRequest:
        """Add *call*, whose body need not have arrived yet."""
        self.received += 1
        request = ReceivedRequest(
            number=self.received,
            at=at,
            peer=call.peer,
            method=call.method,
            path=call.path,
            query=call.query,
            content_type=call.content_type,
        )
        self._requests.append(request)
        return request


def note_body(request: ReceivedRequest, body: bytes) -> None:
    """Complete *request* with the body that arrived."""
    request.body_bytes = len(body)
    request.body_sha256 = hashlib.sha256(body).hexdigest()


def note_outcome(
    request: ReceivedRequest, answer: Answer, fault: Fault | None, *, sent: bool
) -> None:
    """Complete *request* with what came of it."""
    request.fault = fault.kind.value if fault else None
    request.collection_id = answer.collection_id
    request.status = answer.status if sent else None
