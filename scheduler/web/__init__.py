"""
The HTTP surface: a face over views and actions, beside the terminal.

    serving.py      the socket, uvicorn, the end      connections.py  what a connection may be
    app.py          all routes, put together          gate.py         what every request passes
    routing.py      Router: no route without a scope  access.py       Reader, Operator, Admin …
    guard.py        tokens, sessions, limits          site.py         what routes work with
    dispatch.py     from a path to its route          solving.py      what a route takes, quickly
    lately.py       what many ask for at once
    problems.py     from an exception to an answer    models.py       from a view to OpenAPI
    document.py     OpenAPI, and write_document.py for its copy   docs_page.py  /docs
    probes.py       /livez, /readyz                   pages/          for browsers

To add an endpoint under /api/v1: a module in `api/` with a `Router`, named in `api/__init__.py`.

    from scheduler.web.access import Operator, Reader
    from scheduler.web.models import answers
    from scheduler.web.routing import Router

    router = Router(prefix="/queues", tags=["queues"])

    @router.get("", **answers(list[QueueView]))
    async def list_(caller: Reader) -> Response:
        return reply(await caller.ask(list_queues))

    @router.post("/{name}/pause", **answers(list[QueueView]))
    async def pause(caller: Operator, name: str, why: PauseReason) -> Response:
        return reply(await caller.act(pause_queue, name, reason=why.reason))

The first parameter says who may: `Reader`, `Trigger`, `Operator`, `Admin`, or `Anybody`; a route
without one is refused when the app is made, and so is asked for before any of a body is read.
`caller.ask(view, …)` calls a view in a transaction that only reads, `caller.act(action, …)` an
action in one that writes, as the token's name and address, and wakes the daemon; both in threads,
with *now* for whoever takes it. `look_outside` and `act_outside` are for views and actions that
take a Database and read files before their transaction. Exceptions of ours become problems
(`problems.py`); raise them, answer nothing yourself. `reply` writes what `--json` would.

A stream (`Listener`) has no end of its own: it ends when `caller.site.stopping` is set, or a stop
waits for it. Whatever a route depends on is a coroutine function: FastAPI takes a thread for any
other, which costs more than the answer.

Another surface (`dropin/`, `metrics.py`) is a module with a `router` (a `Router`, too), named in
`app.SURFACES`.
"""
