"""Which inputs of a run failed is asked for once it has ended; those may be sent once more."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from scheduler.clock import Clock
from scheduler.domain.answers import EchoedInputs, Gone, PageErrors, Refused, Unanswered
from scheduler.domain.errors import InvalidInput, NotFound
from scheduler.domain.failed_inputs import (
    MOST_KEPT,
    FailedInput,
    RetryPolicy,
    count_classes,
    find_failed,
    read_retry_policy,
)
from scheduler.domain.new_run import retried_run
from scheduler.domain.records import Account, NewRun, Reason, Run, RunState, Schedule, StoredBody
from scheduler.domain.request import SendAs, render_body
from scheduler.engine.accounts import Upstreams
from scheduler.engine.loop import Wake
from scheduler.engine.rate_limiter import Feedback, feedback_of_answer, open_limiter
from scheduler.engine.stored_body import SentInputs
from scheduler.engine.tuning import ERRORS_AT_ONCE, LARGEST_DATASET, LEASE_MARGIN
from scheduler.storage import accounts, definitions, failed_inputs, parked_inputs, runs, schedules
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import announce
from scheduler.storage.failed_inputs import ToAsk

log = structlog.get_logger()

_AGAIN: Final = timedelta(minutes=1)
_MOST_ASKED: Final = 10
"""So often an upstream that does not answer is asked, twice as long after each time: 8 hours."""

_RETRIED: Final = (
    *(Reason.SOME_INPUTS_FAILED, Reason.DEADLINE_REACHED, Reason.COLLECTION_FAILED),
    Reason.LOW_SUCCESS_RATE,
)
"""Ends whose failed inputs are sent once more: where nothing came of all, a person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    to_ask: ToAsk
    run: Run
    body: StoredBody
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedInputsStep:
    """
    Ask which inputs of ended collections failed, and write the run that sends them once more.

    1. Collections that ended badly are taken, a few of each account, under its limiter.
    2. Their failed pages are listed; where that does not tell of all, the dataset is read, too.
    3. One transaction keeps what failed and writes the run of it, if its schedule wants one: what
       crashes before is asked again, and what is done is never done twice.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    request_timeout: timedelta
    wake_dispatch: Wake

    async def run(self, now: datetime) -> datetime | None:
        """Ask about what is due; return when more is."""
        due = await self.db.read(failed_inputs.find_next)
        if due is None or due > now:
            return due
        taken = await self.db.write(partial(self._claim, now=now))
        for work in taken:
            await self._ask(work)
        if not taken:
            return None  # the brake holds, or others do it: the loop comes again by itself
        return await self.db.read(failed_inputs.find_next)

    def _claim(self, conn: Connection, *, now: datetime) -> list[_Work]:
        taken = []
        for name in failed_inputs.list_accounts(conn, now=now):
            account = accounts.find_account(conn, name)
            if account is None:
                continue
            limiter = open_limiter(conn, account, now=now)
            to_ask = failed_inputs.claim(
                conn,
                name,
                now=now,
                owner=self.owner,
                until=now + 2 * self.request_timeout + LEASE_MARGIN,
                limit=min(ERRORS_AT_ONCE, limiter.questions().count),
            )
            limiter.ask(len(to_ask))
            limiter.close(conn)
            run_of = runs.get_runs(conn, {one.collection.run_id for one in to_ask})
            taken += [
                _Work(
                    to_ask=one,
                    run=(run := run_of[one.collection.run_id]),
                    body=definitions.get_body(conn, str(run.body)),
                    account=account,
                )
                for one in to_ask
            ]
        return taken

    async def _ask(self, work: _Work) -> None:
        feedbacks: list[Feedback] = []
        try:
            found = await self._find(work, feedbacks)
        except Exception as error:  # a bug, or a body that lacks a part: the others go on
            log.exception("look_failed", collection_id=work.to_ask.collection.id)
            found = Unanswered(detail=f"{type(error).__name__} while asking")
        now = self.clock()
        record = partial(self._record, work=work, found=found, feedbacks=feedbacks, now=now)
        child = await self.db.write(record)
        if child is not None:
            self.wake_dispatch()
        _log_found(work, found, child)

    async def _find(
        self, work: _Work, feedbacks: list[Feedback]
    ) -> list[FailedInput] | Refused | Unanswered:
        client = self.upstreams.client(work.account)
        fingerprint = self.upstreams.token_fingerprint(work.account)
        collection = work.to_ask.collection
        listed = await client.get_errors(collection.id)
        feedbacks.append(feedback_of_answer(listed, token_fingerprint=fingerprint))
        if isinstance(listed, Unanswered):
            return listed
        errors = listed.errors if isinstance(listed, PageErrors) else {}
        sent = SentInputs(self.db, work.body)
        failed = await sent.ask(partial(find_failed, errors=errors, dataset=None))
        if _tells_all(work, failed):
            return failed
        dataset = await client.get_inputs(collection.id)
        feedbacks.append(feedback_of_answer(dataset, token_fingerprint=fingerprint))
        if isinstance(dataset, EchoedInputs):
            return await sent.ask(partial(find_failed, errors=errors, dataset=dataset))
        if isinstance(dataset, Unanswered):
            return dataset
        if isinstance(listed, Refused | Gone) and not failed:
            return Refused(detail=listed.detail, status=404)
        return failed

    def _record(
        self,
        conn: Connection,
        *,
        work: _Work,
        found: list[FailedInput] | Refused | Unanswered,
        feedbacks: Sequence[Feedback],
        now: datetime,
    ) -> int | None:
        limiter = open_limiter(conn, work.account, now=now)
        limiter.apply(conn, feedbacks)
        limiter.pay(len(feedbacks) - 1)
        limiter.close(conn)
        collection, asked = work.to_ask.collection, work.to_ask.asked
        if isinstance(found, list):
            is_first = failed_inputs.record(conn, collection, found)
            return _follow_up(conn, work, found, now) if is_first else None
        is_over = isinstance(found, Refused) or asked >= _MOST_ASKED
        again = None if is_over else now + _AGAIN * 2 ** (asked - 1)
        failed_inputs.put_off(conn, collection.id, until=again)
        return None


def _tells_all(work: _Work, failed: Sequence[FailedInput]) -> bool:
    """Tell whether the failed pages tell of each input that brought no row, or the dataset may."""
    collection = work.to_ask.collection
    if collection.lines is not None and collection.lines > LARGEST_DATASET:
        return True
    is_counted = collection.lines is not None and bool(failed)
    return is_counted and len(failed) + (collection.lines or 0) == work.body.row_count


def _follow_up(
    conn: Connection, work: _Work, failed: Sequence[FailedInput], now: datetime
) -> int | None:
    """Send once more what is worth it, return the run of it, and park what fails each time."""
    run = runs.get_run(conn, work.run.id)
    schedule = _schedule_of(conn, run)
    if schedule is None:
        return None
    child, retried = _retry(conn, work, run, schedule, failed, now) or (None, frozenset())
    if schedule.park_after is not None:
        lasting = [one for one in failed if one.position not in retried]
        count = parked_inputs.park(conn, run, lasting, after=schedule.park_after, now=now)
        if count:
            log.warning("inputs_parked", schedule=schedule.name, run_id=run.id, count=count)
    return child


def _retry(
    conn: Connection,
    work: _Work,
    run: Run,
    schedule: Schedule,
    failed: Sequence[FailedInput],
    now: datetime,
) -> tuple[int, frozenset[int]] | None:
    """Write the run of those that are worth it, and return which; None where there is none."""
    is_retried = run.state in (RunState.PARTIAL, RunState.FAILED) and run.reason in _RETRIED
    policy = _policy_of(schedule)
    if policy is None or not is_retried or run.confirm_cancel or len(failed) > MOST_KEPT:
        return None
    chosen = {one.position: one.input for one in failed if policy.retries(one)}
    if not chosen or failed_inputs.count_retries(conn, run.id) >= policy.max:
        return None
    body = render_body(list(chosen.values()), SendAs(work.body.send_as))
    definitions.insert_bodies(conn, [body], now=now)
    run_id = runs.insert_run(conn, _child(run, body, now + policy.after, now), by=_BY)
    parked_inputs.mark_retried(conn, run.id, list(chosen))
    announce(conn)
    return run_id, frozenset(chosen)


def _schedule_of(conn: Connection, run: Run) -> Schedule | None:
    """Return the run's schedule as it is now; None where it is gone or disabled."""
    with suppress(NotFound):
        if run.schedule is not None:
            schedule = schedules.get_schedule(conn, run.schedule).schedule
            return schedule if schedule.enabled else None
    return None


def _policy_of(schedule: Schedule) -> RetryPolicy | None:
    """Return what the schedule says of failed inputs; None where it says nothing."""
    with suppress(InvalidInput):  # one that cannot be read is told as invalid
        if schedule.retry_failed_inputs is not None:
            return read_retry_policy(schedule.retry_failed_inputs)
    return None


_BY: Final = "retry_failed_inputs"


def _child(run: Run, body: StoredBody, not_before: datetime, now: datetime) -> NewRun:
    return replace(
        retried_run(run, now=now),
        body=body.fingerprint,
        reason=Reason.FAILED_INPUTS,
        detail=f"{body.row_count} input{'s' * (body.row_count > 1)} that failed in run {run.id}",
        not_before=not_before,
        failed_inputs_of=run.id,
        finish_by_at=run.finish_by_at,
    )


def _log_found(
    work: _Work, found: list[FailedInput] | Refused | Unanswered, child: int | None
) -> None:
    told = {"run_id": work.run.id, "collection_id": work.to_ask.collection.id}
    if not isinstance(found, list):
        log.warning("failed_inputs_unknown", **told, detail=found.detail)
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in count_classes(found))
    log.info("failed_inputs_found", **told, count=len(found), classes=counts, retried_as=child)
