"""From what pydantic says to what an operator can mend: one plain sentence, led by its place."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from pydantic_core import ErrorDetails

from scheduler.config.renamed_keys import renamed_key
from scheduler.config.shape import Place, keys_at, table_at
from scheduler.domain.suggestions import did_you_mean

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where; *sentence* shows no value that may be a secret."""

    place: Place
    sentence: str

    def __str__(self) -> str:
        return f"{path(self.place)}: {self.sentence}" if self.place else self.sentence


def path(place: Place) -> str:
    """Write *place* as TOML does: `schedules."my job".exclude[0]`."""
    text = ""
    for key in place:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            bare = key if _BARE_KEY.fullmatch(key) else json.dumps(key)
            text += f".{bare}" if text else bare
    return text


def describe(error: ErrorDetails) -> Problem:
    """Turn one of pydantic's errors into a problem."""
    place = tuple(key for key in error["loc"] if key != "[key]")
    return Problem(place, _sentence(error, place))


def _sentence(error: ErrorDetails, place: Place) -> str:
    context, value = error.get("ctx", {}), error["input"]
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "missing":
            return f"this key is missing{_meaning(place)}"
        case "extra_forbidden":
            return _unknown_key(place)
        case "enum" | "literal_error":
            return _not_a_choice(value, context)
        case (
            "greater_than_equal"
            | "greater_than"
            | "less_than_equal"
            | "too_short"
            | "finite_number"
        ):
            return _out_of_range(error["type"], context)
        case _:
            wanted = _WANTED.get(error["type"])
            return f"must be {wanted}, not {_kind(value)}" if wanted else _as_pydantic_says(error)


_WANTED = {
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "dict_type": "a table",
    "model_type": "a table",
    "list_type": "an array",
    "tuple_type": "an array",
}


def _as_pydantic_says(error: ErrorDetails) -> str:
    return error["msg"][:1].lower() + error["msg"][1:]


def _meaning(place: Place) -> str:
    table = table_at(place[:-1])
    field = table.model_fields.get(str(place[-1])) if table else None
    return f": {field.description}" if field and field.description else ""


def _unknown_key(place: Place) -> str:
    *_, key = place
    known = keys_at(place[:-1]) or ()
    kind = "table" if len(place) == 1 else "key"
    renamed = renamed_key(str(place[0]), str(key))
    if renamed in known:
        return f"unknown {kind}; did you mean {renamed}?"
    suggestion = did_you_mean(str(key), known)
    is_short = 0 < len(known) <= _MOST_LISTED
    listed = f"; there is {', '.join(known)}" if is_short and not suggestion else ""
    return f"unknown {kind}{suggestion or listed}"


def _not_a_choice(value: object, context: Mapping[str, Any]) -> str:
    expected = str(context["expected"]).replace("'", "")
    known = re.split(r", | or ", expected)
    suggestion = did_you_mean(value, known) if isinstance(value, str) else ""
    return f"must be {expected}{suggestion}"


def _out_of_range(kind: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "greater_than":
            return f"must be more than {context['gt']:g}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "too_short":
            return "must not be empty"
        case _:
            return "must be a finite number"


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case int():
            return "a whole number"
        case float():
            return "a number with a fraction"
        case date() | time():
            return "a date or a time"
        case list():
            return "an array"
        case _:
            return "a table"
