"""Bodies that write definitions: the columns that a person may set, judged as in a file."""

from types import new_class
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, create_model

from scheduler.actions.definition_columns import columns_of, definition_model, key_of
from scheduler.config.values import Name
from scheduler.web.api.words import Written, example

_KINDS: Final = {
    "collectors": "Collector",
    "batches": "Batch",
    "calendars": "Calendar",
    "queues": "Queue",
    "schedules": "Schedule",
    "budgets": "Budget",
}


def _in_a_path(name: str) -> str:
    if "/" in name or name in (".", ".."):
        raise ValueError("must not hold a /, nor be . or ..: no path would lead to it")
    return name


NewName = Annotated[Name, AfterValidator(_in_a_path)]


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError("must be a whole path, which begins with /")
    return path


AbsolutePath = Annotated[str, AfterValidator(_absolute)]


def _columns(table: str) -> dict[str, Any]:
    if table == "calendars":
        return {
            "days": (
                list[str] | None,
                Field(None, description="Dates, ranges, weekdays and windows, a rule each."),
            ),
            "ics": (str | None, Field(None, description="The text of an iCalendar file.")),
        }
    fields = definition_model(table).model_fields
    columns = {column: _column(fields[key_of(table, column)]) for column in columns_of(table)}
    if table == "batches":
        said = "A file of the server, by its whole path, below a folder that it allows."
        columns["file"] = (AbsolutePath | None, Field(None, description=said))
    return columns


def _column(field: Any) -> Any:
    said = (field.description or "").replace("relative to this file; kept as an absolute path", "")
    kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return (kind | None, Field(None, description=said))


_INPUTS: Final = [{"url": "https://example.com/"}]
_SHOP: Final = {"collector": "products", "batch": "pages", "cron": "0 2 * * *"}
_EXAMPLES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "collectors": ({"name": "products", "collector_id": "c_products"}, {"max_running": 5}),
    "batches": ({"name": "pages", "inputs": _INPUTS}, {"dedupe": True}),
    "calendars": ({"name": "holidays", "days": ["2026-12-24..2027-01-06"]}, {"days": ["sat-sun"]}),
    "queues": ({"name": "nightly", "max_depth": 7}, {"queue_order": "relaxed"}),
    "schedules": ({"name": "nightly", **_SHOP}, {"cron": "0 3 * * *", "jitter": None}),
    "budgets": ({"name": "all", "page_loads": 100_000}, {"mode": "hard"}),
}
"""Of each table, what makes a definition, and what changes one."""


def _model(name: str, doc: str, shown: dict[str, Any], fields: dict[str, Any]) -> Any:
    config = {"model_config": example(**shown)}
    base = new_class(name, (Written,), exec_body=lambda names: names.update(config))
    return create_model(name, __base__=base, __doc__=doc, **fields)


def _change_of(table: str) -> Any:
    doc = "What is to be otherwise; null: as it is by default. What is left out stays as it is."
    return _model(f"{_KINDS[table]}Change", doc, _EXAMPLES[table][1], _columns(table))


def _new_of(table: str) -> Any:
    name: Any = (NewName, Field(max_length=200, description="What it is called."))
    doc = "A new definition; what is left out or null is as it is by default."
    fields = {"name": name, **_columns(table)}
    return _model(f"New{_KINDS[table]}", doc, _EXAMPLES[table][0], fields)


CHANGES: Final[dict[str, Any]] = {table: _change_of(table) for table in _KINDS}
"""The body that changes a definition of each table."""

NEW: Final[dict[str, Any]] = {table: _new_of(table) for table in _KINDS}
"""The body that makes one."""
