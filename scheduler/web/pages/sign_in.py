"""`/` and signing in: a token is typed once, and a cookie stands for it until it ends."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from scheduler.actions.api_tokens import SESSION_LASTS
from scheduler.domain.access import Scope
from scheduler.web.access import Anybody, Caller
from scheduler.web.guard import check_origin, cookie_name, guard_of
from scheduler.web.pages.forms import read_fields
from scheduler.web.pages.rendering import Shown, page_response
from scheduler.web.pages.times import ZONE_COOKIE
from scheduler.web.problems import Refused
from scheduler.web.routing import Router

router = Router(include_in_schema=False)

_HOME = "/overview"
_ZONE_KEPT_SECONDS = 365 * 86_400


@router.get("/")
async def root(caller: Anybody, request: Request) -> Response:
    """Say where things are; a browser is led to the first page, or to sign in."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse(
            {
                "name": "dca-scheduler",
                "api": "/api/v1",
                "openapi": "/openapi.json",
                "probes": ["/livez", "/readyz"],
            }
        )
    return RedirectResponse("/sign-in" if caller.scope is None else _HOME, 303)


@router.get("/sign-in")
async def sign_in_form(
    caller: Anybody, request: Request, code: str | None = None, to: str | None = None
) -> Response:
    """Ask for a token; a link has brought what stands in its place, and works by the button."""
    return _form(request, caller, code=code, to=to)


@router.post("/sign-in")
async def sign_in(caller: Anybody, request: Request) -> Response:
    """Begin a session for the token, or the link's code, that was sent."""
    check_origin(request)
    sent = await read_fields(request)
    try:
        cookie = await guard_of(request).sign_in(
            caller.address, token=sent.get("token", "").strip(), code=sent.get("code", "")
        )
    except Refused as refused:
        if refused.status_code != 401:
            raise
        return _form(request, caller, to=sent.get("to"), error=str(refused.detail), status=401)
    answer = RedirectResponse(own_path(sent.get("to")) or _HOME, 303)
    is_tls = request.url.scheme == "https"
    answer.set_cookie(
        cookie_name(request),
        cookie,
        max_age=int(SESSION_LASTS.total_seconds()),
        path="/",
        secure=is_tls,
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/sign-out")
async def sign_out(caller: Anybody, request: Request) -> Response:
    """End the session of the browser that asks."""
    check_origin(request)
    name = cookie_name(request)
    if (cookie := request.cookies.get(name)) is not None:
        await guard_of(request).sign_out(cookie)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(
        name, path="/", secure=request.url.scheme == "https", httponly=True, samesite="strict"
    )
    return answer


@router.post("/zone")
async def choose_zone(caller: Anybody, request: Request) -> Response:
    """Keep in which zone moments are shown, and lead back: the address says it, too."""
    check_origin(request)
    sent = await read_fields(request)
    to, zone = own_path(sent.get("to")) or _HOME, sent.get("zone", "UTC")[:100]
    is_readable = zone.isascii() and zone.isprintable()
    answer = RedirectResponse(_in_zone(to, zone) if is_readable else to, 303)
    if is_readable:
        answer.set_cookie(
            ZONE_COOKIE,
            quote(zone, safe="/"),
            max_age=_ZONE_KEPT_SECONDS,
            path="/",
            samesite="strict",
        )
    return answer


def _in_zone(path: str, zone: str) -> str:
    """Return *path* with the zone in its query."""
    parts = urlsplit(path)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key != "zone"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("zone", zone)], safe="/")))


def own_path(path: str | None) -> str | None:
    """Return *path* if it leads to a page of this server, and nowhere else."""
    if not path or not path.startswith("/") or path[1:2] in ("/", "\\"):
        return None
    return path if path.isascii() and path.isprintable() else None


def sign_in_path(request: Request) -> str:
    """Return where a browser signs in that is to come back to this page."""
    query = request.url.query
    return f"/sign-in?to={quote(request.url.path + (f'?{query}' if query else ''), safe='/')}"


def _form(
    request: Request,
    caller: Caller,
    *,
    code: str | None = None,
    to: str | None = None,
    error: str | None = None,
    status: int = 200,
) -> Response:
    shown = Shown(
        template="sign_in.html",
        title="Sign in",
        data=None,
        terminal="",
        http="",
        is_live=False,
        status=status,
        values={"code": code, "to": own_path(to), "error": error, "scopes": tuple(Scope)},
    )
    return page_response(request, caller, shown)
