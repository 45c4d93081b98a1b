"""`/schedules`: what fires when, and what became of it; pausing and resuming several at once."""

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.pauses import pause_schedules, resume_schedules
from scheduler.actions.several import fire_several, label_several, prepare_fires
from scheduler.domain.errors import InvalidInput
from scheduler.views.names import list_suggestions
from scheduler.views.schedule_list import (
    MOST_FIRED,
    ScheduleRow,
    list_chosen,
    list_paused,
    list_to_label,
    page_schedule_rows,
)
from scheduler.views.schedules import ScheduleFilter, ScheduleView
from scheduler.web.access import Admin, Caller, Operator, Reader
from scheduler.web.api.named import files_of
from scheduler.web.pages.forms import CSRF, Form, Sent
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.rendering import page_response
from scheduler.web.pages.sparks import spark_of

router = Pages()

_LIMIT: Final = 50
_NAMES: Final = ("collector", "batch", "queue", "label")
_OPTIONS: Final = {"on": "enabled", "off": "disabled"}
_FLAGS: Final[Mapping[str, dict[str, Any]]] = {
    "on": {"enabled": True},
    "off": {"enabled": False},
    "paused": {"paused": True},
    "invalid": {"invalid": True},
}


@router.show("/schedules")
async def schedules(caller: Reader, request: Request, after: str | None = None) -> Shown:
    """List the schedules that the address chooses, by name."""
    wanted = _read_filter(request)
    chosen = dict(_pairs(request))
    found = await caller.ask(page_schedule_rows, wanted, limit=_LIMIT, after=after or None)
    options = "".join(f" --{key} {quote(value)}" for key, value in chosen.items() if key in _NAMES)
    if show := chosen.get("show"):
        options += f" --{_OPTIONS.get(show, show)}"
    return Shown(
        template="schedules.html",
        title="Schedules",
        data=found,
        terminal=f"dca-scheduler schedules list{options}",
        http=f"/api/v1/schedules{_query(chosen)}",
        values={
            "suggestions": await caller.ask_lately(list_suggestions),
            "names": _NAMES,
            "flags": tuple(_FLAGS),
            "chosen": chosen,
            "query": f"?{urlencode(chosen)}" if chosen else "",
            "is_first": not after,
            "spark": _spark,
        },
    )


@router.post("/schedules/pause")
async def pause(caller: Operator, form: Form) -> Response:
    """Pause those that were ticked, or all that the address chooses, after they are listed."""
    how = {"reason": form.text("reason"), "until": form.moment("until")}
    rows = await caller.ask(list_chosen, _wanted(form))
    if form.find("all"):
        return _list_first(caller, form, "pause", rows)
    done = f"{_count(rows)} {'is' if len(rows) == 1 else 'are'} paused"
    names = [row.name for row in rows]
    return await form.act(caller, pause_schedules, names, then=_back(form), done=done, **how)


@router.post("/schedules/resume")
async def resume(caller: Operator, form: Form) -> Response:
    """Resume those that were ticked, or all that the address chooses, after they are listed."""
    if form.find("all"):
        return _list_first(caller, form, "resume", await caller.ask(list_paused, _wanted(form)))
    names = [row.name for row in await caller.ask(list_chosen, _wanted(form))]
    done = f"of {len(names)} schedules, those that were paused fire again"
    return await form.act(caller, resume_schedules, names, then=_back(form), done=done)


@router.post("/schedules/fire")
async def fire(caller: Operator, form: Form) -> Response:
    """Fire those that were ticked, or all that the address chooses, after they are listed."""
    rows = await caller.ask(list_chosen, _wanted(form), most=MOST_FIRED)
    if form.find("listed") is None:
        return _list_first(caller, form, "fire", rows)
    names = [row.name for row in rows]
    fires = await caller.look_outside(prepare_fires, names, files=files_of(caller))
    done = f"{len(names)} schedules are fired"
    config = caller.site.config
    return await form.act(caller, fire_several, fires, config=config, then=_back(form), done=done)


