"""Faults on demand: what can go wrong, and which request it happens to. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from typing import ClassVar

from pydantic import ConfigDict

from scheduler.domain.errors import InvalidInput


class When(StrEnum):
    """Whether the request is carried out before the fault strikes."""

    BEFORE = "before"  # instead of being carried out: no job is created
    AFTER = "after"  # carried out first: the job exists


class FaultKind(StrEnum):
    """What goes wrong, in the words of `Fault`."""

    LOST = "lost"  # the connection is closed without an answer
    RESET = "reset"  # the connection is reset (RST) without an answer
    HALF = "half"  # the headers and half the body, then the connection is closed
    DRIP = "drip"  # the answer comes piece by piece over `seconds`
    HANG = "hang"  # nothing for `seconds`; then the answer (after) or the end (before)
    SLOW = "slow"  # nothing for `seconds`; only then is the request carried out
    ERROR = "error"  # the 5xx `status`
    THROTTLE = "throttle"  # 429, with Retry-After if `retry_after` is set
    JOB_LIMIT = "job_limit"  # the text of the 100-jobs limit
    HTML = "html"  # an HTML page with 200
    PAGE = "page"  # a gateway's page in plain text, with `status`
    REDIRECT = "redirect"  # the 3xx `status`, to a login page elsewhere
    BROKEN_JSON = "broken_json"  # 200, but the JSON breaks off
    NO_ID = "no_id"  # 200 without collection_id
    NO_ETA = "no_eta"  # 200 without start_eta
    NO_STATUS = "no_status"  # a job's log without status (DCA, 2)
    EMPTY = "empty"  # an empty body, as datasets were seen to have (DCA, 2)
    BUILDING_AS_200 = "building_as_200"  # "not ready yet" with 200 instead of 202 (DCA, 2)
    JSON_LINES = "json_lines"  # a dataset as JSON Lines (DCA, 2)
    HUGE = "huge"  # a dataset of so many `megabytes`, streamed
    LATE_LISTING = "late_listing"  # the created job is in the jobs list only after `seconds`
    LATE_COUNT = "late_count"  # the jobs list shows 0 inputs of it until `seconds` are over
    OTHER_NAME = "other_name"  # the jobs list shows the scraper's name, not the batch's
    OTHER_KEYS = "other_keys"  # keys as in `Pages_left`, on the vendor's own page (DCA, 2)
    NUMBERS_AS_TEXT = "numbers_as_text"  # numbers as "12", the success rate as "97%"
    WRAPPED = "wrapped"  # the answer within `data`
    OTHER_WORD = "other_word"  # a job's log with `word` for its status
    NO_ROWS = "no_rows"  # the log of a job that brought nothing, and in which nothing failed
    FAILED_INPUTS = "failed_inputs"  # each other input of the created job fails, with `error`
    BARE_ROWS = "bare_rows"  # the jobs list tells id and status of a job, and no more


_TRIGGER = "/dca/trigger"
_EITHER, _FIRST, _LATER = (When.AFTER, When.BEFORE), (When.BEFORE,), (When.AFTER,)

# Where each kind strikes unless told: the default comes first, what is not listed makes no sense.
_MOMENTS = {
    FaultKind.LOST: _EITHER,
    FaultKind.RESET: (When.BEFORE, When.AFTER),
    FaultKind.HANG: _EITHER,
    FaultKind.ERROR: (When.BEFORE, When.AFTER),
    FaultKind.HTML: (When.BEFORE, When.AFTER),
    FaultKind.PAGE: (When.BEFORE, When.AFTER),
    FaultKind.REDIRECT: (When.BEFORE, When.AFTER),
    FaultKind.SLOW: _FIRST,
    FaultKind.THROTTLE: _FIRST,
    FaultKind.JOB_LIMIT: _FIRST,
}
_PATHS = {
    FaultKind.NO_STATUS: "/dca/log/*",
    FaultKind.OTHER_KEYS: "/dca/log/*",
    FaultKind.NUMBERS_AS_TEXT: "/dca/log/*",
    FaultKind.WRAPPED: "/dca/*",
    FaultKind.OTHER_WORD: "/dca/log/*",
    FaultKind.NO_ROWS: "/dca/log/*",
    FaultKind.BARE_ROWS: "/dca/collector/jobs",
    FaultKind.EMPTY: "/dca/dataset",
    FaultKind.BUILDING_AS_200: "/dca/dataset",
    FaultKind.JSON_LINES: "/dca/dataset",
    FaultKind.HUGE: "/dca/dataset",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One thing that goes wrong, *times* times (None: until disarmed).

    It strikes requests whose path matches *path* (`*` is any text; by default the place where the
    kind belongs, usually /dca/trigger) and, if *collector* is set, whose query names it: the first
    *skip* are spared, the others hit with *probability*, drawn from *seed*. A fault that strikes
    `after` waits for a request that was accepted.

    Raises InvalidInput for a moment that the kind cannot have.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: FaultKind
    times: int | None = 1
    path: str | None = None
    collector: str | None = None
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    when: When | None = None
    seconds: float = 1.0
    status: int = 500
    retry_after: int | None = None
    word: str = "completed"
    error: str = "infra_error"
    megabytes: int = 100

    def __post_init__(self) -> None:
        if self.moment not in self._moments:
            raise InvalidInput(f"the fault {self.kind} cannot strike {self.when} the request")

    @property
    def moment(self) -> When:
        """When it strikes: as told, or as its kind usually does."""
        return self.when or self._moments[0]

    def concerns(self, path: str, collector: str | None) -> bool:
        """Tell whether a request to *path* that names *collector* is one it may strike."""
        pattern = self.path or _PATHS.get(self.kind, _TRIGGER)
        return fnmatchcase(path, pattern) and self.collector in (None, collector)

    @property
    def _moments(self) -> tuple[When, ...]:
        return _MOMENTS.get(self.kind, _LATER)


@dataclass(slots=True)
class _Armed:
    fault: Fault
    chance: Random = field(init=False)
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        self.chance = Random(self.fault.seed)  # noqa: S311 - repeatable on purpose

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times

    def strikes(self) -> bool:
        self.seen += 1
        hit = self.seen > self.fault.skip and self.chance.random() < self.fault.probability
        self.struck += hit
        return hit


class FaultPlan:
    """The armed faults, asked for each request. The first that strikes wins."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._armed = [_Armed(fault) for fault in faults]

    def arm(self, fault: Fault) -> None:
        """Let *fault* strike from the next request on."""
        self._armed.append(_Armed(fault))

    def disarm(self) -> None:
        """Forget every armed fault."""
        self._armed.clear()

    def pick(self, path: str, collector: str | None, moment: When) -> Fault | None:
        """Return the fault that strikes this request at *moment*, and count it as used."""
        for armed in self._armed:
            fault = armed.fault
            if fault.moment is moment and fault.concerns(path, collector) and armed.strikes():
                self._armed = [other for other in self._armed if not other.spent]
                return fault
        return None
