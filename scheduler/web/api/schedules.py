"""`/api/v1/schedules`: what fires, when, and why."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.responses import Response

from scheduler.tools.calendar.agenda import Agenda, read_agenda
from scheduler.tools.calendar.explain import Explanations, explain_time
from scheduler.tools.calendar.next import NextOccurrence, next_of_cron, next_of_schedule
from scheduler.tools.calendar.preview import Preview, preview_schedules
from scheduler.views.page import Page
from scheduler.views.parked_inputs import ParkedInputView, list_parked_inputs
from scheduler.views.schedules import (
    OverrideView,
    ScheduleFilter,
    ScheduleView,
    count_schedules,
    list_overrides,
    page_schedules,
)
from scheduler.web.access import Reader
from scheduler.web.api.definitions import definition_reply
from scheduler.web.api.paging import Pages
from scheduler.web.api.words import Moment, Name, WallTime
from scheduler.web.models import answers, reply
from scheduler.web.routing import Router

router = Router(tags=["schedules"])


async def schedule_filter(
    name: Annotated[
        list[str], Query(max_length=1000, description="Only those of these names.")
    ] = [],  # noqa: B006 - fastapi copies it
    collector: Annotated[str | None, Query(description="Only those of this collector.")] = None,
    batch: Annotated[str | None, Query(description="Only those of this batch.")] = None,
    queue: Annotated[str | None, Query(description="Only those of this named queue.")] = None,
    label: Annotated[str | None, Query(description="Only those with this label.")] = None,
    enabled: Annotated[bool | None, Query(description="Only those that are, or are not.")] = None,
    paused: Annotated[bool | None, Query(description="Only those that are, or are not.")] = None,
    invalid: Annotated[bool | None, Query(description="Only those that are, or are not.")] = None,
) -> ScheduleFilter:
    """Return which schedules are meant: those that all parameters choose."""
    return ScheduleFilter(
        names=name,
        collector=collector,
        batch=batch,
        queue=queue,
        label=label,
        enabled=enabled,
        paused=paused,
        invalid=invalid,
    )


Wanted = Annotated[ScheduleFilter, Depends(schedule_filter)]
From = Annotated[
    Moment | None, Query(alias="from", description="Count from this time on; now, unless said.")
]
HowMany = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
WithExcluded = Annotated[
    bool, Query(description="Also those that a calendar excludes, and which calendar.")
]


@router.get("/schedules", **answers(Page[ScheduleView]))
async def list_(caller: Reader, pages: Pages, wanted: Wanted) -> Response:
    """List schedules by name: their rows, their next times, and what holds them."""
    page = await caller.ask(page_schedules, wanted, limit=pages.limit, after=pages.name)
    return pages.reply(page, await caller.ask(count_schedules, wanted) if pages.count else None)


@router.get("/schedules/{name}", **answers(ScheduleView, 404))
async def show(caller: Reader, name: Name) -> Response:
    """Show one schedule; `ETag` is that of its definition, and says nothing of when it fires."""
    return await definition_reply(caller, "schedules", name)


@router.get("/schedules/{name}/next", **answers(Page[NextOccurrence], 404))
async def upcoming(
    caller: Reader,
    name: Name,
    start: From = None,
    count: HowMany = 10,
    excluded: WithExcluded = False,
) -> Response:
    """
    Tell when a schedule is due next, and when its runs start.

    What its timetable says: `held` of the schedule tells whether it fires.
    """
    found = await caller.ask(
        next_of_schedule, name, start=start, count=count, with_excluded=excluded
    )
    return reply(found)


@router.get("/schedules/{name}/explain", **answers(Explanations, 404))
async def explain(
    caller: Reader,
    name: Name,
    at: Annotated[
        WallTime,
        Query(description="A time; without an offset it is on the wall clock of its zone."),
    ],
) -> Response:
    """Say why a schedule fired, or not, at a time, past or to come."""
    return reply(await caller.ask(explain_time, name, at))


@router.get("/schedules/{name}/overrides", **answers(Page[OverrideView], 404))
async def overrides_of(caller: Reader, name: Name) -> Response:
    """List the overrides in force of one schedule."""
    return reply(await caller.ask(list_overrides, name))


@router.get("/schedules/{name}/parked-inputs", **answers(Page[ParkedInputView], 404))
async def parked(caller: Reader, pages: Pages, name: Name) -> Response:
    """List the inputs that a schedule leaves out: each failed in `park_after` runs in a row."""
    found = await caller.ask(list_parked_inputs, name, limit=_MOST_PARKED)
    return pages.cut(found, lambda parked: f"{parked.id:020}")


_MOST_PARKED = 100_000


@router.get("/overrides", **answers(Page[OverrideView]))
async def overrides(caller: Reader, pages: Pages) -> Response:
    """List the overrides in force, by schedule and field."""
    in_force = await caller.ask(list_overrides)
    return pages.cut(in_force, lambda override: f"{override.schedule}\n{override.field}")


@router.get("/preview", **answers(Preview, 404))
async def preview(
    caller: Reader,
    schedule: Annotated[
        list[str], Query(max_length=1000, description="Only these; all, unless said.")
    ] = [],  # noqa: B006 - fastapi copies it
    days: Annotated[int, Query(ge=1, le=366, description="How many days.")] = 30,
    start: From = None,
) -> Response:
    """Count what will fire in the days to come, by schedule and day, and what will not, and why."""
    return reply(await caller.ask(preview_schedules, schedule, days=days, start=start))


@router.get("/upcoming", **answers(Agenda))
async def agenda(
    caller: Reader,
    hours: Annotated[int, Query(ge=1, le=168, description="How many hours.")] = 24,
) -> Response:
    """
    List what will run in the hours to come, and why then; what is stopped or never fires, and why.

    A schedule that is due more than 24 times in these hours is one entry with their number.
    """
    return reply(await caller.ask(read_agenda, hours=hours))


@router.get("/next", **answers(Page[NextOccurrence]))
async def next_of_crontab(
    caller: Reader,
    cron: Annotated[str, Query(max_length=1000, description="Crontab text: five fields.")],
    timezone: Annotated[str, Query(max_length=100, description="Its zone.")] = "UTC",
    start: From = None,
    count: HowMany = 10,
) -> Response:
    """Tell when crontab text would be due, without any schedule."""
    return reply(await caller.ask(next_of_cron, cron, timezone, start=start, count=count))
