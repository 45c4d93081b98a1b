"""`/alerts` and `/notices`: what is wrong and who knows; what was told where, and if it arrived."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.alerts import acknowledge, try_channel
from scheduler.domain.errors import InvalidInput, NotFound
from scheduler.domain.suggestions import did_you_mean
from scheduler.views.alerts import (
    AlertView,
    NoticeView,
    OutboxView,
    list_alerts,
    list_notices,
    list_untold,
)
from scheduler.views.opening import Connection
from scheduler.views.page import LOOKED_THROUGH, Page
from scheduler.web.access import Operator, Reader
from scheduler.web.api.words import LARGEST_ID
from scheduler.web.pages.forms import Form
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.subjects import place_of, subject_words

router = Pages()

_LIMIT: Final = 50

Before = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]
Flag = Annotated[str, Query(max_length=1)]


@router.show("/alerts")
async def alerts(
    caller: Reader, request: Request, recovered: Flag = "", before: Before = None
) -> Shown:
    """List what is wrong, or also was, the newest first."""
    with_recovered = bool(recovered)
    found: Page[AlertView] = await caller.ask(
        list_alerts, with_recovered=with_recovered, limit=_LIMIT, before=before
    )
    return Shown(
        template="alerts.html",
        title="Alerts",
        data=found,
        terminal=f"dca-scheduler alerts list{' --all' if with_recovered else ''}",
        http=f"/api/v1/alerts{'?recovered=true' if with_recovered else ''}",
        values={
            "with_recovered": with_recovered,
            "is_first": before is None,
            "place_of": place_of,
            "subject_words": subject_words,
        },
    )


@router.post("/alerts/ack")
async def ack(caller: Operator, form: Form) -> Response:
    """Say that somebody knows of those that were ticked: nobody is reminded."""
    ids = form.all("alert")
    if not ids:
        raise InvalidInput("no alert was ticked: go back, and tick some")
    how = {"reason": form.text("reason"), "until": form.moment("until")}
    done = f"nobody is reminded of {len(ids)} alert{'s' * (len(ids) != 1)}"
    return await form.act(caller, acknowledge, ids, then="/alerts", done=done, **how)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A page of notices, and the channels that do not get through."""

    notices: Page[NoticeView]
    untold: tuple[OutboxView, ...]


def read_told(conn: Connection, *, now: datetime, **wanted: Any) -> Told:
    """Read both as of one moment."""
    found = list_notices(conn, now=now, **wanted, look_through=LOOKED_THROUGH)
    return Told(notices=found, untold=list_untold(conn, now=now))


@router.show("/notices")
async def notices(
    caller: Reader, request: Request, channel: str = "", open: Flag = "", before: Before = None
) -> Shown:
    """List what was told in which channel, or is to be, the newest first."""
    if "\0" in channel:
        raise InvalidInput("no name holds a NUL")
    only = channel.strip() or None
    wanted = {"channel": only, "only_open": bool(open), "limit": _LIMIT, "before": before}
    found: Told = await caller.ask(read_told, **wanted)
    configured = list(caller.site.config.channels)
    asked = [f"channel={quote(only, safe='')}"] if only else []
    options = f"{f' --channel {only}' if only else ''}{' --open' if open else ''}"
    query = "&".join([*asked, *(["open=true"] if open else [])])
    return Shown(
        template="notices.html",
        title="Notices",
        data=found,
        terminal=f"dca-scheduler notices list{options}",
        http=f"/api/v1/notices{f'?{query}' if query else ''}",
        values={
            "channel": only,
            "channels": _with(configured, only),
            "configured": configured,
            "only_open": bool(open),
            "is_first": before is None,
            "place_of": place_of,
            "subject_words": subject_words,
        },
    )


def _with(channels: Iterable[str], chosen: str | None) -> list[str]:
    """Return the channels to choose from: one that the file has no more may still be chosen."""
    return sorted({*channels, *([chosen] if chosen else [])})


@router.post("/notices/test")
async def test(caller: Operator, form: Form) -> Response:
    """Have a daemon send a test message."""
    channel, known = form.text("channel"), caller.site.config.channels
    if channel not in known:
        raise NotFound(f"no channel is called {channel!r}{did_you_mean(channel, known)}")
    then = f"/notices?channel={quote(channel, safe='')}"
    done = f"a test message for {channel} waits to be sent by a daemon"
    return await form.act(caller, try_channel, channel, then=then, done=done)
