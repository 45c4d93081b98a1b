"""`/schedules`: what fires when, and what became of it; pausing and resuming several at once."""

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.pauses import pause_schedules, resume_schedules
from scheduler.actions.schedules import prepare_fire
from scheduler.actions.several import fire_several, label_several
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Origin
from scheduler.views.names import list_suggestions
from scheduler.views.schedule_list import (
    ScheduleRow,
    list_chosen_names,
    list_named,
    page_schedule_rows,
)
from scheduler.views.schedules import ScheduleFilter, ScheduleView
from scheduler.web.access import Admin, Caller, Operator, Reader
from scheduler.web.api.named import files_of
from scheduler.web.pages.forms import Form, Sent
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.rendering import page_response
from scheduler.web.pages.sparks import spark_of

router = Pages()

_LIMIT: Final = 50
_MOST_FIRED: Final = 200
_NAMES: Final = ("collector", "batch", "queue", "label")
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
    """Pause those that were ticked, or all that the address chooses."""
    names = await _names(caller, form)
    how = {"reason": form.text("reason"), "until": form.moment("until")}
    done = f"{len(names)} schedules are paused"
    return await form.act(caller, pause_schedules, names, then=_back(form), done=done, **how)


@router.post("/schedules/resume")
async def resume(caller: Operator, form: Form) -> Response:
    """Resume those that were ticked, or all that the address chooses."""
    names = await _names(caller, form)
    done = f"of {len(names)} schedules, those that were paused fire again"
    return await form.act(caller, resume_schedules, names, then=_back(form), done=done)


@router.post("/schedules/fire")
async def fire(caller: Operator, form: Form) -> Response:
    """Fire those that were ticked, or all that the address chooses, after they are listed."""
    names = await _names(caller, form)
    if len(names) > _MOST_FIRED:
        raise InvalidInput(f"{len(names)} schedules are too many: {_MOST_FIRED} at once at most")
    if form.find("listed") is None:
        rows = await caller.ask(list_named, names)
        return _list_first(caller, form, "fire", rows, [])
    files = files_of(caller)
    fires = [await caller.look_outside(prepare_fire, name, files=files) for name in names]
    done = f"{len(names)} schedules are fired"
    config = caller.site.config
    return await form.act(caller, fire_several, fires, config=config, then=_back(form), done=done)


@router.post("/schedules/label")
async def label(caller: Admin, form: Form) -> Response:
    """Put a label on those that no file owns, or take it off, after they are listed."""
    text, is_on = form.text("label"), form.find("off") is None
    rows = await caller.ask(list_named, await _names(caller, form))
    mine = [row for row in rows if row.origin is not Origin.FILE]
    if form.find("listed") is None:
        owned = [row for row in rows if row.origin is Origin.FILE]
        return _list_first(caller, form, "label", mine, owned)
    done = f"{text} is {'on' if is_on else 'off'} {len(mine)} schedules"
    how: dict[str, Any] = {"is_on": is_on, "defaults": caller.site.config.defaults}
    names = [row.name for row in mine]
    return await form.act(caller, label_several, names, text, then=_back(form), done=done, **how)


def _list_first(
    caller: Caller,
    form: Sent,
    act: str,
    rows: Sequence[ScheduleView],
    owned: Sequence[ScheduleView],
) -> Response:
    """Return the page that lists what is meant, and has the button."""
    text, is_on = form.find("label") or "", form.find("off") is None
    verb = "Fire" if act == "fire" else f"{'Put' if is_on else 'Take'} {text} {_SIDES[is_on]}"
    kept = {"label": text, "off": "" if is_on else "1"} if act == "label" else {}
    shown = Shown(
        template="schedules_act.html",
        title=f"{verb} {len(rows)} schedule{'s' * (len(rows) != 1)}",
        data=None,
        terminal="",
        http="",
        is_live=False,
        values={
            "act": act,
            "rows": rows,
            "owned": owned,
            "kept": kept,
            "query": form.request.url.query,
            "back": _back(form),
        },
    )
    return page_response(form.request, caller, shown)


_SIDES: Final = {True: "on", False: "off"}


def _back(form: Sent) -> str:
    query = urlencode(list(_pairs(form.request)))
    return f"/schedules?{query}" if query else "/schedules"


async def _names(caller: Caller, form: Sent) -> list[str]:
    if form.find("all"):
        return await caller.ask(list_chosen_names, _read_filter(form.request))
    names = form.all("name")
    if not names:
        raise InvalidInput("no schedule was ticked: go back, and tick some, or choose all")
    return names


def _pairs(request: Request) -> Iterator[tuple[str, str]]:
    for name in (*_NAMES, "show"):
        if value := request.query_params.get(name, "").strip():
            yield name, value


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
