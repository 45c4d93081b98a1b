"""Routes of pages: what a view has said, shown; at its path with `.json` the same as data."""

from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from functools import partial, wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from scheduler.domain.errors import NotFound
from scheduler.web.access import Caller
from scheduler.web.models import reply
from scheduler.web.pages.rendering import PATHS, Shown, page_response
from scheduler.web.pages.times import ZONE_COOKIE
from scheduler.web.routing import Router

__all__ = ["PATHS", "Pages", "Shown"]

Maker = Callable[..., Awaitable[Shown]]


class Pages(Router):
    """A group of pages, and of what their forms send."""

    def __init__(self) -> None:
        super().__init__(include_in_schema=False)

    def show(self, path: str) -> Callable[[Maker], Maker]:
        """Have a function, which takes `caller` and `request` at least, make the page at *path*."""

        def add(make: Maker) -> Maker:
            PATHS.add(path)
            for each in (f"{path}.json", path):
                answer = _answering(make, may_be_name=each.endswith("{name}.json"))
                self.add_api_route(each, answer, methods=["GET"], response_model=None)
            return make

        return add


def _answering(make: Maker, *, may_be_name: bool) -> Callable[..., Awaitable[Response]]:
    """Return what answers with the page or its data; a browser may mean a name that ends so."""

    @wraps(make)
    async def answer(**given: Any) -> Response:
        caller: Caller = given["caller"]
        key = (make, given.get("name"), _as_asked(given["request"], caller))
        told: Response = await caller.site.lately.together(key, partial(_answer, **given))
        return told

    async def _answer(**given: Any) -> Response:
        request: Request = given["request"]
        caller: Caller = given["caller"]
        if may_be_name and _is_browser(request):
            with suppress(NotFound):
                whole = await _make(make, {**given, "name": f"{given['name']}.json"})
                return page_response(request, caller, whole)
        shown = await _make(make, given)
        if request.url.path.endswith(".json"):
            return reply(shown.data)
        return page_response(request, caller, shown)

    return answer


def _as_asked(request: Request, caller: Caller) -> tuple[Hashable, ...]:
    """Return all that an answer depends on, but for what is stored."""
    words = (str(request.url), tuple(request.cookies.items()), _is_browser(request))
    return (*words, caller.name, caller.scope, caller.collectors, caller.address, caller.via)


async def _make(make: Maker, given: dict[str, Any]) -> Shown:
    """Have a page made once for all who ask for it at a time, in one zone and with one scope."""
    request: Request = given["request"]
    caller: Caller = given["caller"]
    zone = request.cookies.get(ZONE_COOKIE)
    key = (make, given.get("name"), request.url.path, request.url.query, caller.scope, zone)
    shown: Shown = await caller.site.lately.together(key, partial(make, **given))
    return shown


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
