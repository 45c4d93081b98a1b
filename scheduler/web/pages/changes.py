"""`/changes`: who changed what, and how it was before."""

from datetime import datetime
from shlex import quote
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Query
from starlette.requests import Request

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timestamps import iso_time
from scheduler.views.changes import list_changes
from scheduler.views.page import LOOKED_THROUGH
from scheduler.web.access import Reader
from scheduler.web.api.words import LARGEST_ID
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.subjects import place_of
from scheduler.web.pages.times import read_moment, zone_for

router = Pages()

_LIMIT: Final = 50


@router.show("/changes")
async def changes(
    caller: Reader,
    request: Request,
    subject: str = "",
    by: str = "",
    since: str = "",
    before: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
) -> Shown:
    """List what was changed through this program, the newest first."""
    if "\0" in subject + by:
        raise InvalidInput("no name holds a NUL")
    moment = read_moment(since, zone_for(request)) if since.strip() else None
    wanted: dict[str, Any] = {
        "subject": subject.strip() or None,
        "by": by.strip() or None,
        "since": moment,
    }
    texts = {key: _word(value) for key, value in wanted.items() if value is not None}
    how = {"limit": _LIMIT, "look_through": LOOKED_THROUGH}
    return Shown(
        template="changes.html",
        title="Changes",
        data=await caller.ask(list_changes, **wanted, **how, before=before),
        terminal="dca-scheduler changes list"
        + "".join(f" --{key} {quote(text)}" for key, text in texts.items()),
        http=f"/api/v1/changes{'?' + urlencode(texts) if texts else ''}",
        values={
            "wanted": wanted,
            "is_first": before is None,
            "place_of": place_of,
        },
    )


def _word(value: object) -> str:
    return iso_time(value) if isinstance(value, datetime) else str(value)
