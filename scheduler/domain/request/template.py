"""
Texts with `{schedule}` and `{due_at:%Y-%m-%d}` in them: the name of a batch, values of inputs.

Only these fields and a closed list of strftime's directives are known: no attribute, index or
conversion, so a text can show nothing but what it was given. A brace itself is written twice.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from string import Formatter
from typing import Final

from scheduler.domain.errors import InvalidInput

# Not %c, %x, %X (the locale's), %s (the machine's zone), nor what only some systems know.
_DIRECTIVES: Final = "aAbBdfGHIjmMpSuUVwWyYzZ%"
# Nor what strftime drops or trips over: control characters, and half a character.
_TIME_FORMAT: Final = re.compile(rf"(?:[^%{{\x00-\x1f\x7f\ud800-\udfff]|%[{_DIRECTIVES}])+")


def render_name(template: str, *, schedule: str, due_at: datetime, zone: tzinfo) -> str:
    """Fill `{schedule}` and `{due_at:…}` into *template*; *due_at* is told in *zone*."""
    return _render(template, {"schedule": schedule, "due_at": due_at.astimezone(zone)})


def check_name_template(template: str) -> None:
    """Raise InvalidInput for a *template* that `render_name` would refuse."""
    render_name(template, schedule="any", due_at=datetime(2026, 1, 1, tzinfo=UTC), zone=UTC)


def render_due_at(text: str, *, due_at: datetime, zone: tzinfo) -> str:
    """Fill `{due_at:…}`, told in *zone*, into *text*; no other field is known."""
    return _render(text, {"due_at": due_at.astimezone(zone)})


def render_path(template: str, values: Mapping[str, str], *, due_at: datetime) -> str:
    """Fill *values* and `{due_at:…}`, in the zone that it has, into the *template* of a path."""
    fields: dict[str, str | datetime] = {**values, "due_at": due_at}
    return _render(template, fields)


def render_placeholders(text: str, *, schedule: str, due_at: datetime, zone: tzinfo) -> str:
    """Fill `{schedule}` and `{due_at:…}` into *text*; all else in braces is the vendor's."""
    fields: dict[str, str | datetime] = {
        "schedule": schedule,
        "due_at": due_at.astimezone(zone),
    }
    return _PLACEHOLDER.sub(lambda found: _render(found[0], fields), text)


_PLACEHOLDER: Final = re.compile(r"(?<![{$])\{(?:schedule|due_at(?::[^{}]*)?)\}(?!\})")


def _render(template: str, fields: Mapping[str, str | datetime]) -> str:
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise InvalidInput(f"{template!r}: {error}; write {{{{ for a brace itself") from None
    return "".join(
        literal + ("" if name is None else _field(template, fields, name, spec or "", conversion))
        for literal, name, spec, conversion in parts
    )


def _field(
    template: str,
    fields: Mapping[str, str | datetime],
    name: str,
    spec: str,
    conversion: str | None,
) -> str:
    if name not in fields:
        listed = ", ".join(f"{{{field}}}" for field in fields)
        raise InvalidInput(
            f"{template!r}: {{{name}}} is unknown: there is {listed}; write {{{{ for a brace itself"
        )
    if conversion:
        raise InvalidInput(f"{template!r}: {{{name}!{conversion}}} is not possible: leave out !")
    value = fields[name]
    if isinstance(value, datetime):
        return _time(template, value, spec)
    if spec:
        raise InvalidInput(f"{template!r}: {{{name}}} has no format: leave out :{spec}")
    return value


def _time(template: str, value: datetime, spec: str) -> str:
    if not spec:
        return value.isoformat(timespec="seconds")
    if not _TIME_FORMAT.fullmatch(spec):
        raise InvalidInput(
            f"{template!r}: {spec!r} is not a time format: write it like %Y-%m-%d %H:%M"
        )
    return value.strftime(spec)
