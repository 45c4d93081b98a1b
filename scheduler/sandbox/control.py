"""The sandbox's own endpoints, for tests and rehearsals; open to callers on this machine only."""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import TypeAdapter, ValidationError

from scheduler.clock import Clock
from scheduler.domain.errors import InvalidInput
from scheduler.sandbox.account import SandboxAccount
from scheduler.sandbox.fault_plan import Fault

_FAULTS: TypeAdapter[Fault | list[Fault]] = TypeAdapter(Fault | list[Fault])


class Control:
    """
    Arms faults, tells the log, begins anew. No token, but loopback callers only, and no browser.

    POST /sandbox/faults    one fault or a list of them: the fields of Fault
    DELETE /sandbox/faults  disarm all; what happened stays
    GET /sandbox/log        requests (those after number `since`), jobs, how many were received
    POST /sandbox/jobs      start a job of `collector` as somebody in the vendor's panel does
    POST /sandbox/reset     forget everything; lifts the block of an address
    """

    def __init__(self, account: SandboxAccount, clock: Clock) -> None:
        self._account = account
        self._clock = clock

    def app(self) -> web.Application:
        """Return the endpoints, to be mounted at /sandbox."""
        app = web.Application(middlewares=[_loopback_only])
        app.router.add_post("/faults", self._arm)
        app.router.add_delete("/faults", self._disarm)
        app.router.add_get("/log", self._log)
        app.router.add_post("/jobs", self._start)
        app.router.add_post("/reset", self._reset)
        return app

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            faults = _FAULTS.validate_json(await request.read())
        except (ValidationError, InvalidInput) as error:
            return web.json_response({"error": str(error)}, status=422)
        armed = faults if isinstance(faults, list) else [faults]
        for fault in armed:
            self._account.faults.arm(fault)
        return web.json_response({"armed": len(armed)})

    async def _disarm(self, request: web.Request) -> web.Response:
        self._account.faults.disarm()
        return web.json_response({})

    async def _log(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        after = int(since) if since.isdecimal() else 0
        journal = self._account.journal
        told = [one.as_json() for one in journal if one.number > after]
        jobs = self._account.jobs_view(self._clock())
        return web.json_response({"requests": told, "jobs": jobs, "received": journal.received})

    async def _start(self, request: web.Request) -> web.Response:
        collector = request.query.get("collector", "")
        if not collector.startswith("c_"):
            return web.json_response({"error": "collector=c_… is missing"}, status=422)
        job_id = self._account.start_elsewhere(collector, self._clock())
        return web.json_response({"collection_id": job_id})

    async def _reset(self, request: web.Request) -> web.Response:
        self._account.reset()
        return web.json_response({})


@web.middleware
async def _loopback_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        local = ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        local = False
    if not local or "Origin" in request.headers or not _names_loopback(request.host):
        return web.json_response({"error": "only from this machine, by its address"}, status=403)
    return await handler(request)


def _names_loopback(host: str) -> bool:
    """Tell whether the Host header is ours: a name of somebody else's may lead here, too."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
