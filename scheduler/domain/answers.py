"""What the upstream says to a question, as a value (DCA, 2). To a trigger: see reply."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The upstream does not know the collection, or no longer: it keeps results for 16 days."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """
    No usable answer. The question may be asked again; nothing is known.

    *throttled* is a 429, to be counted as one; *credentials* a 401 or 403.
    """

    detail: str
    status: int | None = None
    throttled: bool = False
    credentials: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReady:
    """The collection is still running, or has nothing to show yet."""

    detail: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionLog:
    """
    How a collection fares; whatever is missing or unreadable is None.

    *status* is the upstream's own word, of which there are more than it documents.
    """

    status: str | None
    inputs: int | None
    lines: int | None
    fails: int | None
    pages: int | None
    pages_left: int | None
    success_rate: float | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """One row of a collector's jobs; only its *id* is sure to be there."""

    id: str
    status: str | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    inputs: int | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoedInputs:
    """
    The inputs that a collection's rows name, each as `input_key` writes it.

    An input that made no row is not among them, so a collection that is ours may echo less than
    was sent, or nothing; one that echoes anything else is not ours. *is_whole* is False if more
    rows were there than could be kept or understood.
    """

    keys: frozenset[str]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Done:
    """The upstream did what it was asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The upstream would not: its own words."""

    detail: str
    status: int


LogAnswer = CollectionLog | Gone | Unanswered
JobsAnswer = tuple[ListedJob, ...] | Unanswered
InputsAnswer = EchoedInputs | NotReady | Gone | Unanswered
CancelAnswer = Done | Refused | Unanswered


def input_key(one: Mapping[str, object]) -> str:
    """Write an input so that two with the same fields and values are the same text."""
    return json.dumps(one, sort_keys=True, separators=(",", ":"))
