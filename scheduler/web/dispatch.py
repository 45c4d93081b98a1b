"""From a path to the route that answers it: what FastAPI finds by trying all of them in turn."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from scheduler.web.routing import Route, iter_routes
from scheduler.web.solving import Answer, quick_handler

_KEPT: Final = ("etag", "cache-control", "link")


@dataclass(slots=True)
class Place:
    """What is at a path, by method; *pattern* finds its parameters, None where it has none."""

    pattern: re.Pattern[str] | None
    convertors: Mapping[str, Any]
    methods: dict[str, tuple[Route, Answer]] = field(default_factory=dict)


class Dispatch:
    """
    The routes of *app*, asked by path: in a dictionary, or among those with as many slashes.

    A path without parameters goes before one with them. HEAD is answered where GET is, but for
    what is streamed or passed on; GET and HEAD with the ETag of the answer are 304.
    """

    def __init__(self, app: FastAPI) -> None:
        self._fixed: dict[str, Place] = {}
        self._open: dict[int | None, list[Place]] = {}
        for context, route in iter_routes(app):
            place = self._place(context)
            quick = quick_handler(context.dependant)
            answer = route.answer if quick is None else route.guarded(quick)
            methods = {*(context.methods or ())}
            if "GET" in methods and _has_a_head(str(context.path), route):
                methods.add("HEAD")
            for method in methods:
                place.methods.setdefault(method, (route, answer))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises whatever its route does, 404 or 405 where there is none."""
        scope["route"], answer = self._find(scope)
        request = Request(scope, receive, send)
        async with AsyncExitStack() as stack:
            scope["fastapi_inner_astack"] = stack
            scope["fastapi_function_astack"] = stack
            scope["fastapi_middleware_astack"] = stack
            response = await answer(request)
        if _is_known(request, response):
            kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
            response = Response(status_code=304, headers=kept)
        await response(scope, receive, send)

    def _place(self, context: Any) -> Place:
        path, convertors = context.path, context.param_convertors
        if not convertors:
            return self._fixed.setdefault(path, Place(None, {}))
        has_slashes = any(one.regex == ".*" for one in convertors.values())
        among = self._open.setdefault(None if has_slashes else path.count("/"), [])
        for place in among:
            if place.pattern == context.path_regex:
                return place
        among.append(Place(context.path_regex, convertors))
        return among[-1]

    def _find(self, scope: Scope) -> tuple[Route, Answer]:
        path, method = scope["path"], scope["method"]
        allowed: set[str] = set()
        for place, params in self._at(path):
            if (found := place.methods.get(method)) is not None:
                scope["path_params"] = params
                return found
            allowed.update(place.methods)
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
        raise HTTPException(404)

    def _at(self, path: str) -> Iterator[tuple[Place, dict[str, Any]]]:
        if (fixed := self._fixed.get(path)) is not None:
            yield fixed, {}
        for key in (path.count("/"), None):
            for place in self._open.get(key, ()):
                if place.pattern is not None and (found := place.pattern.match(path)):
                    of, texts = place.convertors, found.groupdict()
                    yield place, {key: of[key].convert(text) for key, text in texts.items()}


def _has_a_head(path: str, route: Route) -> bool:
    return not route.access.is_endless and not path.startswith("/dca/")


def _is_known(request: Request, response: Response) -> bool:
    """Tell whether the client has this very answer already, by its If-None-Match (RFC 9110)."""
    known = request.headers.get("if-none-match")
    tag = response.headers.get("etag")
    if known is None or tag is None or response.status_code != 200:
        return False
    if request.method not in ("GET", "HEAD"):
        return False
    return known.strip() == "*" or tag.removeprefix("W/") in {
        one.strip().removeprefix("W/") for one in known.split(",")
    }
