"""Collections on their own, whatever run they are of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scheduler.domain.errors import InvalidInput
from scheduler.storage import collection_requests, collections_
from scheduler.storage.collection_requests import CollectionRequest
from scheduler.storage.collections_ import CollectionFilter
from scheduler.storage.database import Connection
from scheduler.views.decoding import view
from scheduler.views.page import MOST_COUNTED, Counted, Page, page_of
from scheduler.views.runs import CollectionView

__all__ = ["CollectionFilter", "count_collections", "get_collection", "list_collections"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRequestView(CollectionRequest):
    """
    What a person asked the upstream to do with a collection, as it is shown.

    *outcome* says what came of it, None while that is open; *made_run* is the run of a rerun.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionDetail(CollectionView):
    """A collection, and what was asked about it by persons."""

    requests: tuple[CollectionRequestView, ...]


def list_requests(
    conn: Connection, collection_ids: Sequence[str]
) -> tuple[CollectionRequestView, ...]:
    """Return what persons asked about these collections, in order."""
    asked = collection_requests.list_of(conn, collection_ids)
    return tuple(view(CollectionRequestView, one) for one in asked)


def list_collections(
    conn: Connection,
    wanted: CollectionFilter,
    *,
    limit: int,
    after: str | None = None,
    look_through: int | None = None,
) -> Page[CollectionView]:
    """
    Return a page of collections, that of the newest run first; its key is `RUN_ID ID`.

    Where those of so many runs were *looked through* it may have fewer than *limit*, and go on.
    """
    place = None if after is None else _place(after)
    bound = None
    if look_through is not None:
        bound = collections_.find_bound(conn, wanted, most=look_through, after=place)
    rows = collections_.list_page(conn, wanted, limit=limit + 1, after=place, from_run=bound)
    shown = [view(CollectionView, row) for row in rows]
    page = page_of(shown, limit=limit, key=lambda one: f"{one.run_id} {one.id}")
    return page if page.next is not None or bound is None else replace(page, next=f"{bound} ")


def _place(key: str) -> tuple[int, str]:
    run_id, _, collection_id = key.partition(" ")
    if not run_id.isdecimal() or len(run_id) > _LONGEST_ID:
        raise InvalidInput("the list of collections goes on after a run's id and a collection's")
    return int(run_id), collection_id


_LONGEST_ID = 18


def count_collections(conn: Connection, wanted: CollectionFilter, *, look_through: int) -> Counted:
    """Return how many there are of these, those of so many of the newest runs looked through."""
    bound = collections_.find_bound(conn, wanted, most=look_through, after=None)
    found = collections_.count_collections(conn, wanted, most=MOST_COUNTED + 1, from_run=bound)
    return Counted.of(found, is_all=bound is None)


def get_collection(conn: Connection, collection_id: str) -> CollectionDetail:
    """Return the collection of that id; raises NotFound."""
    found = collections_.get_collection(conn, collection_id)
    return view(CollectionDetail, found, requests=list_requests(conn, [collection_id]))
