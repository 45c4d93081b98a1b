"""Collections are followed, gently, until they have ended; and cancelled where that was asked."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, assert_never
from urllib.parse import parse_qs

import structlog

from scheduler.clock import Clock, boot_seconds
from scheduler.domain.answers import AskLog, CollectionLog, Gone, Unanswered
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import Collection, Reason, Run, RunState
from scheduler.domain.verdict import (
    RowRules,
    Verdict,
    is_clear,
    is_overdue,
    judge,
    judge_endless,
    judge_rows,
    judge_unknown,
    next_poll_after,
)
from scheduler.engine.accounts import Upstreams
from scheduler.engine.course import Expectations, cancel_overrun, expect_ends
from scheduler.engine.failures import pause_failing
from scheduler.engine.loop import Wake
from scheduler.engine.other_jobs import keep_others
from scheduler.engine.polls import Asker, Chosen, Heard, Poll, Question, Seen, choose
from scheduler.engine.rate_limiter import RateLimiter, close_limiters, open_limiters
from scheduler.engine.tuning import LEASE_MARGIN, MOST_FOLLOWED, QUESTIONS_AT_ONCE
from scheduler.storage import accounts, collections_, expected_rows, other_jobs, results, runs
from scheduler.storage.collections_ import Polled
from scheduler.storage.database import Connection, Database
from scheduler.storage.expected_rows import OfRun
from scheduler.storage.runs import followed, outcomes
from scheduler.storage.runs.followed import EndedCollection

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """
    What was seen of a collection, and its verdict; None while it has not ended.

    *asks_log* where only its log can tell, which is asked for at once.
    """

    seen: Seen
    verdict: Verdict | None
    asks_log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What one transaction did: the questions to ask, and what came of those that were."""

    questions: list[Question]
    judged: list[_Judged]
    overdue: list[Poll]
    cancelled: list[Poll]
    others_ended: bool
    next_due_at: datetime | None
    ask_again_at: datetime | None


