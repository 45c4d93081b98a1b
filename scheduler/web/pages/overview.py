"""`/overview`: what needs a person first, then what runs, waits, ended, and fires next."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.requests import Request

from scheduler.domain.records import ENDED_STATES, OPEN_STATES
from scheduler.tools.calendar.strip import read_hours_around
from scheduler.views.overview import read_overview
from scheduler.web.access import Reader
from scheduler.web.pages.overview_strip import draw_hours_around
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.subjects import place_of, subject_words
from scheduler.web.pages.times import zone_for

router = Pages()

Rows = Annotated[Literal["", "schedule", "label"], Query()]
"""Of the strip."""


@router.show("/overview")
async def overview(caller: Reader, request: Request, rows: Rows = "") -> Shown:
    """Show what is to be seen first."""
    found = await caller.ask(read_overview)
    by_label = rows == "label" if rows else None
    around = await caller.ask(read_hours_around, by_label=by_label)
    return Shown(
        template="overview.html",
        title="Overview",
        data=found,
        terminal="dca-scheduler status",
        http="/api/v1/status",
        values={
            "place_of": place_of,
            "subject_words": subject_words,
            "known": {alert.subject: alert for alert in found.alerts if alert.is_acked},
            "open_states": OPEN_STATES,
            "ended_states": ENDED_STATES,
            "hours_around": around,
            "strip": draw_hours_around(around, zone=zone_for(request)),
        },
    )
