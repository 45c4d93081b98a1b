"""`/schedules/NAME`: when it is due, what it sends, what became of it, and an operator's hand."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote
from typing import Annotated, Any, Final
from urllib.parse import quote as url_quote

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.overrides import override_field, restore_fields
from scheduler.actions.parked_inputs import unpark_inputs
from scheduler.actions.pauses import pause_schedule, resume_schedule
from scheduler.actions.schedules import prepare_fire, set_enabled, write_fire
from scheduler.domain.errors import InvalidInput, NeedsConfirmation, NotFound
from scheduler.domain.schedule_override import FIELDS
from scheduler.tools.calendar.agenda import why_then
from scheduler.tools.calendar.explain import Explanations, explain_time
from scheduler.tools.calendar.hours import HourLoad
from scheduler.tools.calendar.next import NextOccurrence, dst_words, next_of_schedule
from scheduler.tools.calendar.preview import SchedulePreview, preview_with_hours
from scheduler.views.batches import BatchSummary, find_summary
from scheduler.views.changes import ChangeView, list_changes
from scheduler.views.collectors import CollectorView, get_collector
from scheduler.views.day_limits import AllowedView, Sender, read_allowed
from scheduler.views.history import RunFigures, YearOfRuns, list_series, read_year
from scheduler.views.opening import Connection
from scheduler.views.parked_inputs import ParkedInputView, list_parked_inputs
from scheduler.views.policy_words import policy_words
from scheduler.views.schedules import ScheduleView, get_schedule, zone_of
from scheduler.web.access import Operator, Reader
from scheduler.web.api.making import meant
from scheduler.web.api.named import files_of
from scheduler.web.api.words import Name
from scheduler.web.pages.forms import Form, answered
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.schedule_pictures import draw_history
from scheduler.web.pages.times import zone_for

router = Pages()

_NEXT: Final = 10
_CHANGES: Final = 20
_YEAR: Final = timedelta(days=182)
_RUNS: Final = 15
_PARKED: Final = 50
At = Annotated[str, Query(max_length=60)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePage:
    """All about one schedule, as of one moment; *problem* says why nothing of it can be known."""

    schedule: ScheduleView
    why_then: str
    policies: tuple[str, ...]
    collector: CollectorView | None
    batch: BatchSummary | None
    next: tuple[NextOccurrence, ...]
    ahead: SchedulePreview
    allowed: AllowedView
    series: tuple[RunFigures, ...]
    parked: tuple[ParkedInputView, ...]
    changes: tuple[ChangeView, ...]
    explained: Explanations | None
    problem: str | None


def read_schedule_page(
    conn: Connection, name: str, *, at: datetime | None, now: datetime
) -> tuple[SchedulePage, YearOfRuns, tuple[HourLoad, ...]]:
    """Read it, the half year behind it, and the hours before it; raises NotFound."""
    schedule = get_schedule(conn, name, now=now)
    coming, problem = _coming(conn, name, now)
    ahead, hours = preview_with_hours(conn, name, days=_YEAR.days, now=now)
    collector = _collector(conn, schedule.collector)
    page = SchedulePage(
        schedule=schedule,
        why_then=why_then(schedule),
        policies=policy_words(schedule),
        collector=collector,
        batch=find_summary(conn, schedule.batch),
        next=coming,
        ahead=ahead,
        allowed=read_allowed(conn, _sender(schedule, collector), now=now),
        series=list_series(conn, name),
        parked=list_parked_inputs(conn, name, now=now, limit=_PARKED),
        changes=tuple(list_changes(conn, subject=f"schedules.{name}", limit=_CHANGES).items),
        explained=None if at is None else explain_time(conn, name, at, now=now),
        problem=problem,
    )
    return page, read_year(conn, name, zone=zone_of(conn, name), since=now - _YEAR), hours


def _sender(schedule: ScheduleView, collector: CollectorView | None) -> Sender:
    return Sender(
        account=collector.account if collector else "",
        collector=schedule.collector,
        schedule=schedule.name,
        labels=f",{','.join(schedule.labels)}," if schedule.labels else None,
    )


def _collector(conn: Connection, name: str) -> CollectorView | None:
    """Return a collector, unless somebody's SQL has taken it away."""
    with suppress(NotFound):
        return get_collector(conn, name)
    return None


def _coming(
    conn: Connection, name: str, now: datetime
) -> tuple[tuple[NextOccurrence, ...], str | None]:
    try:
        found = next_of_schedule(conn, name, start=None, count=_NEXT, with_excluded=True, now=now)
        return tuple(found), None
    except InvalidInput as error:
        return (), str(error)


