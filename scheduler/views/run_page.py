"""All that is told of one run at once: its life, its request, its relatives, what comes next."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import Final

from scheduler.domain.errors import NotFound
from scheduler.domain.records import RunState
from scheduler.storage import accounts, runs
from scheduler.storage.database import Connection
from scheduler.storage.runs.relatives import list_chunks, list_retries
from scheduler.views.collections import CollectionRequestView, list_requests
from scheduler.views.decoding import read_address
from scheduler.views.run_inputs import RunInputs, list_run_inputs
from scheduler.views.runs import RunDetail, RunView, run_view, show_run

_MOST: Final = 50
_INPUTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """
    A run and what belongs to it.

    *retries* send it once more, *chunks* are of the same occurrence. *inputs* are the first of
    them, None where it was given none. *curl* is its request, the token and the body only named.
    *next_at* is when something is done about it next, which *next_step* says. *requests* are what
    persons asked the upstream to do with its collections.
    """

    run: RunDetail
    retries: tuple[RunView, ...]
    chunks: tuple[RunView, ...]
    inputs: RunInputs | None
    curl: str | None
    next_step: str | None
    next_at: datetime | None
    requests: tuple[CollectionRequestView, ...]


def read_run_page(conn: Connection, run_id: int | str, *, now: datetime) -> RunPage:
    """Read it all as of one moment; raises NotFound."""
    shown = show_run(conn, run_id, now=now)
    run = runs.get_run(conn, shown.id)
    next_step, next_at = _next(shown, now)
    return RunPage(
        run=shown,
        retries=tuple(map(run_view, list_retries(conn, run.id, limit=_MOST))),
        chunks=tuple(map(run_view, list_chunks(conn, run, limit=_MOST))),
        inputs=None if run.body is None else list_run_inputs(conn, run.id, limit=_INPUTS),
        curl=_curl(conn, shown),
        next_step=next_step,
        next_at=next_at,
        requests=list_requests(conn, [one.id for one in shown.collections]),
    )


def _curl(conn: Connection, run: RunDetail) -> str | None:
    """Return its request as a command; None where it has no inputs, or its account is gone."""
    if run.body is None:
        return None
    with suppress(NotFound):
        address = read_address(accounts.get_account(conn, run.account).base_url)
        kind = "text/csv" if run.send_as == "csv" else "application/json"
        return (
            f"curl -X POST {quote(f'{address}/dca/trigger?{run.query}')}"
            f' -H "Authorization: Bearer $DCA_API_TOKEN" -H {quote(f"Content-Type: {kind}")}'
            " --data-binary @inputs"
        )
    return None


def _next(run: RunDetail, now: datetime) -> tuple[str | None, datetime | None]:
    """Say what is done about it next, and when."""
    match run.state:
        case RunState.QUEUED:
            later = run.not_before if run.not_before > now else None
            return run.why_waiting or "it is sent as soon as it is its turn", later
        case RunState.DISPATCHING:
            return "its answer is waited for", None
        case RunState.UNCONFIRMED:
            return (
                "the upstream's list of jobs is asked whether it was accepted",
                run.next_lookup_at,
            )
        case RunState.NEEDS_ATTENTION:
            return "a person says what became of it: adopt, resend or abandon it", None
        case RunState.COLLECTING:
            polls = [row.next_poll_at for row in run.collections if row.next_poll_at is not None]
            return "the upstream is asked how far it is", min(polls, default=None)
        case _:
            return None, None
