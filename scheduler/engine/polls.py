"""What the upstream is asked about collections: a page of jobs for several, a log for one."""

from collections import defaultdict
from collections.abc import Collection as Some
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from scheduler.clock import Clock
from scheduler.domain.answers import (
    AskLog,
    JobsPage,
    ListedJob,
    LogAnswer,
    PollAnswer,
    Refused,
    Unanswered,
)
from scheduler.domain.records import Account, Collection, Run
from scheduler.engine.accounts import Upstreams
from scheduler.engine.rate_limiter import Feedback, feedback_of_answer
from scheduler.engine.tuning import MOST_PAGES, NO_LIST_FOR
from scheduler.storage.collections_ import CollectorKey, DuePoll
from scheduler.storage.expected_rows import OfRun
from scheduler.upstream import Dca

log = structlog.get_logger()

FARTHEST_ZONE = timedelta(hours=14)
"""Days of the list may be those of any zone: none is further from UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A collection that is asked about, and its run."""

    collection: Collection
    run: Run

    @property
    def of_run(self) -> OfRun:
        """Return what its rows and its time are held against."""
        return self.run.schedule, self.run.chunk == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The collections that one question is about: the first is due."""

    ids: tuple[str, ...]

    @property
    def is_list(self) -> bool:
        """Tell whether a page of jobs is asked for: for one alone, its log costs as much."""
        return len(self.ids) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question about collections of one collector."""

    account: Account
    polls: tuple[Poll, ...]

    @property
    def collector(self) -> CollectorKey:
        """Return whose jobs are asked about."""
        return self.account.name, self.polls[0].collection.collector_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of one collection after a question, and when that was."""

    poll: Poll
    answer: PollAnswer
    at: datetime


@dataclass(slots=True, kw_only=True)
class Heard:
    """What a question came to: each collection's answer, what it listed, and what it cost."""

    question: Question
    seen: list[Seen] = field(default_factory=list)
    jobs: dict[str, ListedJob] = field(default_factory=dict)
    feedbacks: list[Feedback] = field(default_factory=list)

    @property
    def account(self) -> str:
        """Return the name of the account that was asked."""
        return self.question.account.name


def choose(
    due: Sequence[DuePoll], *, now: datetime, singly: Some[str], unlisted: Some[str], most: int
) -> list[Chosen]:
    """
    Return up to *most* questions about what is *due*, or soon will be, the longest due first.

    What is to be cancelled, is asked *singly*, or is of a collector that is *unlisted*, is a
    question each. All others of a collector are one, once one of them is due.
    """
    beside: defaultdict[str, list[str]] = defaultdict(list)
    for poll in due:
        if not _is_single(poll, singly, unlisted):
            beside[poll.collector_id].append(poll.id)
    chosen: list[Chosen] = []
    for poll in due:
        if len(chosen) == most or poll.next_poll_at > now:
            break
        if _is_single(poll, singly, unlisted):
            chosen.append(Chosen(ids=(poll.id,)))
        elif poll.collector_id in beside:
            chosen.append(Chosen(ids=tuple(beside.pop(poll.collector_id))))
    return chosen


def _is_single(poll: DuePoll, singly: Some[str], unlisted: Some[str]) -> bool:
    return poll.is_to_be_cancelled or poll.id in singly or poll.collector_id in unlisted


