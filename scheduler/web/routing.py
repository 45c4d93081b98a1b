"""Routes that say who may: one that does not is refused when the app is made."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.requests import Request
from starlette.responses import Response

from scheduler.web.access import Access
from scheduler.web.gate import body_of
from scheduler.web.guard import guard_of
from scheduler.web.site import site_of
from scheduler.web.solving import Answer


class Route(APIRoute):
    """
    A route whose caller is let in, or not, before anything of a body is read.

    *answer* is what answers a request with all that was included around it.
    """

    answer: Answer

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        # In the document, the docstring's first sentence names it: not the function's name.
        first = self.description.partition("\n")[0].removesuffix(".")
        self.summary = self.summary or first or None

    @property
    def access(self) -> Access:
        """Return what it takes; raises TypeError for a route that does not say."""
        found = [one.call for one in self.dependant.dependencies if isinstance(one.call, Access)]
        if len(found) != 1:
            raise TypeError(
                f"{self.path}: its first parameter must say who may (Reader, Operator …, Anybody)"
            )
        access = found[0]
        assert isinstance(access, Access)  # noqa: S101 - for the type checker
        return access

    def get_route_handler(self) -> Answer:
        """Put the guard before the handler."""
        handle = super().get_route_handler()
        self.answer = self.guarded(handle)
        return self.answer

    def guarded(self, handle: Answer) -> Answer:
        """Return *handle* behind the guard."""
        access = self.access

        async def answer(request: Request) -> Response:
            site = site_of(request)
            guard = guard_of(request)
            seconds = site.settings.request_timeout.total_seconds()
            async with asyncio.timeout(seconds) as limit:
                caller = await guard.admit(request, access)
                largest = site.settings.max_body if access.largest is None else access.largest
                body_of(request).open(largest, partial(guard.admit_still, request))
                if access.is_endless:
                    limit.reschedule(None)
                    return await handle(request)
                # A probe is always answered: it says that the loop turns.
                with guard.turn(caller) if access.needed else nullcontext():
                    return await handle(request)

        return answer


class Router(APIRouter):
    """A group of such routes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=Route, **options)


def iter_routes(app: FastAPI) -> Iterator[tuple[RouteContext, Route]]:
    """Yield every route, with where it is; raises TypeError for one that is no Router's."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, Route):
            raise TypeError(f"{context.path}: make it with a Router, so that it says who may")
        yield context, route


def list_routes(app: FastAPI) -> Iterator[tuple[str, str, Access]]:
    """Yield method, path and access of every route."""
    for context, route in iter_routes(app):
        for method in sorted(context.methods or ()):
            yield method, str(context.path), route.access
