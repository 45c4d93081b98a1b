"""`/failures`: what failed, by its cause; and the runs of a cause, of which some are retried."""

from datetime import date, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.runs import retry_runs
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Reason
from scheduler.domain.timestamps import iso_time
from scheduler.views.failures import MOST, FailureGroup, FailuresView, list_of_cause, read_failures
from scheduler.views.retrying import Retryable
from scheduler.web.access import Operator, Reader
from scheduler.web.pages.forms import Form
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pictures.spark import draw_trend

router = Pages()

_STRETCHES: Final = (1, 7, 30)
_LISTED: Final = 500
_SHOWN: Final = 100

Days = Annotated[int, Query(ge=1, le=366)]
Text = Annotated[str, Query(max_length=2_000)]


@router.show("/failures")
async def failures(caller: Reader, request: Request, days: Days = 7) -> Shown:
    """Group what failed in so many days by its cause."""
    now = caller.site.clock()
    since = now - timedelta(days=days)
    found: FailuresView = await caller.ask(read_failures, since=since)
    return Shown(
        template="failures.html",
        title="Failures",
        data=found,
        terminal=f"dca-scheduler runs list --state failed --ended-since {iso_time(since)}",
        http=f"/api/v1/runs?state=failed&ended_since={iso_time(since)}",
        values={
            "most": MOST,
            "groups": found.groups[:_SHOWN],
            "stretches": _STRETCHES,
            "days": days,
            "group_query": lambda group: _group_query(group, days),
            "trend_of": lambda group: _trend(group, since, now),
        },
    )


def _trend(group: FailureGroup, since: datetime, now: datetime) -> Markup:
    counts = {date.fromisoformat(day): count for day, count in group.days.items()}
    svg = draw_trend(counts, begin=since.date(), end=now.date())
    return Markup(svg)  # noqa: S704 - it escapes what it is given


def _group_query(group: FailureGroup, days: int) -> str:
    """Return the group as the query of the page of its runs."""
    pairs = {
        "schedule": group.schedule or "",
        "collector": group.collector,
        "reason": group.reason.value,
        "words": group.words,
        "days": days,
    }
    return urlencode({name: value for name, value in pairs.items() if value})


@router.show("/failures/runs")
async def runs_of_cause(
    caller: Reader,
    request: Request,
    collector: Text = "",
    reason: Reason = Reason.COLLECTION_FAILED,
    schedule: Text = "",
    words: Text = "",
    days: Days = 7,
) -> Shown:
    """List the runs of one cause that can be retried, to tick some of them."""
    if "\0" in schedule + collector + words:
        raise InvalidInput("no name holds a NUL")
    since: datetime = caller.site.clock() - timedelta(days=days)
    found: Retryable = await caller.ask(
        list_of_cause,
        schedule=schedule or None,
        collector=collector,
        reason=reason,
        words=words,
        since=since,
        limit=_LISTED,
    )
    whose = {"schedule": schedule} if schedule else {"collector": collector}
    asked = {**whose, "state": "failed", "reason": reason.value, "ended_since": iso_time(since)}
    options = "".join(f" --{name.replace('_', '-')} {value}" for name, value in asked.items())
    return Shown(
        template="failures_runs.html",
        title="Runs that failed of the same",
        data=found,
        terminal=f"dca-scheduler runs retry{options} --dry-run",
        http=f"/api/v1/runs?{urlencode(asked)}",
        is_live=False,
        values={
            "of": schedule or collector,
            "reason": reason,
            "words": words,
            "days": days,
            "listed": _LISTED,
            "query": urlencode(asked),
        },
    )


@router.post("/failures/retry")
async def retry(caller: Operator, form: Form) -> Response:
    """Send the runs that were ticked once more; those that were meanwhile are left out."""
    ids = [int(text) for text in form.all("run") if text.isdecimal() and len(text) < 19]
    if not ids:
        raise InvalidInput("no run was ticked: go back, and tick some")
    done = f"{len(ids)} run{'s are' if len(ids) != 1 else ' is'} sent once more"
    return await form.act(caller, retry_runs, ids, only_new=True, then="/failures", done=done)
