"""From an exception to what a client is told: status, title, detail. The one place for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scheduler.domain.errors import (
    AlreadyRunning,
    ConfigError,
    Conflict,
    DatabaseError,
    InputsError,
    InvalidInput,
    KeyReused,
    NeedsConfirmation,
    NotFound,
    OwnedByFile,
    SchedulerError,
    SchemaError,
    Stale,
)

MEDIA_TYPE: Final = "application/problem+json"
_TYPES: Final = "urn:dca-scheduler:problem:"
_RETRY: Final = {"Retry-After": "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong, as RFC 9457 has it; *detail* ends with the way out."""

    status: int
    kind: str
    title: str
    detail: str
    errors: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the problem document."""
        return {
            "type": _TYPES + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **({"errors": list(self.errors)} if self.errors else {}),
            **self.more,
        }


class Refused(HTTPException):
    """A request that is refused before any view or action is called."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.problem = Problem(
            status=status,
            kind=kind,
            title=title or _TITLES.get(kind) or _phrase(status),
            detail=detail,
            headers=dict(headers or {}),
            errors=errors,
        )


# The first that fits: children stand before their parents. What is of this server and not of the
# request is told without its text, which the log has: it may name files and hosts.
_KINDS: Final[tuple[tuple[type[SchedulerError], int, str, str, str | None], ...]] = (
    (NotFound, 404, "not-found", "Nothing has that name or id", None),
    (InvalidInput, 422, "invalid", "The request can never be carried out as it stands", None),
    (InputsError, 422, "invalid-inputs", "The inputs cannot be read", None),
    (NeedsConfirmation, 409, "needs-confirmation", "It costs more than a slip may", None),
    (KeyReused, 422, "key-reused", "Its Idempotency-Key is that of another request", None),
    (OwnedByFile, 409, "owned-by-file", "A configuration file defines it", None),
    (Stale, 412, "stale", "It was changed since it was read", None),
    (Conflict, 409, "conflict", "The thing is not in a state that allows this", None),
    (AlreadyRunning, 409, "conflict", "The thing is not in a state that allows this", None),
    (
        SchemaError,
        503,
        "schema",
        "The database has another schema",
        "the database's schema is not the one that this program knows: run `dca-scheduler db"
        " upgrade`, or install the newer program",
    ),
    (
        DatabaseError,
        503,
        "database",
        "The database cannot be used",
        "the database cannot be used at this moment: ask again; the server's log says why",
    ),
    (
        ConfigError,
        503,
        "configuration",
        "The configuration cannot be used",
        "the server's configuration cannot be used: `dca-scheduler config check` says why",
    ),
)


_TITLES: Final = {kind: title for _, _, kind, title, _ in _KINDS}
"""A kind has one title, whoever refuses the request."""


FORESEEN: Final = (SchedulerError, RequestValidationError, HTTPException, TimeoutError)
"""What is raised for a reason that its sentence says; all else is a fault of ours."""


def problem_of(error: Exception) -> Problem:
    """Return what a client is told of *error*: never a trace, a secret or a place on the server."""
    match error:
        case Refused():
            return error.problem
        case SchedulerError():
            return _of_ours(error)
        case RequestValidationError():
            return _of_validation(error)
        case HTTPException():
            return _of_http(error)
        case TimeoutError():
            return Problem(
                status=503,
                kind="timeout",
                title="It took too long",
                detail="the answer took longer than request_timeout: ask for less, or again",
                headers=_RETRY,
            )
        case _:
            return Problem(
                status=500,
                kind="internal",
                title=_phrase(500),
                detail="something went wrong that nobody foresaw: the log has it under this"
                " answer's X-Request-ID",
            )


def _of_ours(error: SchedulerError) -> Problem:
    for kind, status, name, title, said in _KINDS:
        if isinstance(error, kind):
            more = _more_of(error)
            return Problem(
                status=status,
                kind=name,
                title=title,
                detail=said or str(error),
                headers=_RETRY if status == 503 else {},
                more=more,
            )
    return Problem(status=409, kind="refused", title="It was refused", detail=str(error))


def _more_of(error: SchedulerError) -> dict[str, Any]:
    match error:
        case NeedsConfirmation():
            return {"count": error.count}
        case OwnedByFile():
            return {"file": error.file, "key": error.key}
        case _:
            return {}


def _of_validation(error: RequestValidationError) -> Problem:
    errors = [_pointed(detail) for detail in error.errors()]
    first = errors[0]
    place = first.get("pointer") or first.get("parameter") or "the request"
    others = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(
        status=422,
        kind="invalid",
        title=_TITLES["invalid"],
        detail=f"{place}: {first['detail']}{others}",
        errors=errors,
    )


_SHAPES: dict[str, str] = {}


def shape(pattern: str, said: str) -> str:
    """Return *pattern*, which the document shows; people are told in words what it must be."""
    _SHAPES[pattern] = said
    return pattern


_SAID: Final = {
    "extra_forbidden": "there is no such field here: /openapi.json lists those there are",
    "missing": "is missing",
}


def _pointed(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Say what is wrong and where: a JSON pointer into the body, or a parameter by its name."""
    where, *place = detail["loc"]
    pattern = detail.get("ctx", {}).get("pattern", "")
    said = (
        _SAID.get(detail["type"])
        or _SHAPES.get(pattern)
        or str(detail["msg"]).removeprefix("Value error, ")
    )
    said = said[:1].lower() + said[1:]
    if where == "body":
        if detail["type"] == "json_invalid":
            return {"detail": f"not JSON, at character {place[0]}", "pointer": "#"}
        return {"detail": said, "pointer": "#" + "".join(f"/{_escaped(key)}" for key in place)}
    return {"detail": said, "parameter": ".".join(map(str, place)), "in": str(where)}


def _escaped(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _of_http(error: HTTPException) -> Problem:
    kind = _HTTP_KINDS.get(error.status_code, "refused")
    detail = _HTTP_DETAILS.get(error.status_code) or str(error.detail)
    return Problem(
        status=error.status_code,
        kind=kind,
        title=_phrase(error.status_code),
        detail=detail,
        headers=dict(error.headers or {}),
    )


_HTTP_KINDS: Final = {404: "no-such-path", 405: "method", 413: "too-large", 400: "malformed"}
_HTTP_DETAILS: Final = {
    404: "there is nothing at this path: /openapi.json lists all there are",
    405: "this path does not know that method: Allow says which it does",
    400: "the body cannot be read",
}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


def problem_response(request: Request, problem: Problem) -> Response:
    """Answer with a problem, in the form that the path's clients understand."""
    if request.url.path.startswith("/dca/"):
        body: dict[str, Any] = {"error": problem.detail}
        return JSONResponse(body, status_code=problem.status, headers=dict(problem.headers))
    if (page := request.app.state.find_problem_page(request, problem)) is not None:
        answer: Response = page
        return answer
    return JSONResponse(
        problem.document(),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type=MEDIA_TYPE,
    )
