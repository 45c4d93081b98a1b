"""Did a collection succeed? Its status alone does not tell (DCA, 2)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from scheduler.domain.answers import CollectionLog
from scheduler.domain.records import Reason, RunState

FORGOTTEN_AFTER: Final = timedelta(minutes=10)
"""From this age on, a collection that the upstream does not know is gone; before, it is new."""

KEPT_FOR: Final = timedelta(days=16)
"""The upstream keeps results for so long (DCA, 1); past it no end will be seen any more."""

LATE_AFTER: Final = timedelta(seconds=10)
"""
A collection may wait so long to be polled while triggers go first.

After that questions do, by turns, until they have caught up: runs that never end let nothing begin.
"""

_GOES_ON: Final = frozenset(
    {"building", "running", "paused", "queued", "pending", "starting", "in_progress", "processing"}
)
_FAILED: Final = frozenset({"failed", "failure", "error", "errored", "crashed"})
_CANCELLED: Final = frozenset({"cancelled", "canceled", "stopped"})
_DONE: Final = frozenset(
    {"done", "finished", "ready", "success", "succeeded", "complete", "completed"}
)
_DONE_WITH_ERRORS: Final = frozenset(
    {f"{word}_with_{what}" for word in _DONE for what in ("errors", "warnings", "failures")}
) | {"partial"}
_OUT_OF_TIME: Final = frozenset({"timeout", "timed_out", "timedout", "expired"})
_CUT_OFF: Final = _OUT_OF_TIME | {"aborted", "terminated", "killed", "interrupted"}
_SUFFICES: Final = 3
"""From so many good runs on, what they brought is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a collection ended: the state of its run, why, and what a person should know."""

    state: RunState
    reason: Reason
    detail: str | None = None


def judge(log: CollectionLog, *, deadline: timedelta | None) -> Verdict | None:
    """
    Return how the collection ended, None while it has not.

    A log with no status, or with a word that is not known, has ended when it tells a finish. What
    *deadline* cut off is partial: the document has no status for it, so pages left, or a life as
    long as the deadline, tell.
    """
    word = re.sub(r"[\s-]+", "_", (log.status or "").strip().lower())
    if word in _GOES_ON:
        return None
    if word in _CANCELLED:
        return Verdict(state=RunState.CANCELLED, reason=Reason.COLLECTION_CANCELLED)
    if word in _FAILED or (word in _CUT_OFF and not log.lines):
        return _verdict(RunState.FAILED, Reason.COLLECTION_FAILED, log)
    if word in _OUT_OF_TIME:
        return _verdict(RunState.PARTIAL, Reason.DEADLINE_REACHED, log)
    if word in _CUT_OFF:
        return _verdict(RunState.PARTIAL, Reason.SOME_INPUTS_FAILED, log)
    if word in _DONE or (not word and log.finished_at is not None):
        return _judge_done(log, deadline)
    if word in _DONE_WITH_ERRORS or log.finished_at is not None:
        return _judge_doubtful(log, deadline)
    return None


def _judge_doubtful(log: CollectionLog, deadline: timedelta | None) -> Verdict:
    """Only a full success by its numbers is one, whatever an unknown word may mean."""
    verdict = _judge_done(log, deadline)
    if verdict.state is not RunState.SUCCEEDED:
        return verdict
    word = str(log.status)
    if log.success_rate == 1.0 and log.lines and "with" not in word.lower() and word != "partial":
        return Verdict(state=verdict.state, reason=verdict.reason, detail=_told(log))
    return _verdict(RunState.PARTIAL, Reason.SOME_INPUTS_FAILED, log)


def _judge_done(log: CollectionLog, deadline: timedelta | None) -> Verdict:
    if log.pages_left or _lived_to(log, deadline):
        return _verdict(RunState.PARTIAL, Reason.DEADLINE_REACHED, log)
    if not log.fails and log.success_rate in (None, 1.0):
        return Verdict(state=RunState.SUCCEEDED, reason=Reason.DONE)
    if _brought_nothing(log):
        return _verdict(RunState.FAILED, Reason.COLLECTION_FAILED, log)
    return _verdict(RunState.PARTIAL, Reason.SOME_INPUTS_FAILED, log)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRules:
    """
    What is to come of a run; *usual* are the rows of its schedule's last good runs.

    Without *min_rows* one row must come: an upstream that changed brings none, and calls it done.
    """

    min_rows: int | None = None
    min_rows_per_input: float | None = None
    min_success_rate: float | None = None
    max_fall_percent: int | None = None
    usual: Sequence[int] = ()


def judge_rows(verdict: Verdict, log: CollectionLog, rules: RowRules) -> Verdict:
    """Return *verdict*, or a worse one where less came than *rules* ask for; it names the rule."""
    if verdict.reason not in (Reason.DONE, Reason.SOME_INPUTS_FAILED):
        return verdict
    return (
        _below_rows(log, rules)
        or _below_rate(log, rules)
        or _below_rows_per_input(log, rules)
        or _fallen(log, rules)
        or verdict
    )


def _below_rows(log: CollectionLog, rules: RowRules) -> Verdict | None:
    least = 1 if rules.min_rows is None else rules.min_rows
    if log.lines is None or log.lines >= least:
        return None
    reason = Reason.TOO_FEW_ROWS if log.lines else Reason.NO_ROWS
    return _verdict(RunState.FAILED, reason, log, f"at least {least} rows are to come (min_rows)")


def _below_rate(log: CollectionLog, rules: RowRules) -> Verdict | None:
    rate = success_rate_of(log)
    if rules.min_success_rate is None or rate is None or rate >= rules.min_success_rate:
        return None
    why = f"its success rate is {rate:.3g}, at least {rules.min_success_rate:g} is to be"
    return _verdict(RunState.FAILED, Reason.LOW_SUCCESS_RATE, log, f"{why} (min_success_rate)")


def _below_rows_per_input(log: CollectionLog, rules: RowRules) -> Verdict | None:
    least = rules.min_rows_per_input
    if least is None or log.lines is None or not log.inputs or log.lines >= least * log.inputs:
        return None
    why = f"{log.lines / log.inputs:.3g} rows came for each input, at least {least:g} are to"
    return _verdict(RunState.FAILED, Reason.TOO_FEW_ROWS, log, f"{why} (min_rows_per_input)")


def _fallen(log: CollectionLog, rules: RowRules) -> Verdict | None:
    percent = rules.max_fall_percent
    if percent is None or log.lines is None or len(rules.usual) < _SUFFICES:
        return None
    usual = median(rules.usual)
    if log.lines * 100 >= usual * (100 - percent):
        return None
    fall = f"{usual:g} rows are usual, {percent} % fewer may come (max_fall_percent)"
    return _verdict(RunState.PARTIAL, Reason.TOO_FEW_ROWS, log, fall)


def success_rate_of(log: CollectionLog) -> float | None:
    """Return the share of pages that came: the upstream's, or by its counts; None if untold."""
    if log.success_rate is not None:
        return log.success_rate
    tried = log.pages or log.inputs
    if log.fails is None or not tried:
        return None
    return max(0.0, 1 - log.fails / tried)


