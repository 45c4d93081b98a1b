"""Runs, their attempts and their collections, as every surface shows them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from scheduler.domain.course import late_start
from scheduler.domain.durations import format_duration
from scheduler.domain.errors import NotFound
from scheduler.domain.moves import RunEvent
from scheduler.domain.records import Attempt, Collection, Run, RunColumns, RunState
from scheduler.storage import collections_, course, definitions, failed_inputs, runs, schedules
from scheduler.storage.database import Connection
from scheduler.storage.run_events import list_events
from scheduler.storage.runs import RunFilter
from scheduler.views.decoding import Duration, read_json, view
from scheduler.views.page import MOST_COUNTED, Counted, Page, bounded, page_of
from scheduler.views.results import ResultView, find_result
from scheduler.views.waiting import HeldUp, held_up, why_waits

__all__ = [
    "AttemptView",
    "CollectionView",
    "RunDetail",
    "RunFilter",
    "RunView",
    "list_events",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView(RunColumns[Duration, tuple[str, ...]]):
    """A run, as it is shown everywhere; *params* is its *query*, decoded."""

    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView(Attempt):
    """One trigger sent for a run, as it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionView(Collection):
    """The upstream's job that an accepted trigger became, as it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail(RunView):
    """
    A run, the size of what it sends, its life, its attempts and its collections.

    *why_waiting* is what must change first before it is sent, *held_up* what held it up so far,
    *remarks* how it goes against what was promised and is usual, *retries* the runs that send
    what it sent, or the inputs that failed in it, once more; *result* where its rows are saved.
    """

    send_as: str | None
    row_count: int | None
    byte_count: int | None
    why_waiting: str | None
    held_up: tuple[HeldUp, ...]
    remarks: tuple[str, ...]
    retries: tuple[int, ...]
    result: ResultView | None
    events: tuple[RunEvent, ...]
    attempts: tuple[AttemptView, ...]
    collections: tuple[CollectionView, ...]


def run_view(run: Run) -> RunView:
    """Return what is shown of a run."""
    return view(RunView, run, params=_params(run.query))


def list_runs(
    conn: Connection,
    wanted: RunFilter,
    *,
    limit: int,
    before: int | None = None,
    look_through: int | None = None,
) -> Page[RunView]:
    """
    Return a page of the runs that *wanted* chooses, the newest first: those *before* a run's id.

    Where so many were *looked through* it may have fewer than *limit*, or none, and go on all the
    same. NotFound for a name that nothing bears, and no run.
    """
    bound = None
    if look_through is not None:
        bound = runs.find_bound(conn, wanted, most=look_through, before_id=before)
    found = runs.list_runs(conn, wanted, limit=limit + 1, before_id=before, from_id=bound)
    if not found and bound is None:
        _check_names(conn, wanted)
    return bounded(page_of(tuple(map(run_view, found)), limit=limit), bound)


def count_runs(conn: Connection, wanted: RunFilter, *, look_through: int) -> Counted:
    """Return how many runs *wanted* chooses of the newest, of which so many are looked through."""
    bound = runs.find_bound(conn, wanted, most=look_through, before_id=None)
    found = runs.count_runs(conn, wanted, most=MOST_COUNTED + 1, from_id=bound)
    return Counted.of(found, is_all=bound is None)


def _check_names(conn: Connection, wanted: RunFilter) -> None:
    """Look whether there is what was named: a name that is misspelt has no runs, either."""
    for field, get in _NAMED.items():
        name = getattr(wanted, field)
        if name is None:
            continue
        try:
            get(conn, name)
        except NotFound:  # gone since, perhaps; to look for its runs may take a while
            if not runs.list_runs(conn, RunFilter(**{field: name}), limit=1):
                raise


_NAMED: Final[Mapping[str, Callable[[Connection, str], object]]] = {
    "schedule": schedules.get_schedule,
    "collector": definitions.get_collector,
    "queue": definitions.check_queue,
    "batch": definitions.get_batch,
}


def get_run(conn: Connection, run_id: int) -> RunView:
    """Return the run of that id; raises NotFound."""
    return run_view(runs.get_run(conn, run_id))


def get_runs(conn: Connection, run_ids: Sequence[int]) -> tuple[RunView, ...]:
    """Return the runs of these ids, in their order."""
    by_id = runs.get_runs(conn, run_ids)
    return tuple(run_view(by_id[run_id]) for run_id in run_ids)


def count_states(conn: Connection) -> dict[RunState, int]:
    """Return how many runs, ended ones included, stand in each state."""
    return runs.count_states(conn)


def show_run(conn: Connection, run_id: int | str, *, now: datetime) -> RunDetail:
    """Return all about one run, named by its id or by that of a collection; raises NotFound."""
    if isinstance(run_id, str):
        run_id = collections_.get_run_id(conn, run_id)
    run = runs.get_run(conn, run_id)
    body = None if run.body is None else definitions.get_body(conn, run.body)
    found = collections_.list_collections(conn, run_id)
    return view(
        RunDetail,
        run,
        params=_params(run.query),
        send_as=body and body.send_as,
        row_count=body and body.row_count,
        byte_count=body and body.byte_count,
        why_waiting=why_waits(conn, run, now=now),
        held_up=held_up(conn, run, now=now),
        remarks=(*_late_starts(found), *_astray(conn, run_id, now)),
        retries=tuple(failed_inputs.list_retries(conn, run_id)),
        result=find_result(conn, run_id),
        events=tuple(list_events(conn, run_id)),
        attempts=tuple(view(AttemptView, row) for row in runs.list_attempts(conn, run_id)),
        collections=tuple(view(CollectionView, row) for row in found),
    )


def _astray(conn: Connection, run_id: int, now: datetime) -> Iterator[str]:
    for seen in course.list_astray(conn, now=now, run_id=run_id):
        yield f"{seen.kind.value.replace('_', ' ')}: {seen.detail}"


def _late_starts(found: Sequence[Collection]) -> Iterator[str]:
    for one in found:
        late = late_start(one.start_eta, one.started_at)
        if late is not None:
            yield f"late start: {one.id} began {format_duration(late)} later than promised"


@lru_cache(maxsize=256)
def _params(query: str) -> Mapping[str, Any]:
    """Decode a query; the runs of one schedule have the same, and share what it says."""
    values = dict(parse_qsl(query, keep_blank_values=True))
    objects = {key: read_json(values[key]) for key in ("notify", "deliver") if key in values}
    return values | objects
