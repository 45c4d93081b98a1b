"""What can be asked, as OpenAPI 3.1: `/openapi.json`, and docs/openapi.json as a copy."""

from typing import Any, Final

from fastapi import FastAPI

from scheduler.web.dropin.documents import error_answer
from scheduler.web.models import ProblemDocument, problem_answer
from scheduler.web.problems import MEDIA_TYPE
from scheduler.web.routing import list_routes

_ABOUT: Final = """\
Everything that `dca-scheduler` shows and changes in the terminal, over HTTP. What is answered is
what `--json` prints: times in UTC with microseconds, durations as written and beside that in
seconds, every key always there.

Lists come in pages: go on with the `cursor` that `next` says, or by `Link`. What went wrong is a
problem of RFC 9457; its `type` is stable, its `detail` is for people. Whatever makes something
takes an `Idempotency-Key`, and a change of a definition its `ETag` in `If-Match`. What costs more
than a slip may is 409 with a `count` first: repeat it with `confirm` set to that.
"""

_TAGS: Final = {
    "runs": "What was due or asked for, and what became of it.",
    "schedules": "Collector, batch and timetable; what fires, when, and why.",
    "collections": "The upstream's jobs that accepted triggers became.",
    "collectors": "The upstream's scrapers that may be triggered.",
    "batches": "Named lists of inputs.",
    "budgets": "What a month may cost, and what is used of it.",
    "calendars": "Times at which schedules that exclude them do not fire.",
    "queues": "Named queues: runs in one are sent in order.",
    "accounts": "Accounts at the upstream, and the brake of each.",
    "freezes": "Pauses of many schedules at once.",
    "definitions": "All definitions at once, as a document.",
    "alerts": "What is wrong, who knows of it, and who was told.",
    "events": "What happens, as it does.",
    "status": "How everything is doing, and who changed what.",
}

_OF_ANY_REQUEST: Final = (400, 421, 431)
_OF_A_BODY: Final = (408, 413, 415)

_PROBLEM: Final = {
    "type": "urn:dca-scheduler:problem:not-found",
    "title": "Nothing has that name or id",
    "status": 404,
    "detail": "no schedule is called 'nihgtly': did you mean 'nightly'?",
}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of all routes."""
    if app.openapi_schema is None:
        made = app.openapi()
        made["info"]["description"] = _ABOUT
        used = {tag for operation in _operations(made) for tag in operation.get("tags", ())}
        made["tags"] = [
            {"name": name, "description": said} for name, said in _TAGS.items() if name in used
        ]
        components = made.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas["ProblemDocument"] = {**ProblemDocument.model_json_schema(), "example": _PROBLEM}
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        components["securitySchemes"] = {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "What `dca-scheduler token create` prints.",
            }
        }
        made["security"] = [{"token": []}]
        _say_who_may(app, made)
        components["responses"] = _share_problems(made)
    return dict(app.openapi_schema or {})


def _operations(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in made["paths"].values() for operation in path.values()]


def _share_problems(made: dict[str, Any]) -> dict[str, Any]:
    """Let every operation refer to the same problems; return them by name."""
    shared: dict[str, Any] = {}
    for path, operations in made["paths"].items():
        answer = error_answer if path.startswith("/dca/") else problem_answer
        for operation in operations.values():
            read = (*_OF_ANY_REQUEST, *(_OF_A_BODY if "requestBody" in operation else ()))
            operation["responses"] = {
                **{str(status): answer(status) for status in read},
                **operation["responses"],
            }
    for operation in _operations(made):
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]  # the framework's, which nobody is answered with
        for status, answer in operation["responses"].items():
            if [*answer.get("content", ())] == [MEDIA_TYPE]:
                shared[f"Problem{status}"] = answer
                operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}
    return dict(sorted(shared.items()))


def _say_who_may(app: FastAPI, made: dict[str, Any]) -> None:
    for method, path, access in list_routes(app):
        operation = made["paths"].get(path, {}).get(method.lower())
        if operation is None:
            continue
        operation["x-scopes"] = [scope.value for scope in access.needed]
        if not access.needed:
            operation["security"] = []