def is_clear(verdict: Verdict, log: CollectionLog) -> bool:
    """Tell whether a row of the jobs list may end a run by itself: well, with rows, in words."""
    is_good = (verdict.state, verdict.reason) == (RunState.SUCCEEDED, Reason.DONE)
    is_counted = bool(log.lines) and log.fails == 0 and log.finished_at is not None
    return is_good and is_counted and verdict.detail is None


def _verdict(state: RunState, reason: Reason, log: CollectionLog, *why: str) -> Verdict:
    return Verdict(state=state, reason=reason, detail="; ".join((*why, _told(log))) or None)


def _told(log: CollectionLog) -> str:
    """Return the counts, after the upstream's word where it is none of the document's."""
    is_documented = (log.status or "done").strip().lower() in _DOCUMENTED
    words = (None if is_documented else f"the upstream calls it {log.status}", _counts(log))
    return ": ".join(word for word in words if word)


_DOCUMENTED: Final = _CANCELLED | {"done", "failed"}


def _brought_nothing(log: CollectionLog) -> bool:
    if log.lines is None:
        return log.success_rate == 0.0 or (log.success_rate is None and _all_failed(log))
    return log.lines == 0 and (bool(log.fails) or log.success_rate == 0.0)


def _all_failed(log: CollectionLog) -> bool:
    return log.fails is not None and log.inputs is not None and log.fails >= log.inputs


def _lived_to(log: CollectionLog, deadline: timedelta | None) -> bool:
    if deadline is None or log.started_at is None or log.finished_at is None:
        return False
    return log.finished_at - log.started_at >= deadline


def _counts(log: CollectionLog) -> str:
    counts = (
        ("inputs", log.inputs),
        ("lines", log.lines),
        ("failed pages", log.fails),
        ("pages left", log.pages_left),
    )
    return ", ".join(f"{count} {what}" for what, count in counts if count is not None)


def next_poll_after(
    accepted_at: datetime, now: datetime, *, poll_initial: timedelta, poll_max: timedelta
) -> datetime:
    """Return when to poll again: a tenth of the collection's age from now, within both pauses."""
    age = now - accepted_at
    return now + min(max(age / 10, poll_initial), poll_max)


_DEADLINE_MARGIN: Final = timedelta(minutes=10)


def is_overdue(
    accepted_at: datetime,
    started_at: datetime | None,
    now: datetime,
    *,
    deadline: timedelta | None,
    overdue_after: timedelta,
) -> bool:
    """Tell whether a collection that has not ended should have: by its *deadline*, or at all."""
    if deadline is not None and started_at is not None:
        return now - started_at > deadline + _DEADLINE_MARGIN
    return now - accepted_at > overdue_after + (deadline or timedelta())


def judge_unknown(accepted_at: datetime, now: datetime) -> Verdict | None:
    """Return what becomes of a collection that the upstream does not know; None: ask again."""
    if now - accepted_at < FORGOTTEN_AFTER:
        return None
    return Verdict(
        state=RunState.FAILED,
        reason=Reason.COLLECTION_GONE,
        detail="the upstream does not know it (any more)",
    )


def judge_endless(accepted_at: datetime, now: datetime) -> Verdict | None:
    """Return what becomes of a collection that has not ended; None: it may still."""
    if now - accepted_at < KEPT_FOR:
        return None
    return Verdict(
        state=RunState.FAILED,
        reason=Reason.COLLECTION_GONE,
        detail="no end was seen for as long as the upstream keeps results",
    )
