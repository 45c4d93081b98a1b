"""From values to HTML: the templates, and what each of them knows."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Any, Final
from urllib.parse import quote as url_quote
from urllib.parse import unquote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from scheduler import __version__
from scheduler.views.json_document import json_value
from scheduler.web.access import Caller
from scheduler.web.guard import cookie_name
from scheduler.web.pages.assets import asset
from scheduler.web.pages.navigation import NAVIGATION, is_below
from scheduler.web.pages.times import OF_SCHEDULE, Times, chosen_zone, in_words, zone_for
from scheduler.web.pictures.human import duration_words
from scheduler.web.pictures.looks import class_of, mark_of, word_of

DONE_COOKIE: Final = "dcas_done"
"""What was done by the form before: told once."""

PATHS: Final[set[str]] = set()
"""Where there is a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """
    What a page shows: *data* as its `.json` has it, and how.

    *terminal* is the command, *http* the path below this server that tell the same: behind `POST `
    if it is asked by that, with *sends* as its body. *zone* is that
    of the schedule which the page is about. *is_live* has the script ask again when something
    happens. *values* are for the template, beside `data`.
    """

    template: str
    title: str
    data: Any
    terminal: str
    http: str
    sends: Mapping[str, Any] | None = None
    zone: str | None = None
    is_live: bool = True
    status: int = 200
    values: Mapping[str, Any] = field(default_factory=dict)


def csrf_of(request: Request) -> str | None:
    """Return what every form of a session carries; None without a session."""
    cookie = request.cookies.get(cookie_name(request))
    return cookie and hashlib.sha256(f"form of {cookie}".encode()).hexdigest()


def page_response(request: Request, caller: Caller, shown: Shown) -> Response:
    """Render a page for *caller*."""
    done = request.cookies.get(DONE_COOKIE)
    text = _TEMPLATES.get_template(shown.template).render(
        page=shown,
        data=shown.data,
        user=caller,
        times=Times(caller.site.clock(), zone_for(request, shown.zone)),
        chosen_zone=chosen_zone(request),
        csrf=csrf_of(request),
        path=request.url.path,
        address=_address(request),
        json_address=_address(request, suffix=".json"),
        origin=str(request.base_url).rstrip("/"),
        zones=_zones(chosen_zone(request)),
        navigation=[link for link in NAVIGATION if link.path in PATHS],
        url_with=_url_with(request),
        done=done and unquote(done),
        **shown.values,
    )
    answer = HTMLResponse(text, shown.status)
    if done is not None:
        answer.delete_cookie(DONE_COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _address(request: Request, suffix: str = "") -> str:
    """Return this page's own path and query."""
    query = request.url.query
    path = f"{request.url.path}{suffix}"
    return f"{path}?{query}" if query else path


def _zones(chosen: str) -> list[tuple[str, str]]:
    """Return the zones to choose from; the script adds that of its browser."""
    zones = {"UTC": "UTC", OF_SCHEDULE: "the schedule's zone"}
    return [*zones.items(), *([] if chosen in zones else [(chosen, chosen)])]


def _url_with(request: Request) -> Callable[..., str]:
    """Return what writes this page's address with other parameters; None leaves one out."""
    now = [(key, value) for key, value in request.query_params.multi_items() if value]

    def url_with(**changed: Any) -> str:
        kept = [(key, value) for key, value in now if key not in changed]
        more = [(key, str(value)) for key, value in changed.items() if value is not None]
        query = urlencode(kept + more)
        return f"{request.url.path}?{query}" if query else request.url.path

    return url_with


def _curl(request_url: str, shown: Shown) -> str:
    method, path = ("-X POST ", shown.http[5:]) if shown.http[:5] == "POST " else ("", shown.http)
    body = ""
    if shown.sends is not None:
        text = quote(json.dumps(shown.sends, ensure_ascii=False))
        body = f'-H "Content-Type: application/json" -d {text} '
    return f'curl {method}-H "Authorization: Bearer $TOKEN" {body}{quote(request_url + path)}'


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else duration_words(value)


def _size(count: int) -> str:
    """Write a number of bytes: `4.2 MiB`."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"


def _text(value: Any) -> str:
    """Write a value as a person reads it; JSON for what has parts."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%SZ}"
        case Mapping() | list() | tuple():
            return json.dumps(json_value(value), ensure_ascii=False)
        case _:
            return str(json_value(value))


def _parts_of(columns: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield of each column its name, how it was and how it is; of a new row how it is alone."""
    for name, value in columns.items():
        is_pair = isinstance(value, list) and len(value) == 2
        before, after = value if is_pair else (None, value)
        yield name, _as_written(name, before), _as_written(name, after)


def _as_written(column: str, value: Any) -> Any:
    """Return labels as people write them: a row has a comma at both ends, to look for one."""
    is_stored = column == "labels" and isinstance(value, str)
    return value.strip(",").replace(",", ", ") if is_stored else value


def _segment(text: object) -> str:
    """Write a name as one part of a path."""
    return url_quote(str(text), safe="")


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "number": _number,
        "money": "{:,.2f}".format,
        "size": _size,
        "text": _text,
        "parts_of": _parts_of,
        "segment": _segment,
        "in_words": in_words,
        "seconds": _seconds,
        "mark": mark_of,
        "word": word_of,
        "class_of": class_of,
    }
    made.globals |= {
        "asset": asset,
        "curl": _curl,
        "is_below": is_below,
        "version": __version__,
        "OF_SCHEDULE": OF_SCHEDULE,
    }
    return made


_TEMPLATES: Final = _environment()


def compile_templates() -> None:
    """Compile them all, so that nobody's first look at a page waits for it."""
    for name in _TEMPLATES.list_templates():
        _TEMPLATES.get_template(name)
