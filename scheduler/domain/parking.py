"""Which inputs are parked: those that failed in each of a schedule's last runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from scheduler.domain.failed_inputs import ErrorClass
from scheduler.domain.records import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedInput:
    """
    An input that a schedule leaves out, since when, and why: the error of *run_id*.

    *kind* is what helps against that.
    """

    id: int
    schedule: str
    input: JsonObject
    error: str
    kind: ErrorClass
    run_id: int
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class EndedPart:
    """A run of an occurrence that ended by its collection, and how many of its inputs failed."""

    due_at: datetime
    is_retry: bool
    inputs: int
    failed: int

    @property
    def is_silent(self) -> bool:
        """Tell whether it says nothing of any one input: of several none came."""
        return not self.is_retry and 1 < self.inputs <= self.failed


def last_occurrences(newest_first: Iterable[EndedPart], count: int) -> list[datetime]:
    """
    Return when the last *count* occurrences were due that tell which inputs fail, or fewer.

    One of several inputs none of which came is left out: that was an outage, or the scraper.
    """
    found: list[datetime] = []
    for due_at, parts in groupby(newest_first, key=lambda part: part.due_at):
        if len(found) == count:
            break
        if due_at not in found and not _is_silent(tuple(parts)):
            found.append(due_at)
    return found


def _is_silent(parts: Sequence[EndedPart]) -> bool:
    return any(part.is_silent for part in parts)


def parked_sentence(count: int) -> str:
    """Say that so many inputs are left out."""
    one = count == 1
    return (
        f"{count} input{'' if one else 's'} {'is' if one else 'are'} parked: left out, for"
        f" {'it' if one else 'they'} failed in each of the last runs"
    )
