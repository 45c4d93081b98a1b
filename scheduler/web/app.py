"""All routes of the server, put together; whatever goes wrong in one becomes a problem."""

from importlib import import_module
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from scheduler import __version__
from scheduler.web.access import Anybody
from scheduler.web.dispatch import Dispatch
from scheduler.web.document import document
from scheduler.web.gate import Gate
from scheduler.web.guard import Guard
from scheduler.web.pages.problem_page import find_problem_page
from scheduler.web.routing import Router, list_routes
from scheduler.web.site import Site

SURFACES: Final = ("api", "docs_page", "dropin", "metrics", "pages", "probes")
"""Modules of this package that have a `router`; a new surface is named here."""


def create_server(site: Site) -> ASGIApp:
    """Return what answers requests; raises TypeError for a route that does not say who may."""
    app = create_app(site)
    return Gate(Dispatch(app), app=app, settings=site.settings)


def create_app(site: Site) -> FastAPI:
    """Return all routes; raises TypeError for one that does not say who may."""
    app = FastAPI(
        title="dca-scheduler",
        version=__version__,
        summary="A persistent job queue and scheduler in front of the Data Collector API.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.site = site
    app.state.guard = Guard(site)
    app.state.find_problem_page = find_problem_page
    for surface in SURFACES:
        app.include_router(import_module(f"scheduler.web.{surface}").router)
    app.include_router(_document)
    for _ in list_routes(app):  # one that does not say who may is told at a start
        pass
    return app


_document = Router(tags=["about"])


@_document.get("/openapi.json", include_in_schema=False)
async def openapi(caller: Anybody, request: Request) -> Response:
    """Return what can be asked here, as OpenAPI 3.1."""
    return JSONResponse(document(request.app))
