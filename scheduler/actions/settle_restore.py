"""After a backup was restored: nothing of the time that it lacks is sent again by itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from scheduler.domain.errors import Conflict, NeedsConfirmation
from scheduler.domain.matching import RESTORED
from scheduler.domain.pauses import Freeze
from scheduler.domain.reasons import check_reason
from scheduler.storage import ahead, collection_requests, freezes, restores
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection, Database
from scheduler.storage.departures import forget_departed, lacks_departed
from scheduler.storage.last_seen import find_put_back, forget_seen
from scheduler.storage.origin import forget_origin
from scheduler.storage.runs import claims, end_queued

_EMPTIED: Final = timedelta(days=1)
_FIRED_AGAIN: Final = "it was fired anew in a database that had lost what was sent since"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledRestore:
    """Since when everything is frozen, and the runs that are looked for at the upstream first."""

    frozen_since: datetime
    looked_for: tuple[int, ...]


def settle_restore(
    conn: Connection, *, by: str, now: datetime, file: Path | None = None, confirmed: bool = False
) -> SettledRestore:
    """
    Freeze everything from the backup's last moment on, and have looked for what waited in it.

    What came due since is skipped as frozen. What waited may have been sent since: it counts as
    sent then, its answer lost, so that a daemon looks for it among the upstream's jobs, adopts
    what it can prove, and leaves the rest to the run's `on_unconfirmed` or to a person.
    An SQLite *file* that has lost even when a daemon worked on it counts as one of a day ago.
    NeedsConfirmation until that is *confirmed*.
    """
    since = restores.find_unsettled(conn) or ahead.find_newest(conn)
    if since is None and file is not None and find_put_back(conn, file, now=now):
        since = now - _EMPTIED
    if since is None:
        raise Conflict("no daemon has worked on this database: there is nothing to settle")
    if not confirmed:
        raise NeedsConfirmation("all schedules are frozen, and waiting runs looked for", 1)
    freezes.delete_freeze(conn, "all")
    reason = "a backup was restored: look at the upstream's jobs since, then thaw all"
    freezes.insert_freeze(
        conn, Freeze(scope="all", frozen_at=since, frozen_by=by, reason=reason, until=None)
    )
    restores.settle(conn, since=since, by=by, now=now)
    forget_origin(conn)
    record_change(conn, by, "settle-restore", "freezes.all", {"reason": (None, reason)}, now=now)
    collection_requests.count_as_sent(conn, since=since)
    # A daemon that lived through it fired again what the lost time had sent.
    end_queued.skip_fired_since(conn, since, detail=_FIRED_AGAIN, now=now)
    looked_for = claims.claim_as_of(conn, since=since, owner=RESTORED, now=now)
    return SettledRestore(frozen_since=since, looked_for=tuple(looked_for))


def settle_moved(
    conn: Connection, *, by: str, reason: str, now: datetime, confirmed: bool = False
) -> None:
    """
    Let daemons work on a database that was brought here and lacks nothing, as after a move.

    NeedsConfirmation until that is *confirmed*: what was sent meanwhile would be sent again.
    """
    reason = check_reason(reason)
    if not confirmed:
        raise NeedsConfirmation("nothing is frozen or looked for: what this lacks is sent again", 1)
    restores.settle_moved(conn, by=by, now=now)
    forget_origin(conn)
    record_change(conn, by, "settle-restore", "database", {"moved": (None, reason)}, now=now)


def look_further(conn: Connection, *, now: datetime) -> None:
    """Have looked for what waited behind what was, now that this is resolved; note the end."""
    since = restores.find_looked_into(conn)
    if since is None:
        return
    claims.claim_as_of(conn, since=since, owner=RESTORED, now=now)
    if restores.has_jobs(conn) and not claims.has_waited(conn, since=since):
        restores.note_looked(conn, now=now)


def require_moved(database: Database) -> None:
    """Raise Conflict for a SQLite *database* that provably lacks what was sent from it."""
    if database.file is None:
        return
    with database.reading() as conn:
        if lacks_departed(conn, database.file):
            told = f"{database.file} lacks what was sent from it, so it was not only moved"
            raise Conflict(f"{told}: run `{restores.SETTLE_COMMAND}` without --moved")


def forget_restore(database: Database) -> None:
    """Let the daemon start on the database as it is."""
    if database.file is not None:
        forget_seen(database.file)
        forget_departed(database.file)
