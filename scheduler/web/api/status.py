"""`/api/v1/status` and what else tells how everything is doing."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from scheduler.tools.calendar.audit import AuditReport, read_audit
from scheduler.tools.calendar.lint import YearFindings, lint_year
from scheduler.tools.definitions.drift import Drift, list_drift
from scheduler.views.changes import ChangeView, count_changes, list_changes
from scheduler.views.health import HealthView, read_health
from scheduler.views.page import Page
from scheduler.views.status import DaemonView, StatusView, list_daemons, read_status
from scheduler.web.access import Reader
from scheduler.web.api.paging import Pages
from scheduler.web.api.words import Moment
from scheduler.web.models import answers, reply
from scheduler.web.routing import Router

router = Router(tags=["status"])

LostSince = Annotated[
    Moment | None, Query(description="Tell what failed or was missed since; 24 h, unless said.")
]


@router.get("/status", **answers(StatusView))
async def show(caller: Reader, since: LostSince = None) -> Response:
    """
    Say what runs, waits, fires next, and needs a person.

    Read once a second at most, and after each change made here: `read_at` says when.
    """
    return reply(await caller.ask_lately(read_status, since=since))


@router.get("/doctor", **answers(HealthView))
async def doctor(
    caller: Reader,
    since: LostSince = None,
    invariants: Annotated[
        bool, Query(description="Only the queries that must find nothing.")
    ] = False,
) -> Response:
    """
    Look for what is wrong or needs a person; nothing is written.

    `exit_code` is that of the command `doctor`: 1 if something was found.
    """
    found = await caller.ask(
        read_health,
        config=caller.site.config,
        config_error=caller.site.config_error,
        only_invariants=invariants,
        since=since,
    )
    return reply(found)


@router.get("/daemons", **answers(Page[DaemonView]))
async def daemons(caller: Reader, pages: Pages) -> Response:
    """List the daemons that live, the oldest first."""
    living = await caller.ask(list_daemons)
    return pages.cut(living, lambda daemon: f"{daemon.started_at.isoformat()} {daemon.id}")


@router.get("/changes", **answers(Page[ChangeView]))
async def changes(
    caller: Reader,
    pages: Pages,
    subject: Annotated[
        str | None, Query(description="Only of this, as `schedules.nightly` or `schedules`.")
    ] = None,
    by: Annotated[str | None, Query(description="Only what this person did.")] = None,
    since: Annotated[Moment | None, Query(description="Only what was done then or later.")] = None,
) -> Response:
    """
    List who changed what through this program, the newest first.

    What an SQL client did to definitions is among it, by `sql`. 20,000 are looked through at once:
    a page may have few, or none, and go on.
    """
    wanted = {"subject": subject, "by": by, "since": since}
    page = await caller.ask(list_changes, **wanted, **pages.looked_through, before=pages.number)
    return pages.reply(page, await pages.counted(caller, count_changes, **wanted))


@router.get("/drift", **answers(Page[Drift]))
async def drift(caller: Reader) -> Response:
    """
    Tell where the database differs from the configuration that this server has loaded.

    `GET /changes` tells what else was changed. Without a file there is none to differ from.
    """
    return reply(await caller.ask(list_drift, caller.site.config))


@router.get("/audit", **answers(AuditReport))
async def audit(
    caller: Reader,
    since: Annotated[
        Moment | None, Query(description="What was due then or later; a week, unless said.")
    ] = None,
    until: Annotated[Moment | None, Query(description="What was due before then; now.")] = None,
) -> Response:
    """
    Compare what was due with what happened: only schedules where the two differ.

    `exit_code` is that of the command `audit`: 1 if there is any.
    """
    return reply(await caller.ask(read_audit, since=since, until=until))


@router.get("/calendar/lint", **answers(YearFindings))
async def lint(
    caller: Reader,
    year: Annotated[
        int | None, Query(ge=1970, le=2200, description="Which year; this one, unless said.")
    ] = None,
) -> Response:
    """Tell what is odd about a year, and only that: clock changes, gaps, what is seldom meant."""
    return reply(await caller.ask(lint_year, year))
