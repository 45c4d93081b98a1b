"""
Who is next: of each collector with work the run that is sent next, by the page candidates.sql.

What the page asks of a run that may be sent stands between two of its comments, and holds for
those that end what waits, too.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import (
    BindParameter,
    Connection,
    TextClause,
    bindparam,
    column,
    func,
    select,
    text,
    union_all,
)

from scheduler.domain.records import RunState
from scheduler.storage.collection_tables import other_jobs
from scheduler.storage.collections_ import CollectorKey
from scheduler.storage.gathered import gather
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.other_jobs import is_counted
from scheduler.storage.tables import in_state, runs

QUEUED = in_state(runs, RunState.QUEUED)
ACCOUNTS: BindParameter[Sequence[str]] = bindparam("accounts", expanding=True)
NOW = bindparam("now", type_=runs.c.not_before.type)

_PAGE: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


def _statement(page: str) -> TextClause:
    lines = (line for line in page.splitlines() if not line.lstrip().startswith("--"))
    # SQLAlchemy puts the parentheses of a list itself.
    return text("\n".join(lines).rstrip(";").replace("(:accounts)", ":accounts"))


def _between(start: str, end: str) -> str:
    return _PAGE.partition(f"-- {start}\n")[2].partition(f"-- {end}\n")[0]


class Candidate(NamedTuple):
    """The run that is next in its collector."""

    id: int
    account: str
    collector_id: str
    unresolved: int
    max_unresolved: int
    max_running: int

    @property
    def collector(self) -> CollectorKey:
        """Return whose run it is."""
        return self.account, self.collector_id

    @property
    def leaves_room(self) -> bool:
        """Tell whether the collector may have another trigger beside it."""
        return self.unresolved + 1 < self.max_unresolved


_CANDIDATES = (
    _statement(_PAGE)
    .bindparams(ACCOUNTS, NOW)
    .columns(*(column(name) for name in Candidate._fields))
)
MAY_BE_SENT = _statement(
    _between("may be sent:", "its order key is free:").strip().removeprefix("AND ")
).bindparams(NOW)
"""The condition that the time of a row of `runs` has come at NOW, and nothing holds it up."""


def list_candidates(
    conn: Connection, missing: Mapping[str, int], *, now: datetime
) -> dict[str, deque[Candidate]]:
    """Return the candidates of each account of which some are missing, the most urgent first."""
    candidates: dict[str, deque[Candidate]] = {
        name: deque() for name, count in missing.items() if count
    }
    for row in gather(conn, _CANDIDATES, {"accounts": list(candidates), "now": now}):
        candidate = Candidate(*row)
        candidates[candidate.account].append(candidate)
    return candidates


def where_room_is(
    conn: Connection, candidates: Sequence[Candidate], *, now: datetime
) -> list[Candidate]:
    """Return those whose collectors may run another: running jobs are counted only for these."""
    among = _AMONG.of({candidate.collector_id for candidate in candidates})
    of_accounts = {"accounts": list({candidate.account for candidate in candidates}), "now": now}
    running: Counter[CollectorKey] = Counter()
    for account, collector_id, number in gather(conn, _RUNNING, among | of_accounts):
        running[account, collector_id] += number
    return [
        candidate
        for candidate in candidates
        if candidate.unresolved + running[candidate.collector] < candidate.max_running
    ]


_AMONG = JsonValues("collectors", runs.c.collector_id.type)
_RUNNING = union_all(
    select(runs.c.account, runs.c.collector_id, func.count())
    .where(
        runs.c.account.in_(ACCOUNTS),
        in_state(runs, RunState.COLLECTING),
        runs.c.overdue_at.is_(None),
        _AMONG.has(runs.c.collector_id),
    )
    .group_by(runs.c.account, runs.c.collector_id),
    select(other_jobs.c.account, other_jobs.c.collector_id, func.count())
    .where(
        other_jobs.c.account.in_(ACCOUNTS), _AMONG.has(other_jobs.c.collector_id), is_counted(NOW)
    )
    .group_by(other_jobs.c.account, other_jobs.c.collector_id),
)
