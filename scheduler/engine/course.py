"""When what goes on is expected to end, and the cancelling of what takes too long."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from scheduler.domain.answers import CollectionLog
from scheduler.domain.course import expect
from scheduler.engine.polls import Poll, Seen
from scheduler.storage import collections_, course
from scheduler.storage.database import Connection

Expectations = Mapping[str, Mapping[str, Any]]
"""By the id of a collection, the columns that say when it is expected to end."""


def expect_ends(conn: Connection, going_on: Sequence[Seen]) -> Expectations:
    """Return when collections are expected to end, at the first poll and once they have begun."""
    begins_at = {one.poll.collection.id: at for one in going_on if (at := _begins_at(one))}
    if not begins_at:
        return {}
    concerned = [one for one in going_on if one.poll.collection.id in begins_at]
    usual = course.list_usual_times(conn, {one.poll.of_run for one in concerned})
    expected: dict[str, Mapping[str, Any]] = {}
    for one in concerned:
        if (took := usual.get(one.poll.of_run)) is not None:
            id_, has_begun = one.poll.collection.id, _started_at(one) is not None
            ends = expect(took, begins_at=begins_at[id_], has_begun=has_begun)
            expected[id_] = {"expected_end_at": ends.end_at, "overruns_at": ends.overruns_at}
    return expected


def _begins_at(seen: Seen) -> datetime | None:
    """Return since when it runs, or from when on it will, where that is news; None otherwise."""
    collection = seen.poll.collection
    started_at = _started_at(seen)
    is_news = collection.started_at is None and (collection.polls <= 1 or started_at is not None)
    if seen.poll.run.schedule is None or not is_news:
        return None
    return started_at or max(collection.start_eta or seen.at, collection.accepted_at)


def _started_at(seen: Seen) -> datetime | None:
    return seen.answer.started_at if isinstance(seen.answer, CollectionLog) else None


def cancel_overrun(
    conn: Connection, going_on: Sequence[Seen], overdue: Sequence[Poll], *, now: datetime
) -> list[Poll]:
    """
    Ask for the collections to be cancelled that take too long, where their schedule says so.

    By their deadline, or by what is usual, as it was stored by the poll before.
    """
    late = {poll.collection.id: poll for poll in overdue}
    for seen in going_on:
        collection = seen.poll.collection
        if seen.poll.run.overdue_at or (collection.overruns_at and collection.overruns_at <= now):
            late[collection.id] = seen.poll
    open_ = [poll for poll in late.values() if poll.collection.cancel_requested_at is None]
    names = {poll.run.schedule for poll in open_ if poll.run.schedule is not None}
    cancelling = course.list_cancelling(conn, names)
    chosen = [poll for poll in open_ if poll.run.schedule in cancelling]
    for poll in chosen:
        collections_.request_cancel(
            conn, poll.collection.id, now=now, note=collections_.OVERRUN_NOTE
        )
    return chosen
