"""Which inputs of a run failed, why, and which of them are worth another trigger."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from scheduler.domain.answers import EchoedInputs, input_key
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import JsonObject

MOST_KEPT: Final = 10_000
"""Of a run so many failed inputs are kept, the first; where there are more, none is retried."""

MISSING: Final = "missing"
"""The error of an input of which the dataset has no row, and which nothing else tells of."""


class ErrorClass(StrEnum):
    """What helps against an error (DCA, 2: "error codes in rows, by what helps")."""

    LATER = "later"
    NEVER = "never"
    SCRAPER = "scraper"  # it needs mending
    ACCESS = "access"
    CONFIGURATION = "configuration"
    TERMINATED = "terminated"
    MISSING = "missing"
    OTHER = "other"


_CODES: Final[Mapping[ErrorClass, tuple[str, ...]]] = {
    ErrorClass.LATER: ("infra_error", "worker_too_busy", "net_err_*", "runner_disconnected"),
    ErrorClass.NEVER: ("bad_input", "dead_page"),
    ErrorClass.SCRAPER: ("parse_error", "wait_element_timeout", "click_timeout"),
    ErrorClass.ACCESS: (
        *("blocked", "detect_block", "detection_block", "captcha_timeout", "proxy*", "no_peers"),
    ),
    ErrorClass.CONFIGURATION: ("too_many_pages", "job_run_timeout"),
    ErrorClass.TERMINATED: ("aborted_page", "aborted"),
    ErrorClass.MISSING: (MISSING,),
}
_USUALLY_RETRIED: Final = (
    *(ErrorClass.LATER, ErrorClass.ACCESS, ErrorClass.TERMINATED),
    *(ErrorClass.MISSING, ErrorClass.OTHER),
)


def classify(error: str) -> ErrorClass:
    """Return what helps against *error*, a code or prose."""
    code = error.strip().lower()
    for kind, patterns in _CODES.items():
        if any(fnmatchcase(code, pattern) for pattern in patterns):
            return kind
    return ErrorClass.OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedInput:
    """An input that brought nothing: its place among those sent, from 0, and why."""

    position: int
    input: JsonObject
    error: str

    @property
    def error_class(self) -> ErrorClass:
        """Return what helps against it."""
        return classify(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """
    How often failed inputs are sent once more, and how long after their run has ended.

    *only* are classes of errors, or codes with `*` for any text.
    """

    max: int
    after: timedelta
    only: tuple[str, ...]

    def retries(self, failed: FailedInput) -> bool:
        """Tell whether *failed* is sent once more."""
        words = (failed.error_class.value, failed.error.strip().lower())
        return any(fnmatchcase(word, pattern) for word in words for pattern in self.only)


_MOST_RETRIES: Final = 10
_KEYS: Final = frozenset({"max", "after", "only"})


def read_retry_policy(given: object) -> RetryPolicy:
    """Read the value of `retry_failed_inputs`, or its JSON text; raises InvalidInput."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise InvalidInput("is no JSON object") from None
    if not isinstance(given, dict) or not given.keys() <= _KEYS:
        raise InvalidInput('is an object such as { max = 2, after = "30m", only = ["later"] }')
    most, only = given.get("max", 1), given.get("only", _USUALLY_RETRIED)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_RETRIES:
        raise InvalidInput(f"max is a number from 1 to {_MOST_RETRIES}")
    if not isinstance(only, list | tuple) or not only or not all(_is_word(one) for one in only):
        raise InvalidInput(
            "only is a list of error codes, `*` for any text, or of "
            + ", ".join(kind.value for kind in ErrorClass)
        )
    after = given.get("after")
    if not isinstance(after, str | None):
        raise InvalidInput('after is a duration such as "30m"')
    pause = timedelta() if after is None else parse_duration(after)
    return RetryPolicy(max=most, after=pause, only=tuple(only))


def _is_word(one: object) -> bool:
    return isinstance(one, str) and bool(one.strip()) and len(one) < _LONGEST_WORD


_LONGEST_WORD: Final = 100


def find_failed(
    sent: Iterable[JsonObject], errors: Mapping[str, str], dataset: EchoedInputs | None
) -> list[FailedInput]:
    """
    Return those of *sent* that failed, in their order, all of them.

    *errors* are of pages, by their URL; the *dataset* tells of rows. An input of which any row
    came has not failed. One that nothing tells of is missing only where the dataset was whole.
    """
    failed = []
    for position, item in enumerate(sent):
        error = _error_of(item, errors, dataset)
        if error is not None:
            failed.append(FailedInput(position=position, input=item, error=error))
    return failed


def _error_of(
    item: JsonObject, errors: Mapping[str, str], dataset: EchoedInputs | None
) -> str | None:
    of_page = errors.get(str(item.get("url")))
    if dataset is None:
        return of_page
    key = input_key(item)
    if key in dataset.good:
        return None
    silence = MISSING if dataset.is_whole else None
    return dataset.errors.get(key) or of_page or silence


def count_classes(failed: Iterable[FailedInput]) -> Iterator[tuple[str, int]]:
    """Yield each class among *failed* and how many there are, in the order of the classes."""
    kinds = [one.error_class for one in failed]
    return ((kind.value, kinds.count(kind)) for kind in ErrorClass if kind in kinds)