@router.show("/schedules/{name}")
async def schedule(caller: Reader, request: Request, name: Name, at: At = "") -> Shown:
    """Show one schedule; `at` asks why it ran at a time, or did not."""
    moment, misread = _read_wall_time(at)
    found, year, hours = await caller.ask(read_schedule_page, name, at=moment)
    its = found.schedule
    how = (its, zone_for(request, its.timezone), caller.site.clock())
    terminal, http = _same(name, at, moment)
    return Shown(
        template="schedule.html",
        title=name,
        data=found,
        terminal=terminal,
        http=http,
        zone=its.timezone,
        values={
            "its": its,
            "place": f"/schedules/{url_quote(name, safe='')}",
            "at": at,
            "misread": misread,
            "pictures": draw_history(found.series, year, found.ahead.days, hours, *how),
            "runs": found.series[::-1][:_RUNS],
            "fields": FIELDS,
            "dst_words": dst_words,
        },
    )


def _same(name: str, at: str, moment: datetime | None) -> tuple[str, str]:
    """Return the command and the path that tell the same."""
    path = f"/api/v1{_place(name)}"
    if moment is None:
        return f"dca-scheduler schedules show {quote(name)}", path
    explained = f"{path}/explain?at={url_quote(moment.isoformat())}"
    return f"dca-scheduler explain {quote(name)} {quote(at)}", explained


def _read_wall_time(text: str) -> tuple[datetime | None, str | None]:
    """Return what was asked for, or why it cannot be read; without an offset it is wall time."""
    if not text.strip():
        return None, None
    try:
        return datetime.fromisoformat(text.strip()), None
    except ValueError:
        return None, f"{text[:40]!r} is no time, such as 2026-12-01 02:00"


def _place(name: str) -> str:
    return f"/schedules/{url_quote(name, safe='')}"


@router.post("/schedules/{name}/pause")
async def pause(caller: Operator, form: Form, name: Name) -> Response:
    """Skip what comes due, until then or until somebody resumes it."""
    how = {"reason": form.text("reason"), "until": form.moment("until")}
    return await form.act(caller, pause_schedule, name, then=_place(name), done="paused", **how)


@router.post("/schedules/{name}/resume")
async def resume(caller: Operator, form: Form, name: Name) -> Response:
    """Let it fire again."""
    return await form.act(caller, resume_schedule, name, then=_place(name), done="resumed")


@router.post("/schedules/{name}/unpark")
async def unpark(caller: Operator, form: Form, name: Name) -> Response:
    """Send a parked input again, from the next run on."""
    given = form.text("id")
    if not given.isdecimal():
        raise InvalidInput("id: must be that of a parked input")
    how = {"then": _place(name), "done": "parked no more"}
    return await form.act(caller, unpark_inputs, name, [int(given)], **how)


@router.post("/schedules/{name}/enable")
async def enable(caller: Operator, form: Form, name: Name) -> Response:
    """Let it fire; of a file's, until that is applied again."""
    how = {"then": _place(name), "done": "enabled"}
    return await form.act(caller, set_enabled, name, enabled=True, **how)


@router.post("/schedules/{name}/disable")
async def disable(caller: Operator, form: Form, name: Name) -> Response:
    """Fire it no more; of a file's, until that is applied again."""
    how = {"then": _place(name), "done": "disabled"}
    return await form.act(caller, set_enabled, name, enabled=False, **how)


@router.post("/schedules/{name}/fire")
async def fire(caller: Operator, form: Form, name: Name) -> Response:
    """Send it now, beside its timetable."""
    prepared = await caller.look_outside(prepare_fire, name, files=files_of(caller))
    try:
        written = await caller.act(
            meant,
            write_fire,
            form.confirm,
            prepared,
            config=caller.site.config,
            past_pauses=form.find("past_pauses") is not None,
        )
    except NeedsConfirmation as needed:
        return form.ask_back(caller, needed, _place(name))
    if len(written) == 1:
        return answered(f"/runs/{written[0].id}", f"{name} is fired")
    return answered(_place(name), f"{name} is fired: {len(written)} runs")


@router.post("/schedules/{name}/override")
async def override(caller: Operator, form: Form, name: Name) -> Response:
    """Let one of its fields be otherwise for a while."""
    field, value, until = form.text("field"), form.find("value"), form.moment("until")
    if until is None:
        raise InvalidInput("until: say when it ends")
    how: dict[str, Any] = {"until": until, "reason": form.text("reason")}
    done = f"{field} is {value or 'the default'} for a while"
    return await form.act(
        caller, override_field, name, field, value, then=_place(name), done=done, **how
    )


@router.post("/schedules/{name}/restore")
async def restore(caller: Operator, form: Form, name: Name) -> Response:
    """End an override."""
    field = form.text("field")
    done = f"{field} is restored"
    return await form.act(caller, restore_fields, name, field, then=_place(name), done=done)
