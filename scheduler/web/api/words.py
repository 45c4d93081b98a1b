"""The kinds of value that a request holds, each with the sentence that refuses a wrong one."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from starlette.requests import Request

from scheduler.clock import utc_now
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.reasons import LONGEST, check_reason
from scheduler.web.problems import Refused, shape
from scheduler.web.solving import is_several

LARGEST_ID: Final = 2**63 - 1


_APART: Final = re.compile(r"([-+ ])(.+)")


def _read_apart(text: str) -> datetime | None:
    """Read so long from now, or before now; a + in a query that nobody encoded is a blank."""
    if (apart := _APART.fullmatch(text)) is None:
        return None
    try:
        lasting = parse_duration(apart[2])
    except InvalidInput as error:
        raise ValueError(str(error)) from None
    return utc_now() - lasting if apart[1] == "-" else utc_now() + lasting


def _read_moment(text: object) -> datetime:
    moment = _read_wall(text)
    if moment.tzinfo is None:
        raise ValueError("must have an offset, such as 2026-12-01T02:00:00Z")
    return moment


def _read_wall(text: object) -> datetime:
    if isinstance(text, datetime):
        return text
    if isinstance(text, str) and (moment := _read_apart(text)) is not None:
        return moment
    try:
        if not isinstance(text, str) or "T" not in text:
            raise ValueError
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            "must be a time in ISO 8601, such as 2026-12-01T02:00:00Z, or +2h, -12h"
        ) from None


def _check_why(text: str) -> str:
    try:
        return check_reason(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from None


_APART_PATTERN: Final = r"^[+-]( *[0-9]{1,10} *[wdhms])+$"


def _time_schema(*, has_offset: bool) -> WithJsonSchema:
    written = {"format": "date-time"} if has_offset else {"pattern": r"^\d{4}-\d\d-\d\dT"}
    return WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", **written},
                {"type": "string", "pattern": _APART_PATTERN},
            ]
        }
    )


Moment = Annotated[datetime, BeforeValidator(_read_moment), _time_schema(has_offset=True)]
"""A time in ISO 8601 with its offset, or so long from now, such as `+2h`; UTC here."""
WallTime = Annotated[datetime, BeforeValidator(_read_wall), _time_schema(has_offset=False)]
"""The same, or without an offset what a clock on the wall shows."""
CHECK_WHY: Final = AfterValidator(_check_why)
Why = Annotated[
    str,
    CHECK_WHY,
    Field(max_length=LONGEST, description="Why, for whoever looks next."),
]
RunId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="The run's id.")]
COLLECTION_ID: Final = shape(r"^j_\w{1,190}$", "must be a collection's id, such as j_abc123")
Name = Annotated[str, Path(min_length=1, max_length=200, description="Its name.")]


class Written(BaseModel):
    """A body of JSON: no unknown field, types as they are."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        check_is_text(value)
        return value


def _check_lasting(text: str) -> str:
    try:
        parse_duration(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from None
    return text


Lasting = Annotated[str, AfterValidator(_check_lasting), Field(max_length=100)]
"""A duration as the terminal takes it, such as `2h`."""


def example(**fields: Any) -> ConfigDict:
    """Return what a body's model says to show an example of it."""
    return ConfigDict(json_schema_extra={"example": fields})


class Asked(Written):
    """The same, with the fields' docstrings: looking for those of a model made here is slow."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def check_is_text(value: Any) -> None:
    """Raise ValueError where a text of *value* is none that could be stored: half a character."""
    if isinstance(value, bytes):
        raise ValueError("is not said to be JSON: write Content-Type: application/json")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError(r"holds half a character, such as \ud800, which is no text") from None
    except (TypeError, RecursionError):
        raise ValueError("is nested too deeply") from None
    except ValueError:
        raise ValueError(
            "holds a number that is none in JSON, or is too large: write it as text"
        ) from None


async def only_known(request: Request) -> None:
    """Refuse a parameter that the path does not know: it would be believed to be obeyed."""
    known = _known(request.scope["route"].dependant)
    given = request.query_params.multi_items()
    for name, value in given:
        if name not in known:
            some = ", ".join(sorted(known)) or "none"
            raise _invalid(name[:50], f"there is no parameter {name[:50]!r} here, but {some}")
        if "\0" in value:
            raise _invalid(name, f"{name}: holds a NUL")
        if not known[name] and (count := [one for one, _ in given].count(name)) > 1:
            raise _invalid(name, f"{name}: is there {count} times: keep one")
    if any("\0" in str(value) for value in request.path_params.values()):
        raise Refused(404, "not-found", "no name holds a NUL")


def _invalid(parameter: str, detail: str) -> Refused:
    error = {"detail": detail, "parameter": parameter, "in": "query"}
    return Refused(422, "invalid", detail, errors=[error])


def _known(dependant: Any) -> dict[str, bool]:
    """Return the parameters that there are, and whether each may be there several times."""
    known = {one.alias: is_several(one.field_info.annotation) for one in dependant.query_params}
    for need in dependant.dependencies:
        known |= _known(need)
    return known
