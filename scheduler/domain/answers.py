"""What the upstream says to a question, as a value (DCA, 2). To a trigger: see reply."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
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

    *status* is the upstream's own word, of which there are more than it documents. What is told by
    a row of the jobs list *is_listed*: it lacks the success rate, and has what is billed.
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
    page_loads: int | None = None
    failed_pages: int | None = None
    expired: bool | None = None
    is_listed: bool = False


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
    page_loads: int | None = None
    total_pages: int | None = None
    failed_pages: int | None = None
    data_lines: int | None = None
    expired: bool | None = None
    trigger_type: str | None = None

    @property
    def tells_status(self) -> bool:
        """Tell whether the row says if the job has ended."""
        return self.status is not None or self.finished_at is not None

    def as_log(self) -> CollectionLog:
        """Return what the row tells of how the collection fares, as its log would."""
        loads, pages = self.page_loads, self.total_pages
        is_loaded = loads is None or pages is None or loads >= pages
        return CollectionLog(
            status=self.status,
            inputs=self.inputs or None,  # "counted late": a row without its inputs yet shows 0
            lines=self.data_lines,
            fails=self.failed_pages,
            pages=loads,
            pages_left=0 if is_loaded else (pages or 0) - (loads or 0),
            success_rate=None,
            created_at=self.queued_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            page_loads=loads,
            failed_pages=self.failed_pages,
            expired=self.expired,
            is_listed=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsPage:
    """
    One page of a collector's jobs, and how many there are on all; None if it does not say.

    *unread* rows have no readable id: any of them may be any job.
    """

    jobs: tuple[ListedJob, ...]
    total: int | None
    unread: int = 0


@dataclass(frozen=True, slots=True)
class AskLog:
    """The jobs list does not tell enough of a collection: only its log can end its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoedInputs:
    """
    The inputs that a collection's rows name, each as `input_key` writes it.

    An input that made no row is not among them, so a collection that is ours may echo less than
    was sent, or nothing; one that echoes anything else is not ours. *is_whole* is False if more
    rows were there than could be kept or understood. Those that brought a row are *good*; of the
    others the *errors* tell, by input.
    """

    keys: frozenset[str]
    is_whole: bool
    good: frozenset[str] = field(default=frozenset(), compare=False)
    errors: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Done:
    """The upstream did what it was asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The upstream would not: its own words."""

    detail: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageErrors:
    """Which pages of a job failed, and why: the first error of each URL, a code or prose."""

    errors: Mapping[str, str]


ErrorsAnswer = PageErrors | Refused | Gone | Unanswered
LogAnswer = CollectionLog | Gone | Unanswered
PollAnswer = LogAnswer | AskLog
PageAnswer = JobsPage | Refused | Unanswered
JobsAnswer = tuple[ListedJob, ...] | Unanswered
InputsAnswer = EchoedInputs | NotReady | Gone | Unanswered
CancelAnswer = Done | Refused | Unanswered
DownloadAnswer = Done | NotReady | Gone | Refused | Unanswered


def input_key(job: Mapping[str, object]) -> str:
    """Write an input so that two with the same fields and values are the same text."""
    return json.dumps(job, sort_keys=True, separators=(",", ":"))