@dataclass(kw_only=True)
class FollowStep:
    """
    Ask how collections are doing, a few at a time, and end their runs when they have ended.

    1. One transaction records what was seen, and judges it: ended runs end, overdue ones are told.
    2. It opens the limiters of the accounts that were polled or have a poll due.
    3. It takes what is due next, a few questions of each account: a page of the jobs list for all
       of a collector that are due or soon will be, a log for one alone.
    4. Each question is asked by itself, so that one that hangs holds up no other, and its answer is
       kept here for the next pass.

    By the list alone a run only ends well. Whatever is doubtful there, the log is asked for.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    poll_initial: timedelta
    poll_max: timedelta
    overdue_after: timedelta
    request_timeout: timedelta
    wake: Wake
    wake_dispatch: Wake
    accepting: bool = True
    _heard: list[Heard] = field(default_factory=list)
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @cached_property
    def _asker(self) -> Asker:
        return Asker(
            upstreams=self.upstreams, clock=self.clock, request_timeout=self.request_timeout
        )

    @property
    def in_flight(self) -> int:
        """How many questions are out, or answered and not yet recorded."""
        return len(self._asking) + len(self._heard)

    async def run(self, now: datetime) -> datetime | None:
        """Record what was seen, and poll what is due; return when the next is."""
        heard = list(self._heard)
        if not heard:
            due = await self.db.read(collections_.find_next_poll)
            if due is None or due > now:
                return due
        # Here and not in the transaction: meanwhile, what was asked may be answered.
        asking = Counter(task.get_name() for task in self._asking.values())
        done = await self.db.write(partial(self._pass, heard=heard, asking=asking, now=now))
        del self._heard[: len(heard)]
        self._note_singles(done.judged)
        _log_polls(done)
        if any(one.verdict for one in done.judged) or done.overdue or done.others_ended:
            self.wake_dispatch()  # a collector has room for another
        for question in done.questions:
            task = asyncio.create_task(self._ask(question), name=question.account.name)
            self._asking[question.polls[0].collection.id] = task
        # What is due and was not taken waits for an answer, or for the brake.
        moments = (done.next_due_at, done.ask_again_at)
        return min((moment for moment in moments if moment is not None), default=None)

    def _note_singles(self, judged: Sequence[_Judged]) -> None:
        """Remember whose log is to be asked for, as long as they have not ended."""
        for one in judged:
            if one.asks_log:
                self._asker.singly.add(one.seen.poll.collection.id)
            elif one.verdict is not None:
                self._asker.singly.discard(one.seen.poll.collection.id)

    async def drain(self, grace: timedelta) -> None:
        """Poll nothing more, wait for the polls under way, and record what they saw."""
        self.accepting = False
        if self._asking:
            await asyncio.wait(list(self._asking.values()), timeout=grace.total_seconds())
        try:
            await self.run(self.clock())
        except DatabaseError as error:
            log.warning("loop_failed", loop="follow", error=str(error))

    def _pass(
        self, conn: Connection, *, heard: Sequence[Heard], asking: Mapping[str, int], now: datetime
    ) -> _Pass:
        judged = self._record(conn, heard, now)
        overdue = self._overdue(judged, now)
        followed.mark_overdue(conn, [poll.run.id for poll in overdue], now=now)
        going_on = [one.seen for one in judged if one.verdict is None]
        cancelled = cancel_overrun(conn, going_on, overdue, now=now)
        others_ended = self._keep_others(conn, heard, now)
        concerned = {one.account for one in heard}
        concerned |= {*collections_.list_accounts_to_poll(conn, now=now)}
        limiters = open_limiters(conn, accounts.list_named(conn, concerned), now=now)
        questions: list[Question] = []
        again: list[datetime | None] = []
        for limiter in limiters:
            _settle(conn, limiter, heard)
            free = QUESTIONS_AT_ONCE - asking.get(limiter.account.name, 0)
            most = min(free, limiter.questions().count)
            taken = self._take(conn, limiter, most, now=now)
            questions += taken
            if len(taken) >= most:
                again.append(limiter.questions().ask_again_at)
        close_limiters(conn, limiters)
        return _Pass(
            questions=questions,
            judged=judged,
            overdue=overdue,
            cancelled=cancelled,
            others_ended=others_ended,
            next_due_at=collections_.find_next_poll(conn, after=now),
            ask_again_at=min((moment for moment in again if moment is not None), default=None),
        )

    def _take(
        self, conn: Connection, limiter: RateLimiter, most: int, *, now: datetime
    ) -> list[Question]:
        if most <= 0 or not self.accepting:
            return []
        account = limiter.account
        due = collections_.list_due_polls(
            conn, account.name, now=now, until=now + self.poll_initial, limit=MOST_FOLLOWED
        )
        chosen = choose(
            due,
            now=now,
            singly=self._asker.singly,
            unlisted=self._asker.unlisted(account.name, now),
            most=most,
        )
        taken = self._claim(conn, chosen, now)
        limiter.ask(sum(group[0] in taken for group in map(_ids, chosen)))
        of_groups = ([taken[one] for one in group.ids if one in taken] for group in chosen)
        return [Question(account=account, polls=tuple(polls)) for polls in of_groups if polls]

    def _claim(self, conn: Connection, chosen: Sequence[Chosen], now: datetime) -> dict[str, Poll]:
        """Take the first of each question under a lease, and those beside it until it ends."""
        if not chosen:
            return {}
        claimed = collections_.claim_polls(
            conn,
            [group.ids[0] for group in chosen],
            beside=[one for group in chosen for one in group.ids[1:]],
            now=now,
            owner=self.owner,
            lease_until=now + 2 * self.request_timeout + LEASE_MARGIN,
        )
        run_of = runs.get_runs(conn, {collection.run_id for collection in claimed})
        return {
            collection.id: Poll(collection=collection, run=run_of[collection.run_id])
            for collection in claimed
            if collection.run_id in run_of
        }

    async def _ask(self, question: Question) -> None:
        try:
            heard = await self._asker.ask(question)
        except Exception as error:  # a bug: the next poll is due all the same
            first = question.polls[0].collection.id
            log.exception("look_failed", collection_id=first)
            answer = Unanswered(detail=f"{type(error).__name__} while asking")
            at = self.clock()
            seen = [Seen(poll=poll, answer=answer, at=at) for poll in question.polls]
            heard = Heard(question=question, seen=seen)
        self._heard.append(heard)
        self._asking.pop(question.polls[0].collection.id, None)
        self.wake()

    def _record(self, conn: Connection, heard: Sequence[Heard], now: datetime) -> list[_Judged]:
        seen = [one for answer in heard for one in answer.seen] + _also_ended(conn, heard, now)
        judged = _judge_all(conn, seen)
        expected = expect_ends(conn, [one.seen for one in judged if one.verdict is None])
        polled = [self._polled(one, expected, now=now) for one in judged]
        collections_.record_polls(conn, polled, now=now)
        ended = [
            EndedCollection(
                collection=one.seen.poll.collection,
                state=one.verdict.state,
                reason=one.verdict.reason,
                detail=one.verdict.detail,
            )
            for one in judged
            if one.verdict is not None
        ]
        unknown = [end for end in ended if end.state is RunState.NEEDS_ATTENTION]
        for end in unknown:
            outcomes.undo_adoption(
                conn, end.collection, reason=end.reason, detail=end.detail, now=now
            )
        followed.end_runs(conn, [end for end in ended if end not in unknown], now=now)
        good = (RunState.SUCCEEDED, RunState.PARTIAL)
        results.expect(conn, [end.collection.run_id for end in ended if end.state in good], now=now)
        failed = {
            one.seen.poll.run.schedule
            for one in judged
            if one.verdict is not None and one.verdict.state is RunState.FAILED
        }
        pause_failing(conn, failed, now=now)
        return judged

    def _keep_others(self, conn: Connection, heard: Sequence[Heard], now: datetime) -> bool:
        """Keep what the lists show of others' jobs; tell whether any of those has ended."""
        ended = [
            keep_others(
                conn,
                one.question.collector,
                one.jobs,
                is_whole=False,  # it goes as far back as what was asked about
                lasts=self.overdue_after,
                now=now,
                upstream_now=self.upstreams.client(one.question.account).time_at(boot_seconds()),
            )
            for one in heard
            if one.jobs and other_jobs.counts_others(conn, one.question.collector)
        ]
        return any(ended)

    def _overdue(self, judged: Sequence[_Judged], now: datetime) -> list[Poll]:
        """Return those that have not ended, should have, and were not told yet."""
        return [
            one.seen.poll
            for one in judged
            if one.verdict is None
            and one.seen.poll.run.overdue_at is None
            and is_overdue(
                one.seen.poll.collection.accepted_at,
                _started_at(one.seen),
                now,
                deadline=_deadline_of(one.seen.poll.run),
                overdue_after=self.overdue_after,
            )
        ]

    def _polled(self, judged: _Judged, expected: Expectations, *, now: datetime) -> Polled:
        collection, answer = judged.seen.poll.collection, judged.seen.answer
        next_poll = next_poll_after(
            collection.accepted_at,
            now,
            poll_initial=self.poll_initial,
            poll_max=self.poll_max,
        )
        if judged.asks_log:
            next_poll = now
        seen = _columns_of(answer) if isinstance(answer, CollectionLog) else {}
        return Polled(
            collection=collection,
            seen=seen | {**expected.get(collection.id, {})},
            next_poll_at=None if judged.verdict is not None else next_poll,
            errors_due_at=now if _has_failed_inputs(judged) else None,
        )


