"""Is it alive, is it ready: asked by whatever watches over it, without a token."""

from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse, Response

from scheduler.domain.access import Scope
from scheduler.domain.errors import DatabaseError, SchemaError
from scheduler.views.opening import Connection, require_current
from scheduler.views.status import why_held
from scheduler.web.access import Anybody, Caller
from scheduler.web.routing import Router

router = Router(tags=["probes"])

_Check = tuple[str, Callable[[Connection], object]]


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez(caller: Anybody) -> Response:
    """Answer at all: the loop turns."""
    return JSONResponse({"status": "ok"})


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz")
async def readyz(caller: Anybody, verbose: str | None = None) -> Response:
    """
    Say whether requests can be answered, and nothing is held: 200, or 503.

    With `?verbose` and a token that may read, each check by its name.
    """
    checks = {name: await _problem(caller, check) for name, check in _CHECKS}
    checks["daemon"] = await _held(caller)
    checks["configuration"] = caller.site.config_error
    is_ready = not any(checks.values())
    answer: dict[str, object] = {"status": "ok" if is_ready else "not ok"}
    if verbose is not None and caller.may(Scope.READ):
        answer["checks"] = {name: problem or "ok" for name, problem in checks.items()}
    return JSONResponse(answer, status_code=200 if is_ready else 503)


async def _problem(caller: Caller, check: Callable[[Connection], object]) -> str | None:
    try:
        await caller.ask(check)
    except SchemaError as error:
        return str(error)
    except DatabaseError:
        return "it cannot be used: the log says why"
    return None


async def _held(caller: Caller) -> str | None:
    try:
        return await caller.ask(why_held)
    except DatabaseError:
        return None  # the other checks say so


def _reach(conn: Connection) -> None:
    """Ask for nothing: the transaction has begun."""


_CHECKS: Final[tuple[_Check, ...]] = (("database", _reach), ("schema", require_current))