@dataclass(slots=True, kw_only=True)
class Asker:
    """
    Asks questions about collections, and remembers where a list does not do.

    *singly* are collections whose log is to be asked for next: a page of jobs did not tell enough.
    """

    upstreams: Upstreams
    clock: Clock
    request_timeout: timedelta
    singly: set[str] = field(default_factory=set)
    _unlisted: dict[CollectorKey, datetime] = field(default_factory=dict)
    _unread: set[CollectorKey] = field(default_factory=set)

    def unlisted(self, account: str, now: datetime) -> set[str]:
        """Return the collectors of *account* whose jobs the upstream would not list lately."""
        self._unlisted = {key: until for key, until in self._unlisted.items() if until > now}
        return {collector_id for name, collector_id in self._unlisted if name == account}

    async def ask(self, question: Question) -> Heard:
        """Ask *question*, and say of each of its collections what is known now."""
        heard = Heard(question=question)
        if len(question.polls) == 1:
            (poll,) = question.polls
            answer = await self._ask_log(poll, question.account, heard.feedbacks)
            heard.seen.append(Seen(poll=poll, answer=answer, at=self.clock()))
            self.singly.discard(poll.collection.id)
            return heard
        failure = await self._ask_list(question, heard)
        self._note_failure(question.collector, failure)
        heard.seen += [self._from_list(poll, heard.jobs, failure) for poll in question.polls]
        return heard

    async def _ask_log(self, poll: Poll, account: Account, feedbacks: list[Feedback]) -> LogAnswer:
        """Ask about the collection, cancel it before if that was asked; note all *feedbacks*."""
        client = self.upstreams.client(account)
        fingerprint = self.upstreams.token_fingerprint(account)
        if poll.collection.cancel_requested_at is not None:
            cancelled = await client.cancel(poll.collection.id)
            log.info(
                "collection_cancel_asked",
                collection_id=poll.collection.id,
                run_id=poll.run.id,
                answer=type(cancelled).__name__.lower(),
            )
            feedbacks.append(feedback_of_answer(cancelled, token_fingerprint=fingerprint))
            # Who does not answer is not asked the next thing at once.
            if isinstance(cancelled, Unanswered):
                return cancelled
        answer = await client.get_log(poll.collection.id)
        feedbacks.append(feedback_of_answer(answer, token_fingerprint=fingerprint))
        return answer

    async def _ask_list(self, question: Question, heard: Heard) -> Unanswered | None:
        """List the jobs until all that are asked about were seen; return what went wrong."""
        client = self.upstreams.client(question.account)
        fingerprint = self.upstreams.token_fingerprint(question.account)
        wanted = {poll.collection.id for poll in question.polls}
        until = self.clock() + self.request_timeout
        offset = 0
        for _ in range(MOST_PAGES):
            page = await _list_page(client, question, offset, self.clock())
            heard.feedbacks.append(feedback_of_answer(page, token_fingerprint=fingerprint))
            if isinstance(page, Unanswered):
                return page
            if isinstance(page, Refused):
                self._leave_list(question.collector, page.detail)
                return None
            heard.jobs.update((job.id, job) for job in page.jobs)
            offset += len(page.jobs) + page.unread
            if wanted <= heard.jobs.keys() or is_last(page, offset) or self.clock() > until:
                return None
        return None

    def _note_failure(self, collector: CollectorKey, failure: Unanswered | None) -> None:
        """Leave the list alone for a while where it failed twice in a row: logs may not."""
        if failure is None:
            self._unread.discard(collector)
        elif not failure.throttled and not failure.credentials:
            if collector in self._unread:
                self._leave_list(collector, failure.detail)
            self._unread ^= {collector}

    def _leave_list(self, collector: CollectorKey, detail: str) -> None:
        account, collector_id = collector
        log.warning("jobs_not_listed", account=account, collector_id=collector_id, detail=detail)
        self._unlisted[collector] = self.clock() + NO_LIST_FOR

    def _from_list(
        self, poll: Poll, jobs: dict[str, ListedJob], failure: Unanswered | None
    ) -> Seen:
        """Read what a list tells of one; where it does not, its log is asked for next."""
        job = jobs.get(poll.collection.id)
        answer: PollAnswer = AskLog() if failure is None else failure
        if job is not None and job.tells_status:
            answer = replace(job.as_log(), inputs=job.inputs or poll.collection.inputs)
        # Of what should have ended long ago the list may be behind: each has its turn.
        if isinstance(answer, AskLog) or poll.run.overdue_at is not None:
            self.singly.add(poll.collection.id)
        return Seen(poll=poll, answer=answer, at=self.clock())


async def _list_page(
    client: Dca, question: Question, offset: int, now: datetime
) -> JobsPage | Refused | Unanswered:
    oldest = min(poll.collection.accepted_at for poll in question.polls)
    return await client.list_newest(
        question.collector[1],
        from_date=(oldest - FARTHEST_ZONE).date(),
        to_date=(now + FARTHEST_ZONE).date(),
        offset=offset,
    )


def is_last(page: JobsPage, offset: int) -> bool:
    """Tell whether there are no jobs beyond *page*, up to which *offset* were read."""
    return not page.jobs or (page.total is not None and offset >= page.total)