def _has_failed_inputs(judged: _Judged) -> bool:
    """Tell whether some of its inputs may have brought nothing: which, is asked by a step."""
    if judged.verdict is None or not isinstance(judged.seen.answer, CollectionLog):
        return False
    return judged.verdict.state in (RunState.PARTIAL, RunState.FAILED)


def _ids(chosen: Chosen) -> tuple[str, ...]:
    return chosen.ids


def _settle(conn: Connection, limiter: RateLimiter, heard: Sequence[Heard]) -> None:
    """Let the account's brake hear of its answers, and pay for what one question cost beyond."""
    mine = [one for one in heard if one.account == limiter.account.name]
    limiter.apply(conn, [feedback for one in mine for feedback in one.feedbacks])
    limiter.pay(sum(max(0, len(one.feedbacks) - 1) for one in mine))


def _also_ended(conn: Connection, heard: Sequence[Heard], now: datetime) -> list[Seen]:
    """Return those that a list shows to have ended though they were not asked about."""
    ended = {
        job.id: job for one in heard for job in one.jobs.values() if job.finished_at is not None
    }
    asked = {seen.poll.collection.id for one in heard for seen in one.seen}
    found = collections_.list_open_among(conn, [one for one in ended if one not in asked])
    run_of = runs.get_runs(conn, {collection.run_id for collection in found}) if found else {}
    return [
        Seen(
            poll=Poll(collection=collection, run=run_of[collection.run_id]),
            answer=ended[collection.id].as_log(),
            at=now,
        )
        for collection in found
        if collection.run_id in run_of
    ]


def _judge_all(conn: Connection, seen: Sequence[Seen]) -> list[_Judged]:
    verdicts = [_judged(one) for one in seen]
    ended = {
        one.poll.of_run
        for one, verdict in zip(seen, verdicts, strict=True)
        if verdict and one.poll.run.schedule is not None
    }
    rules = expected_rows.list_row_rules(conn, ended) if ended else {}
    return [
        _verdict_of(conn, one, verdict, rules) for one, verdict in zip(seen, verdicts, strict=True)
    ]


