"""`/failures`: what failed, by its cause."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request

from scheduler.domain.timestamps import iso_time
from scheduler.views.failures import MOST, FailureGroup, FailuresView, read_failures
from scheduler.web.access import Reader
from scheduler.web.pages.page import Pages, Shown

router = Pages()

_STRETCHES: Final = (1, 7, 30)


@router.show("/failures")
async def failures(caller: Reader, request: Request, days: int = 7) -> Shown:
    """Group what failed in so many days by its cause."""
    stretch = min(max(days, 1), 366)
    since = caller.site.clock() - timedelta(days=stretch)
    found: FailuresView = await caller.ask(read_failures, since=since)
    return Shown(
        template="failures.html",
        title="Failures",
        data=found,
        terminal=f"dca-scheduler runs list --state failed --ended-since {iso_time(since)}",
        http=f"/api/v1/runs?state=failed&ended_since={iso_time(since)}",
        values={"most": MOST, "stretches": _STRETCHES, "days": stretch, "runs_of": _runs_of(found)},
    )


def _runs_of(found: FailuresView) -> object:
    """Return what writes the filter of the runs of a group's schedule and reason."""

    def runs_of(group: FailureGroup) -> str:
        whose = {"schedule": group.schedule} if group.schedule else {"collector": group.collector}
        ended = {"ended_since": iso_time(found.since)}
        return urlencode({**whose, "state": "failed", "reason": group.reason.value, **ended})

    return runs_of
