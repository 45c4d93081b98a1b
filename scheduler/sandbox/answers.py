"""A request as the sandbox sees it and an answer before it meets the wire, both plain values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCall:
    """One request, read whole. *query* keeps the order and repetitions it arrived with."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    authorization: str = ""
    content_type: str = ""
    body: bytes = b""
    peer: str = "127.0.0.1"

    def param(self, name: str) -> str | None:
        """Return the first value of the query parameter *name*; None if it is absent or empty."""
        return next((value for key, value in self.query if key == name and value), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What will be sent. *collection_id* names the job that the request created."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    collection_id: str | None = None


class RequestRefused(Exception):
    """A request that gets an error instead of being carried out."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer = error_answer(status, text)


def json_answer(value: object, *, status: int = 200, collection_id: str | None = None) -> Answer:
    """Return *value* as a JSON answer."""
    return Answer(status=status, body=json.dumps(value).encode(), collection_id=collection_id)


def error_answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return `{"error": text}`, the shape of every documented error (DCA, 1)."""
    body = json.dumps({"error": text}).encode()
    return Answer(status=status, body=body, headers=headers or {})


def timestamp(moment: datetime | None) -> str | None:
    """Write *moment* as the upstream does: UTC, milliseconds, `Z` (DCA, 1: start_eta)."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
