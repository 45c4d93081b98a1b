"""`/schedules/NAME/edit` and others: what no file owns is changed, after it is shown what comes."""

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
from scheduler.tools.definitions.edit_preview import Editable, preview_edit, read_editable
from scheduler.web.access import Admin
from scheduler.web.api.words import Name
from scheduler.web.pages.forms import Form, Sent
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.rendering import page_response

router = Pages()

_NOT_HERE: Final = ("inputs",)
"""They may be very many: `batches import` and the API have them."""

_BACK: Final[Mapping[str, str]] = {
    "schedules": "/schedules/{}",
    "batches": "/batches/{}",
    "queues": "/queues",
    "collectors": "/configuration",
}
"""Which definitions are edited here, and where their own page is."""

_SHOW: Final[Mapping[str, str]] = {
    "schedules": "dca-scheduler schedules show {}",
    "batches": "dca-scheduler batches show {}",
    "queues": "dca-scheduler queues list",
    "collectors": "dca-scheduler collectors list",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A column as a form has it."""

    name: str
    value: str
    help: str
    is_yes_or_no: bool


def _add_routes(table: str) -> None:
    """Add the form of a table's definitions, what it would do, and what does it."""

    @router.show(f"/{table}/{{name}}/edit")
    async def edit(caller: Admin, request: Request, name: Name) -> Shown:
        """Show what it says, to be changed; of a file's where that is to be done."""
        found: Editable = await caller.ask(read_editable, table, name)
        return Shown(
            template="definition_edit.html",
            title=f"Edit {name}",
            data=found,
            terminal=_SHOW[table].format(name),
            http=f"/api/v1{_place(table, name)}",
            is_live=False,
            values={
                "fields": list(_fields(table, found)),
                "place": _place(table, name),
                "back": _back(table, name),
                "table": table,
            },
        )

    @router.post(f"/{table}/{{name}}/edit")
    async def preview(caller: Admin, form: Form, name: Name) -> Response:
        """Show what would be otherwise, and which occurrences come and go; nothing is written."""
        values = _changed(table, form, await caller.ask(read_editable, table, name))
        if not values:
            raise InvalidInput("nothing was changed: go back, and change a field")
        defaults = caller.site.config.defaults
        found = await caller.ask(preview_edit, table, name, values, defaults=defaults)
        shown = Shown(
            template="definition_preview.html",
            title=f"What that does to {name}",
            data=found,
            terminal="",
            http="",
            is_live=False,
            values={"values": json.dumps(values), "place": _place(table, name)},
        )
        return page_response(form.request, caller, shown)

    @router.post(f"/{table}/{{name}}/save")
    async def save(caller: Admin, form: Form, name: Name) -> Response:
        """Change it as it was shown, unless somebody has changed it meanwhile."""
        how: dict[str, Any] = {"tag": form.text("tag"), "defaults": caller.site.config.defaults}
        values = _values(table, form.text("values"))
        how |= {"then": _back(table, name), "done": f"{name} is changed"}
        return await form.act(caller, change_definition, table, name, values, **how)


for _table in _BACK:
    _add_routes(_table)


def _place(table: str, name: str) -> str:
    return f"/{table}/{quote(name, safe='')}"


def _back(table: str, name: str) -> str:
    return _BACK[table].format(quote(name, safe=""))


def _columns(table: str) -> tuple[str, ...]:
    return tuple(column for column in columns_of(table) if column not in _NOT_HERE)


def _fields(table: str, found: Editable) -> Iterator[Field]:
    model = definition_model(table)
    for column in _columns(table):
        if column not in found.hidden:
            key = key_of(table, column)
            yield Field(
                name=column,
                value=_text(found.values.get(column)),
                help=model.model_fields[key].description or "",
                is_yes_or_no=kind_of(model, key) is bool,
            )


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(value)
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def _changed(table: str, form: Sent, found: Editable) -> dict[str, Any]:
    """Return the columns of which the form says something else than the row, as values."""
    said = dict(form.fields)
    return {
        column: _read(table, column, said[column].strip())
        for column in _columns(table)
        if column in said
        and column not in found.hidden
        and said[column].strip() != _text(found.values.get(column))
    }


def _read(table: str, column: str, text: str) -> Any:
    if not text:
        return None
    kind = kind_of(definition_model(table), key_of(table, column))
    try:
        return _READERS.get(kind, str)(text)
    except ValueError:
        what = "JSON" if kind is dict else "number"
        raise InvalidInput(f"{column}: {text[:40]!r} is no {what}") from None


_READERS: Final[Mapping[object, Callable[[str], Any]]] = {
    int: int,
    float: float,
    dict: json.loads,
    bool: lambda text: text == "true",
    tuple: lambda text: [part.strip() for part in text.split(",") if part.strip()],
}


def _values(table: str, text: str) -> dict[str, Any]:
    """Return what the page before has kept of the form."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not values.keys() <= set(_columns(table)):
        raise InvalidInput("the form is not what the page has made: open it again")
    return values
