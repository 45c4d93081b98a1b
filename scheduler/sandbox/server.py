"""The stand-in of the DCA on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import format_datetime

from aiohttp import web

from scheduler.clock import Clock, utc_now
from scheduler.sandbox.account import SandboxAccount
from scheduler.sandbox.answers import SandboxCall
from scheduler.sandbox.control import Control
from scheduler.sandbox.fault_plan import Fault, FaultKind
from scheduler.sandbox.faults import delay, leaves_an_answer, send
from scheduler.sandbox.journal import note_body, note_outcome
from scheduler.sandbox.settings import SandboxSettings

# "Input of one job up to 1 GB" (DCA, 1, limits).
_LARGEST_BODY = 1024**3
# Handlers still hanging by then are cancelled.
_SHUTDOWN_SECONDS = 0.1


class Sandbox:
    """
    A stand-in of the DCA: what it does is in the document, and nothing else is pretended.

    Jobs live by *clock*; only faults that wait do so in real time. Webhooks and deliveries are
    accepted and not carried out: a sandbox calls nobody.
    """

    def __init__(self, settings: SandboxSettings | None = None, clock: Clock = utc_now) -> None:
        self.account = SandboxAccount(settings or SandboxSettings())
        self._clock = clock

    def arm(self, *faults: Fault) -> None:
        """Let *faults* strike from the next request on."""
        for fault in faults:
            self.account.faults.arm(fault)

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """
        Serve within the block and yield the base URL; port 0 takes a free one.

        Raises OSError if the address cannot be had. Leaving cuts what is still being answered.
        """
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield _base_url(host, runner.addresses[0][1])
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.on_response_prepare.append(self._date)
        app.add_subapp("/sandbox", Control(self.account, self._clock).app())
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _date(self, _: web.Request, response: web.StreamResponse) -> None:
        """Tell the time by which the jobs are dated."""
        response.headers["Date"] = format_datetime(self._clock(), usegmt=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        account = self.account
        noted = account.journal.note(_call(request, b""), self._clock())
        call = _call(request, await request.read())
        note_body(noted, call.body)

        early = account.strike_first(call)
        if early and early.kind is FaultKind.SLOW:
            await delay(early)
        answer, fault = account.decide(call, self._clock(), early)

        job = account.book.jobs.get(answer.collection_id or "")
        noted.inputs = len(job.order.inputs) if job else None
        note_outcome(noted, answer, fault, sent=leaves_an_answer(fault))
        return await send(request, answer, fault)


async def serve_forever(
    settings: SandboxSettings,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
    clock: Clock = utc_now,
) -> None:
    """
    Serve until cancelled; *on_ready* is told the base URL once requests are taken.

    Raises OSError if the address cannot be had.
    """
    async with Sandbox(settings, clock).serving(host, port) as base_url:
        on_ready(base_url)
        await asyncio.Event().wait()


def _call(request: web.Request, body: bytes) -> SandboxCall:
    return SandboxCall(
        method=request.method,
        path=request.path,
        query=tuple(request.query.items()),
        authorization=request.headers.get("Authorization", ""),
        content_type=request.headers.get("Content-Type", ""),
        body=body,
        peer=request.remote or "",
    )


def _base_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
