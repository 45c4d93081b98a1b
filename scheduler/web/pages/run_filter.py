"""Which runs a page is about: read from its address, and told in the words of the terminal."""

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Reason, RunState
from scheduler.domain.timestamps import iso_time
from scheduler.views.runs import RunFilter
from scheduler.web.pages.times import read_moment, zone_for

NAMES: Final = ("schedule", "collector", "queue", "batch", "label", "collection")
"""The fields of a filter that are a name each."""

MOMENTS: Final = ("since", "until", "ended_since", "ended_until")
"""Those that are a time, in the zone of the page where it says none."""

_LONGEST: Final = 300


def read_run_filter(request: Request) -> RunFilter:
    """Return which runs are meant; an empty field says nothing. Raises InvalidInput."""
    names: dict[str, Any] = {name: _text(request, name) for name in NAMES}
    zone = zone_for(request)
    moments: dict[str, Any] = {
        name: read_moment(text, zone) if (text := _text(request, name)) else None
        for name in MOMENTS
    }
    return RunFilter(
        **names,
        **moments,
        states=[_state(value) for value in _all(request, "state")],
        reasons=[_reason(value) for value in _all(request, "reason")],
    )


def _all(request: Request, name: str) -> list[str]:
    return [value for value in request.query_params.getlist(name) if value.strip()]


def _text(request: Request, name: str) -> str | None:
    value = request.query_params.get(name, "").strip()
    if "\0" in value or len(value) > _LONGEST:
        raise InvalidInput(f"{name}: must be text of {_LONGEST} characters at most")
    return value or None


def _state(value: str) -> RunState:
    try:
        return RunState(value)
    except ValueError:
        raise InvalidInput(f"state: {value[:40]!r} is none: {', '.join(RunState)}") from None


def _reason(value: str) -> Reason:
    try:
        return Reason(value)
    except ValueError:
        raise InvalidInput(f"reason: {value[:40]!r} is none: {', '.join(Reason)}") from None


def pairs_of(wanted: RunFilter) -> Iterator[tuple[str, str]]:
    """Yield the filter as parameters of an address, times exactly."""
    named: Mapping[str, object] = {name: getattr(wanted, name) for name in NAMES}
    yield from ((name, str(value)) for name, value in named.items() if value is not None)
    yield from (("state", state.value) for state in wanted.states)
    yield from (("reason", reason.value) for reason in wanted.reasons)
    for name in MOMENTS:
        if (moment := getattr(wanted, name)) is not None:
            yield name, iso_time(moment)


def query_of(wanted: RunFilter) -> str:
    """Return the filter as the query of an address, its ? included; nothing for an empty one."""
    query = urlencode(list(pairs_of(wanted)))
    return f"?{query}" if query else ""


def options_of(wanted: RunFilter) -> str:
    """Return the filter as options of the terminal, a space before each."""
    return "".join(
        f" --{name.replace('_', '-')} {quote(value)}" for name, value in pairs_of(wanted)
    )
