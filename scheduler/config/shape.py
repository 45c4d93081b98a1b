"""What the model knows at a place of the document: which keys, of what kind."""

from collections.abc import Sequence
from datetime import timedelta
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from scheduler.config.model import Config
from scheduler.config.secrets import SecretKind, SecretReference
from scheduler.config.table import TomlTable

Place = tuple[str | int, ...]
"""Keys and indices from the top of the document, as in `schedules.nightly.exclude[0]`."""


def is_named(section: str) -> bool:
    """Tell whether *section* holds tables by name, as [accounts.NAME] does."""
    field = Config.model_fields.get(section)
    return field is not None and get_origin(field.annotation) is dict


def table_at(place: Sequence[str | int]) -> type[TomlTable] | None:
    """Return the model of the table at *place*, None where the model knows no table."""
    kind: Any = Config
    for index, key in enumerate(place):
        if index == 1 and isinstance(place[0], str) and is_named(place[0]):
            continue
        kind = _kind_of(kind, str(key))
    return kind if _is_table(kind) else None


def keys_at(place: Sequence[str | int]) -> tuple[str, ...] | None:
    """Return the keys that may stand at *place*; None where any may."""
    if len(place) == 1 and is_named(str(place[0])):
        return None
    table = table_at(place)
    if table is not None:
        return tuple(table.model_fields)
    return tuple(SecretKind) if _is_secret(place) else None


def wants_text(place: Sequence[str | int]) -> bool:
    """Tell whether the value at *place* is text, whatever it looks like."""
    if not place:
        return False
    if _is_secret(place[:-1]):
        return True
    table = table_at(place[:-1])
    return table is not None and _kind_of(table, str(place[-1])) in {str, timedelta}


def kind_of(table: type[TomlTable], key: str) -> object:
    """Return what kind of value *key* of *table* has, such as `tuple`; None without such a key."""
    kind = _kind_of(table, key)
    return get_origin(kind) or kind


def _is_secret(place: Sequence[str | int]) -> bool:
    if len(place) == 2 and place[0] == "secrets":
        return True
    table = table_at(place[:-1]) if place else None
    return table is not None and _kind_of(table, str(place[-1])) is SecretReference


def _kind_of(table: Any, key: str) -> Any:
    if not _is_table(table) or key not in table.model_fields:
        return None
    kind = _bare(table.model_fields[key].annotation)
    return _bare(get_args(kind)[1]) if table is Config and get_origin(kind) is dict else kind


def _is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, TomlTable)


def _bare(annotation: Any) -> Any:
    """Take `Annotated[…]` and `… | None` off *annotation*."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    some = [part for part in get_args(annotation) if part is not NoneType]
    if len(some) == 1 and NoneType in get_args(annotation):
        return _bare(some[0])
    return annotation
