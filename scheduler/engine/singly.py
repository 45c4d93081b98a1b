"""Answers that could not be recorded together are recorded one by one: none stops another."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import structlog

from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import RunState
from scheduler.engine.answered import Answered, feedbacks, log_second_collection
from scheduler.engine.failures import pause_failing
from scheduler.engine.rate_limiter import close_limiters, open_limiters
from scheduler.storage.database import Connection, Database
from scheduler.storage.runs import outcomes, queued
from scheduler.storage.runs.outcomes import AttemptResult

log = structlog.get_logger()


async def record_singly(
    db: Database,
    answers: Sequence[Answered],
    *,
    settled: Callable[[Answered], AttemptResult],
    done: Callable[[Answered], None],
    now: datetime,
) -> None:
    """
    Record each answer in a transaction of its own; *done* is told of each that is settled.

    One that cannot be stored is written to the log whole, its id included, and let go: its run is
    looked for like any whose answer was lost. Raises DatabaseError when the database is away.
    """
    for answer in answers:
        try:
            not_kept = await db.write(partial(_record, answer, settled(answer), now=now))
        except DatabaseError:
            raise
        except Exception:
            log_unrecorded([answer], why="it cannot be stored", exc_info=True)
        else:
            if not_kept:
                log_second_collection(answer)
        done(answer)


def _record(
    answer: Answered, settled: AttemptResult, conn: Connection, *, now: datetime
) -> list[AttemptResult]:
    not_kept = outcomes.record_outcomes(conn, [settled], now=now)
    if settled.change.state is RunState.FAILED:
        pause_failing(conn, {settled.run.schedule}, now=now)
    at_work = queued.list_at_work(conn, {settled.run.account}, now=now)
    limiters = open_limiters(conn, [account.account for account in at_work], now=now)
    for limiter in limiters:
        limiter.apply(conn, feedbacks(limiter, [answer]))
    close_limiters(conn, limiters)
    return not_kept


def log_unrecorded(answers: Sequence[Answered], *, why: str, exc_info: bool = False) -> None:
    """Write answers to the log, the last place where they can be kept."""
    for answer in answers:
        log.error(
            "answer_not_recorded",
            run_id=answer.run.id,
            attempt=answer.run.fence,
            reply=str(answer.reply),
            why=why,
            exc_info=exc_info,
        )