def _verdict_of(
    conn: Connection, seen: Seen, verdict: Verdict | None, rules: Mapping[OfRun, RowRules]
) -> _Judged:
    answer = seen.answer
    if verdict is None:
        return _Judged(seen=seen, verdict=None, asks_log=isinstance(answer, AskLog))
    if isinstance(answer, CollectionLog):
        verdict = judge_rows(verdict, answer, rules.get(seen.poll.of_run, RowRules()))
        if answer.is_listed and not is_clear(verdict, answer):
            return _Judged(seen=seen, verdict=None, asks_log=True)
    return _Judged(seen=seen, verdict=_named(conn, verdict, seen.poll.collection))


def _judged(seen: Seen) -> Verdict | None:
    answer, accepted_at = seen.answer, seen.poll.collection.accepted_at
    match answer:
        case CollectionLog():
            verdict = judge(answer, deadline=_deadline_of(seen.poll.run))
            return verdict or judge_endless(accepted_at, seen.at)
        case Gone():
            if _was_never_seen(seen.poll):
                return _unknown_adoption(seen.poll.collection)
            return judge_unknown(accepted_at, seen.at)
        case Unanswered() | AskLog():
            return judge_endless(accepted_at, seen.at)
        case _:
            assert_never(answer)


def _was_never_seen(poll: Poll) -> bool:
    """Tell whether only a person has spoken of the collection so far."""
    collection = poll.collection
    is_unseen = collection.status is None and collection.inputs is None
    return poll.run.reason is Reason.ADOPTED and is_unseen


def _unknown_adoption(collection: Collection) -> Verdict:
    return Verdict(
        state=RunState.NEEDS_ATTENTION,
        reason=Reason.LOOKUP_FAILED,
        detail=f"it was adopted as {collection.id}, which the upstream does not know",
    )


def _started_at(seen: Seen) -> datetime | None:
    if isinstance(seen.answer, CollectionLog):
        return seen.answer.started_at
    return seen.poll.collection.started_at


def _deadline_of(run: Run) -> timedelta | None:
    sent = parse_qs(run.query).get("deadline")
    return parse_duration(sent[0]) if sent else None


def _named(conn: Connection, verdict: Verdict, collection: Collection) -> Verdict:
    """Say by whom a collection was cancelled, where that is known."""
    if verdict.state is not RunState.CANCELLED:
        return verdict
    by = collections_.find_canceller(conn, collection)
    if by.run_id is not None:
        detail = f"run {by.run_id} was triggered with confirm_cancel"
        return Verdict(state=verdict.state, reason=Reason.REPLACED, detail=detail)
    if by.note is not None:
        reason = _REASON_OF_NOTE.get(by.note, Reason.CANCELLED_BY_HAND)
        return Verdict(state=verdict.state, reason=reason, detail=by.note)
    return verdict


_REASON_OF_NOTE = {
    collections_.REPLACED_NOTE: Reason.REPLACED,
    collections_.OVERRUN_NOTE: Reason.OVERRUN,
}


def _columns_of(answer: CollectionLog) -> dict[str, Any]:
    columns = {
        "status": answer.status,
        "inputs": answer.inputs,
        "lines": answer.lines,
        "fails": answer.fails,
        "pages": answer.pages,
        "success_rate": answer.success_rate,
        "started_at": answer.started_at,
        "finished_at": answer.finished_at,
    }
    if not answer.is_listed:
        return columns
    columns["expired"] = answer.expired
    if answer.finished_at is not None:  # before, they are what was loaded so far: no bill
        columns |= {"page_loads": answer.page_loads, "failed_pages": answer.failed_pages}
    # What a row does not say leaves what the log has said.
    return {name: value for name, value in columns.items() if value is not None}


def _log_polls(done: _Pass) -> None:
    for one in done.judged:
        if isinstance(one.seen.answer, Unanswered):
            log.warning(
                "collection_unanswered",
                run_id=one.seen.poll.run.id,
                collection_id=one.seen.poll.collection.id,
                detail=one.seen.answer.detail,
            )
    for poll in done.overdue:
        log.warning("collection_overdue", run_id=poll.run.id, collection_id=poll.collection.id)
    for poll in done.cancelled:
        log.warning("collection_overrun", run_id=poll.run.id, collection_id=poll.collection.id)
