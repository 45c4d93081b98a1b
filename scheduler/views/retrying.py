"""Which ended runs of a filter can be sent once more, and how many are left out, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from scheduler.domain.records import ENDED_STATES, Run, RunState
from scheduler.domain.timestamps import iso_time
from scheduler.storage import runs, schedules
from scheduler.storage.database import Connection
from scheduler.storage.runs import RunFilter
from scheduler.views.acting import list_wanted
from scheduler.views.runs import RunView, run_view


@dataclass(frozen=True, slots=True, kw_only=True)
class Retryable:
    """
    The runs to retry, the oldest first; *left_out* counts the others by why.

    *anew* are the commands that send what was never given inputs, once those are mended.
    """

    runs: tuple[RunView, ...]
    left_out: Mapping[str, int]
    anew: tuple[str, ...]


def list_retryable(conn: Connection, wanted: RunFilter) -> Retryable:
    """Return what *wanted* chooses, failed runs if it names no state, and was not retried yet."""
    return choose_retryable(conn, list_wanted(conn, wanted, (RunState.FAILED,)))


def choose_retryable(conn: Connection, listed: Sequence[Run]) -> Retryable:
    """Return which of these runs can be retried, and were not yet."""
    ended = [run for run in listed if run.state in ENDED_STATES]
    retried = runs.list_retried(conn, [run.id for run in ended])
    fresh = [run for run in ended if run.id not in retried]
    sendable = [run for run in fresh if run.body is not None]
    left_out = {
        "not ended": len(listed) - len(ended),
        "retried before": len(ended) - len(fresh),
        "never given inputs": len(fresh) - len(sendable),
    }
    return Retryable(
        runs=tuple(map(run_view, sendable)),
        left_out={why: count for why, count in left_out.items() if count},
        anew=commands_anew(conn, [run for run in fresh if run.body is None]),
    )


def commands_anew(conn: Connection, bare: Sequence[Run]) -> tuple[str, ...]:
    """Return commands that send runs that have no inputs anew, one for each schedule."""
    of_schedule: dict[str, list[Run]] = {}
    others = []
    there = schedules.list_before(conn, {run.schedule for run in bare if run.schedule})
    for run in bare:
        if run.schedule in there:
            of_schedule.setdefault(run.schedule, []).append(run)
        else:
            others.append(_trigger_of(run))
    backfills = (_backfill_of(name, runs) for name, runs in of_schedule.items())
    return tuple(dict.fromkeys((*backfills, *others)))


def _backfill_of(schedule: str, bare: Sequence[Run]) -> str:
    due = sorted(run.due_at for run in bare)
    stretch = f"--from {iso_time(due[0])} --to {iso_time(due[-1])}"
    return f"dca-scheduler backfill {quote(schedule)} {stretch} --reprocess failed"


def _trigger_of(run: Run) -> str:
    batch = f" --batch {quote(run.batch)}" if run.batch else ""
    return f"dca-scheduler trigger {quote(run.collector)}{batch}"
