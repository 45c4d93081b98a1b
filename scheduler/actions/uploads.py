"""A trigger whose inputs come by HTTP: its bodies are made while they come."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from scheduler.actions.guards import MOST_AT_ONCE
from scheduler.actions.trigger import Request, find_requested
from scheduler.domain.errors import Conflict
from scheduler.domain.records import StoredBody
from scheduler.domain.request import SendAs
from scheduler.inputs import NoSpool, read_upload
from scheduler.storage import runs
from scheduler.storage.body_parts import DatabaseSpool
from scheduler.storage.database import Database
from scheduler.views.collectors import get_or_accept
from scheduler.views.runs import RunView


def take_upload(
    db: Database, request: Request, pieces: Iterable[bytes], send_as: SendAs, *, now: datetime
) -> tuple[StoredBody, ...] | RunView:
    """
    Return the bodies that *pieces* come to, or the run that was asked for under the same key.

    What is asked for again is read to its end, and not kept a second time. Raises InputsError,
    InvalidInput, what *pieces* raises, and KeyReused where the key is that of another request.
    """
    with db.reading() as conn:
        is_known = request.key is not None and runs.has_key(conn, request.key)
        most = get_or_accept(conn, request.collector).max_inputs_per_trigger
    spool = NoSpool() if is_known else DatabaseSpool(db, now)
    bodies = read_upload(
        pieces, send_as, spool, max_inputs_per_trigger=most, max_chunks=MOST_AT_ONCE
    )
    if not is_known:
        return bodies
    with db.reading() as conn:
        run = find_requested(conn, replace(request, bodies=bodies))
    if run is None:
        raise Conflict("the run of this key was deleted just now: send it again")
    return run
