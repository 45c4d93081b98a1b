"""Which occurrences of a stretch of time are to be sent after the fact, and in which place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Final

from scheduler.domain.batch import Chunk, split_run
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import ENDED_STATES, Batch, NewRun, Reason, Run, RunState

MOST_AT_ALL: Final = 100_000
"""So many occurrences of a stretch are looked at, at most: beyond it, it is refused."""


class Reprocess(StrEnum):
    """Which occurrences that have a run already are sent once more."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"  # every one that has ended


@dataclass(frozen=True, slots=True)
class ToSend:
    """
    One occurrence to be sent, beside the run *over* where it has one.

    *as_it_was*: what that run was to send is sent again, as one chunk of several; otherwise what
    the batch holds now.
    """

    due_at: datetime
    over: Run | None = None
    as_it_was: bool = False


def take_occurrences(occurrences: Iterable[datetime], *, most: int = MOST_AT_ALL) -> list[datetime]:
    """Return the occurrences of a stretch; raises InvalidInput when there are more than *most*."""
    taken = list(islice(occurrences, most + 1))
    if len(taken) > most:
        raise InvalidInput(
            f"more than {most} occurrences lie in this stretch: choose a shorter one"
        )
    return taken


def choose_backfill(
    occurrences: Sequence[datetime],
    made: Mapping[datetime, Sequence[Run]],
    reprocess: Reprocess,
) -> list[ToSend]:
    """
    Return what is to be sent, in the order it was due.

    An occurrence without a run is, and one whose newest run was skipped; what waits or is under
    way never is, so that asking twice sends nothing twice.
    """
    chosen: list[ToSend] = []
    for due_at in sorted({*occurrences, *made}):
        runs = made.get(due_at, ())
        if not runs:
            chosen.append(ToSend(due_at))
            continue
        wanted = [run for run in _newest_chunks(runs) if _is_wanted(run, reprocess)]
        chosen += _again(due_at, wanted)
    return chosen


def _newest_chunks(runs: Sequence[Run]) -> list[Run]:
    newest: dict[int, Run] = {}
    for run in sorted(runs, key=lambda run: run.id):
        newest[run.chunk] = run
    return [newest[chunk] for chunk in sorted(newest)]


def _is_wanted(run: Run, reprocess: Reprocess) -> bool:
    match reprocess:
        case Reprocess.NONE:
            return run.state is RunState.SKIPPED
        case Reprocess.FAILED:
            return run.state in (RunState.SKIPPED, RunState.FAILED)
        case Reprocess.ALL:
            return run.state in ENDED_STATES


def _again(due_at: datetime, wanted: Sequence[Run]) -> list[ToSend]:
    return [
        ToSend(due_at, over=run, as_it_was=run.chunks > 1 and run.body is not None)
        for run in wanted
    ]


def backfilled_runs(
    base: NewRun, to_send: ToSend, chunks: Sequence[Chunk], batch: Batch, *, by: str
) -> list[NewRun]:
    """
    Return the runs that send one occurrence: *base* as a scheduled run of it would be, but sent
    however late, and without an order key.

    An order key would hold the schedule's own occurrences up until the whole backfill is through.
    """
    run = replace(
        base,
        reason=Reason.BACKFILL,
        detail=f"backfill asked for by {by}",
        send_before=None,
        order_key=None,
        retry_of=to_send.over.id if to_send.over is not None else None,
    )
    if to_send.over is not None and to_send.as_it_was:
        over = to_send.over
        return [replace(run, body=over.body, chunk=over.chunk, chunks=over.chunks)]
    return split_run(run, chunks, has_canary=batch.canary is not None)