@router.post("/schedules/label")
async def label(caller: Admin, form: Form) -> Response:
    """Put a label on those that no file owns, or take it off, after they are listed."""
    text, is_on = form.text("label"), form.find("off") is None
    found = await caller.ask(list_to_label, _wanted(form), text, is_on=is_on)
    if form.find("listed") is None:
        return _list_first(caller, form, "label", found.schedules, found.owned)
    done = f"{text} is {'on' if is_on else 'off'} {len(found.schedules)} schedules"
    how: dict[str, Any] = {"is_on": is_on, "defaults": caller.site.config.defaults}
    names = [row.name for row in found.schedules]
    return await form.act(caller, label_several, names, text, then=_back(form), done=done, **how)


def _list_first(
    caller: Caller,
    form: Sent,
    act: str,
    rows: Sequence[ScheduleView],
    owned: Sequence[ScheduleView] = (),
) -> Response:
    """Return the page that lists what is meant, and has the button."""
    text, is_on = form.find("label") or "", form.find("off") is None
    label = f"{'Put' if is_on else 'Take'} {text} {'on' if is_on else 'off'}"
    sends: dict[str, dict[str, Any]] = {
        "label": {"label": text, "is_on": is_on},
        "pause": {"reason": form.find("reason")},
    }
    shown = Shown(
        template="schedules_act.html",
        title=f"{label if act == 'label' else act.capitalize()} {_count(rows)}",
        data=None,
        terminal="",
        http=f"POST /api/v1/schedules/{act}{_chosen(form)}dry_run=true",
        sends=sends.get(act),
        is_live=False,
        values={
            "act": act,
            "rows": rows,
            "owned": owned,
            "kept": {key: value for key, value in form.fields if key not in _NOT_KEPT},
            "query": form.request.url.query,
            "back": _back(form),
        },
    )
    return page_response(form.request, caller, shown)


_NOT_KEPT: Final = (CSRF, "all", "name")
"""Those that are listed take the place of what was chosen."""


def _count(rows: Sequence[ScheduleView]) -> str:
    return f"{len(rows)} schedule{'s' * (len(rows) != 1)}"


def _back(form: Sent) -> str:
    query = urlencode(list(_pairs(form.request)))
    return f"/schedules?{query}" if query else "/schedules"


def _wanted(form: Sent) -> ScheduleFilter:
    if form.find("all"):
        return _read_filter(form.request)
    names = form.all("name")
    if not names:
        raise InvalidInput("no schedule was ticked: go back, and tick some, or choose all")
    return ScheduleFilter(names=names)


def _pairs(request: Request) -> Iterator[tuple[str, str]]:
    for name in (*_NAMES, "show"):
        if value := request.query_params.get(name, "").strip():
            yield name, value


def _chosen(form: Sent) -> str:
    """Return what was chosen as the API has it, before another parameter."""
    if form.find("all"):
        return f"{_query(dict(_pairs(form.request))) or '?'}&".replace("?&", "?")
    return f"?{urlencode([('name', name) for name in form.all('name')])}&"


def _query(chosen: dict[str, str]) -> str:
    """Return the filter as the API has it."""
    flags = _FLAGS.get(chosen.get("show", ""), {})
    said = {key: str(value).lower() for key, value in flags.items()}
    query = urlencode({key: value for key, value in chosen.items() if key in _NAMES} | said)
    return f"?{query}" if query else ""


def _read_filter(request: Request) -> ScheduleFilter:
    chosen: dict[str, Any] = dict(_pairs(request))
    show = chosen.pop("show", None)
    if show is not None and show not in _FLAGS:
        raise InvalidInput(f"show: {show[:40]!r} is none of {', '.join(_FLAGS)}")
    if any("\0" in value for value in chosen.values()):
        raise InvalidInput("no name holds a NUL")
    return ScheduleFilter(**chosen, **_FLAGS.get(show or "", {}))


def _spark(row: ScheduleRow) -> str:
    return spark_of(row.figures.last)
