"""What went wrong, for a browser: the words of the problem, and the way back."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scheduler.web.access import Caller
from scheduler.web.pages.rendering import Shown, page_response
from scheduler.web.pages.sign_in import sign_in_path
from scheduler.web.problems import Problem
from scheduler.web.site import site_of

_FOR_PROGRAMS = ("/api/", "/dca/", "/metrics", "/livez", "/readyz", "/openapi.json")


def find_problem_page(request: Request, problem: Problem) -> Response | None:
    """Return the page of a problem; None for whoever is no browser, and asks for no page."""
    path = request.url.path
    accepts_html = "text/html" in request.headers.get("accept", "")
    if not accepts_html or path.startswith(_FOR_PROGRAMS) or path.endswith(".json"):
        return None
    if problem.status == 401 and request.method == "GET":
        return RedirectResponse(sign_in_path(request), 303)
    shown = Shown(
        template="problem.html",
        title=problem.title,
        data=None,
        terminal="",
        http="",
        is_live=False,
        status=problem.status,
        values={"problem": problem, "request_id": request.scope["state"].get("request_id", "")},
    )
    answer = page_response(request, _caller(request), shown)
    for name, value in problem.headers.items():
        answer.headers[name] = value
    return answer


def _caller(request: Request) -> Caller:
    """Return whom the guard has let in, or nobody, where it came to nothing before."""
    known: Caller | None = request.scope["state"].get("caller")
    return known or Caller(site=site_of(request))
