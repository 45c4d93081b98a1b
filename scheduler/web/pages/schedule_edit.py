"""`/schedules/NAME/edit`: a schedule that no file owns is changed, after it is shown what comes."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.definition_columns import columns_of, definition_model, key_of
from scheduler.actions.definitions import change_definition
from scheduler.config.shape import kind_of
from scheduler.domain.errors import InvalidInput
from scheduler.tools.definitions.edit_preview import preview_edit
from scheduler.views.decoding import Duration
from scheduler.views.schedules import ScheduleView, get_schedule
from scheduler.web.access import Admin
from scheduler.web.api.words import Name
from scheduler.web.pages.forms import Form, Sent
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.rendering import page_response

router = Pages()

_TABLE: Final = "schedules"
_NOT_HERE: Final = ("notify", "deliver")
"""They may name secrets: the file and the API have them."""

_COLUMNS: Final = tuple(column for column in columns_of(_TABLE) if column not in _NOT_HERE)


@dataclass(frozen=True, slots=True)
class Field:
    """A column as a form has it."""

    name: str
    value: str
    help: str
    is_yes_or_no: bool


@router.show("/schedules/{name}/edit")
async def edit(caller: Admin, request: Request, name: Name) -> Shown:
    """Show what a schedule says, to be changed; of a file's where that is to be done."""
    found = await caller.ask(get_schedule, name)
    return Shown(
        template="schedule_edit.html",
        title=f"Edit {name}",
        data=found,
        terminal=f"dca-scheduler schedules show {name}",
        http=_api(name),
        is_live=False,
        values={"fields": list(_fields(found)), "place": _place(name)},
    )


@router.post("/schedules/{name}/edit")
async def preview(caller: Admin, form: Form, name: Name) -> Response:
    """Show what would be otherwise, and which occurrences come and go; nothing is written."""
    values = _changed(form, await caller.ask(get_schedule, name))
    if not values:
        raise InvalidInput("nothing was changed: go back, and change a field")
    found = await caller.ask(preview_edit, name, values, defaults=caller.site.config.defaults)
    shown = Shown(
        template="schedule_preview.html",
        title=f"What that does to {name}",
        data=found,
        terminal="",
        http="",
        is_live=False,
        values={"values": json.dumps(values), "place": _place(name)},
    )
    return page_response(form.request, caller, shown)


@router.post("/schedules/{name}/save")
async def save(caller: Admin, form: Form, name: Name) -> Response:
    """Change it as it was shown, unless somebody has changed it meanwhile."""
    how: dict[str, Any] = {"tag": form.text("tag"), "defaults": caller.site.config.defaults}
    return await form.act(
        caller,
        change_definition,
        _TABLE,
        name,
        _values(form.text("values")),
        then=_place(name),
        done=f"{name} is changed",
        **how,
    )


def _place(name: str) -> str:
    return f"/schedules/{quote(name, safe='')}"


def _api(name: str) -> str:
    return f"/api/v1/schedules/{quote(name, safe='')}"


def _fields(schedule: ScheduleView) -> Iterator[Field]:
    model = definition_model(_TABLE)
    for column in _COLUMNS:
        key = key_of(_TABLE, column)
        yield Field(
            name=column,
            value=_text(getattr(schedule, column)),
            help=model.model_fields[key].description or "",
            is_yes_or_no=kind_of(model, key) is bool,
        )


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case tuple():
            return ", ".join(value)
        case Duration():
            return str(value)
        case _:
            return str(getattr(value, "value", value))


def _changed(form: Sent, schedule: ScheduleView) -> dict[str, Any]:
    """Return the columns of which the form says something else than the row, as values."""
    said = dict(form.fields)
    return {
        column: _read(column, said[column].strip())
        for column in _COLUMNS
        if column in said and said[column].strip() != _text(getattr(schedule, column))
    }


def _read(column: str, text: str) -> Any:
    if not text:
        return None
    kind = kind_of(definition_model(_TABLE), key_of(_TABLE, column))
    try:
        return _READERS.get(kind, str)(text)
    except ValueError:
        raise InvalidInput(f"{column}: {text[:40]!r} is no number") from None


_READERS: Final[Mapping[object, Callable[[str], Any]]] = {
    int: int,
    float: float,
    bool: lambda text: text == "true",
    tuple: lambda text: [part.strip() for part in text.split(",") if part.strip()],
}


def _values(text: str) -> dict[str, Any]:
    """Return what the page before has kept of the form."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not values.keys() <= set(_COLUMNS):
        raise InvalidInput("the form is not what the page has made: open it again")
    return values
