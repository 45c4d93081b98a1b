"""The settings in force, and where each is from; what may hold a secret is not shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel

from scheduler.config import Config
from scheduler.domain.durations import format_duration

_TABLES: Final = (
    "database",
    "daemon",
    "log",
    "defaults",
    "unconfirmed",
    "follow",
    "retention",
    "metrics",
    "http",
    "limits",
)
_HIDDEN: Final = frozenset({("database", "url")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key, its value as text, and its *source*: `environment`, `file` or `default`."""

    table: str
    key: str
    value: str
    source: str


def list_settings(config: Config, environ: Mapping[str, str]) -> tuple[Setting, ...]:
    """Return every setting that is no definition."""
    named = {variable.upper() for variable in environ}
    return tuple(
        setting
        for table in _TABLES
        if (model := getattr(config, table)) is not None
        for setting in _of_table(table, model, named)
    )


def _of_table(table: str, model: BaseModel, named: set[str]) -> Iterator[Setting]:
    for key in type(model).model_fields:
        value: Any = getattr(model, key)
        is_hidden = (table, key) in _HIDDEN
        if f"DCA_SCHEDULER__{table}__{key}".upper() in named:
            source = "environment"
        else:
            source = "file" if key in model.model_fields_set else "default"
        yield Setting(
            table=table,
            key=key,
            value="(not shown)" if is_hidden else _text(value),
            source=source,
        )


def _text(value: Any) -> str:
    if value is None or value in ((), [], set()):
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset | set):
        return ", ".join(map(_text, value))
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s" if value.microseconds else format_duration(value)
    return str(value)
