"""`/overview`: what needs a person first, then what runs, waits, ended, and fires next."""

from typing import Final
from urllib.parse import quote

from starlette.requests import Request

from scheduler.domain.records import ENDED_STATES, OPEN_STATES
from scheduler.tools.calendar.strip import read_hours_around
from scheduler.views.overview import read_overview
from scheduler.web.access import Reader
from scheduler.web.pages.overview_strip import draw_hours_around
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.times import zone_for

router = Pages()

_PLACES: Final = {
    "runs": "/runs",
    "schedules": "/schedules",
    "queues": "/queues",
    "accounts": "/queues",
    "freezes": "/queues",
    "daemons": "/system",
    "database": "/system",
    "api_tokens": "/system",
    "collections": "/system",
}
_WITH_PAGES_OF_THEIR_OWN: Final = ("runs", "schedules")


@router.show("/overview")
async def overview(caller: Reader, request: Request) -> Shown:
    """Show what is to be seen first."""
    found = await caller.ask(read_overview)
    around = await caller.ask(read_hours_around)
    return Shown(
        template="overview.html",
        title="Overview",
        data=found,
        terminal="dca-scheduler status",
        http="/api/v1/status",
        values={
            "place_of": place_of,
            "subject_words": subject_words,
            "open_states": OPEN_STATES,
            "ended_states": ENDED_STATES,
            "hours_around": around,
            "strip": draw_hours_around(around, zone=zone_for(request)),
        },
    )


def place_of(subject: str) -> str:
    """Return the page of a subject, as in `changes`: `schedules.nightly`."""
    table, _, name = subject.partition(".")
    if table == "runs" and not name:
        return "/runs?state=needs_attention"
    if name and table in _WITH_PAGES_OF_THEIR_OWN:
        return f"/{table}/{quote(name, safe='')}"
    return _PLACES.get(table, "/changes")


def subject_words(subject: str) -> str:
    """Return a subject for a person: `schedule nightly`."""
    table, _, name = subject.partition(".")
    return f"{_SINGULAR.get(table, table)} {name}" if name else table


_SINGULAR: Final = {
    "runs": "run",
    "schedules": "schedule",
    "queues": "queue",
    "accounts": "account",
    "api_tokens": "token",
}
