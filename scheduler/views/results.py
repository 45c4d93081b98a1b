"""Results of runs that are saved to files, or are to be, as every surface shows them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from scheduler.domain.results import ResultState
from scheduler.storage import results
from scheduler.storage.database import Connection
from scheduler.storage.results import Result
from scheduler.views.decoding import view
from scheduler.views.page import MOST_COUNTED, Counted, Page, bounded, page_of

UNSAVED: Final = (ResultState.WAITING, ResultState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView(Result):
    """
    What of a run is saved, or is to be; *path* is below the folder of [results] on *host*.

    *reason* and *detail* say why the last attempt failed; *sha256* is of the file as it stands.
    """


def list_results(
    conn: Connection,
    *,
    limit: int,
    schedule: str | None = None,
    states: Collection[ResultState] = (),
    before: int | None = None,
    look_through: int | None = None,
) -> Page[ResultView]:
    """
    Return a page of results, those of the newest runs first: of runs *before* an id.

    Where so many were *looked through* it may have fewer than *limit*, and go on all the same.
    """
    wanted: dict[str, Any] = {"schedule": schedule, "states": states}
    bound = None
    if look_through is not None:
        bound = results.find_bound(conn, **wanted, most=look_through, before=before)
    found = results.list_page(conn, **wanted, limit=limit + 1, before=before, from_run=bound)
    shown = tuple(view(ResultView, one) for one in found)
    return bounded(page_of(shown, limit=limit, key=lambda one: one.run_id), bound)


def count_results(
    conn: Connection,
    *,
    schedule: str | None = None,
    states: Collection[ResultState] = (),
    look_through: int,
) -> Counted:
    """Return how many results there are of these, so many of the newest looked through."""
    wanted: dict[str, Any] = {"schedule": schedule, "states": states}
    bound = results.find_bound(conn, **wanted, most=look_through, before=None)
    found = results.count_page(conn, **wanted, most=MOST_COUNTED + 1, from_run=bound)
    return Counted.of(found, is_all=bound is None)


def get_result(conn: Connection, run_id: int) -> ResultView:
    """Return what is saved of a run; raises NotFound."""
    return view(ResultView, results.get_result(conn, run_id))


def find_result(conn: Connection, run_id: int) -> ResultView | None:
    """Return what is saved of a run; None where nothing is to be."""
    found = results.find_result(conn, run_id)
    return None if found is None else view(ResultView, found)
