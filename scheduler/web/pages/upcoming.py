"""`/upcoming`: what will run and why then, what will not, the hours to come; also as `.ics`."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from scheduler.tools.calendar.agenda import MOST_ENTRIES, read_agenda, read_agenda_and_load
from scheduler.tools.calendar.agenda_ics import agenda_ics
from scheduler.tools.calendar.hours import HourLoad, Load
from scheduler.tools.calendar.next import dst_words
from scheduler.views.accounts import AccountView, list_accounts
from scheduler.web.access import Reader
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.times import zone_for
from scheduler.web.pictures.week import HourCount, Limit, draw_load, draw_week

router = Pages()

_WEEK: Final = 7 * 24
_CHOICES: Final = (6, 24, 48)
_SHOWN: Final = 200
Hours = Annotated[int, Query(ge=1, le=_WEEK)]


@router.show("/upcoming")
async def upcoming(caller: Reader, request: Request, hours: Hours = 24) -> Shown:
    """Show the hours to come."""
    asked = {"hours": hours, "load_hours": _WEEK, "most": _SHOWN}
    agenda, week = await caller.ask(read_agenda_and_load, **asked)
    limits = [_limit(account) for account in await caller.ask(list_accounts)]
    zone = zone_for(request)
    return Shown(
        template="upcoming.html",
        title="Upcoming",
        data=agenda,
        terminal=f"dca-scheduler upcoming --hours {hours}",
        http=f"/api/v1/upcoming?hours={hours}",
        values={
            "hours": hours,
            "most_told": MOST_ENTRIES,
            "choices": _CHOICES,
            "week": draw_week(_counts(week.hours), zone=zone),
            "uncounted": week.uncounted,
            "load": draw_load(_counts(_near(week, hours)), limits=limits, zone=zone),
            "dst_words": dst_words,
        },
    )


@router.get("/upcoming.ics")
async def calendar(caller: Reader, request: Request, hours: Hours = _WEEK) -> Response:
    """Return the same as a calendar, of a week unless said."""
    agenda = await caller.ask(read_agenda, hours=hours)
    text = agenda_ics(agenda, host=request.url.hostname or "dca-scheduler")
    headers = {"Content-Disposition": 'attachment; filename="upcoming.ics"'}
    return Response(text, media_type="text/calendar", headers=headers)


def _counts(hours: tuple[HourLoad, ...]) -> list[HourCount]:
    return [HourCount(start=hour.start, count=hour.count) for hour in hours]


def _near(week: Load, hours: int) -> tuple[HourLoad, ...]:
    """Return the hours of the agenda, and a day at least."""
    return week.hours[: max(hours, 24) + 1]


def _limit(account: AccountView) -> Limit:
    most = account.requests_per_second * 3600
    return Limit(per_hour=most, says=f"account {account.name} may send {most:,.0f} an hour")
