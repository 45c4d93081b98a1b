"""Which schedules have sent all that they may: asked by whoever tells what is to come."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from scheduler.domain.limits import Wanted
from scheduler.domain.records import Schedule
from scheduler.storage import definitions
from scheduler.storage.database import Connection
from scheduler.views.allowance import Allowance, Over


@dataclass(frozen=True, slots=True, kw_only=True)
class _NextRun:
    account: str
    collector: str
    schedule: str | None
    labels: str | None


def list_over_limits(
    conn: Connection, of: Iterable[Schedule], *, at: datetime, is_due: bool = False
) -> dict[str, Over]:
    """
    Return, by name, which of these schedules have sent all that they may on the day of *at*.

    With *is_due* also where a run that was due at that very moment would come too soon.
    """
    allowance = Allowance(conn, at)
    if not allowance.is_limited:
        return {}
    account_of = definitions.accounts_of_collectors(conn)
    wanted = Wanted(inputs=1, meant_at=at if is_due else datetime.max.replace(tzinfo=UTC))
    nexts = {one.name: _next_run(one, account_of.get(one.collector, "")) for one in of}
    allowance.read_ahead(nexts.values())
    told = {name: allowance.what_is_over(run, wanted) for name, run in nexts.items()}
    return {name: why for name, why in told.items() if why is not None}


def _next_run(schedule: Schedule, account: str) -> _NextRun:
    return _NextRun(
        account=account,
        collector=schedule.collector,
        schedule=schedule.name,
        labels=schedule.labels,
    )
