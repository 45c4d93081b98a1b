"""`/docs`: the OpenAPI document for people; it loads nothing, and needs no script."""

from collections.abc import Iterator
from html import escape
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from scheduler.web.access import Anybody
from scheduler.web.document import document
from scheduler.web.routing import Router

router = Router(include_in_schema=False)

_STYLE: Final = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, h3 { font-family: ui-monospace, monospace; }
h3 { margin: 2rem 0 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
small { opacity: .75; }
"""


@router.get("/docs")
async def page(caller: Anybody, request: Request) -> Response:
    """Show what can be asked here."""
    return HTMLResponse("".join(_page(document(request.app))))


@router.get("/docs.css")
async def style(caller: Anybody) -> Response:
    """Return how the page looks."""
    return Response(_STYLE, media_type="text/css")


def _page(made: dict[str, Any]) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width"><title>dca-scheduler: API</title>'
    yield '<link rel="stylesheet" href="/docs.css"></head><body><main>'
    yield f"<h1>dca-scheduler {escape(made['info']['version'])}: API</h1>"
    for paragraph in made["info"]["description"].split("\n\n"):
        yield f"<p>{_text(paragraph)}</p>"
    yield '<p>For programs: <a href="/openapi.json">/openapi.json</a>.</p><ul>'
    tags = {tag["name"]: tag["description"] for tag in made["tags"]}
    for name, said in tags.items():
        yield f'<li><a href="#{name}">{name}</a>: {_text(said)}</li>'
    yield "</ul>"
    for name, said in tags.items():
        yield f'<h2 id="{name}">{name}</h2><p>{_text(said)}</p>'
        for path, operations in made["paths"].items():
            for method, operation in operations.items():
                if name in operation.get("tags", ()):
                    yield from _operation(made, method, path, operation)
    yield "</main></body></html>"


def _operation(
    made: dict[str, Any], method: str, path: str, operation: dict[str, Any]
) -> Iterator[str]:
    scopes = " or ".join(operation.get("x-scopes", ())) or "nobody: it is open"
    yield f"<h3>{method.upper()} {escape(path)}</h3><p><small>Token: {scopes}</small></p>"
    for paragraph in operation.get("description", "").split("\n\n"):
        yield f"<p>{_text(paragraph)}</p>"
    fields = [
        (one["name"], f"{one['in']}: {_kind(one['schema'])}", one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {})
    for media_type, content in body.items():
        schema = _resolved(made, content["schema"])
        needed = schema.get("required", ())
        fields += [
            (name, f"body: {_kind(one)}{', needed' * (name in needed)}", one.get("description", ""))
            for name, one in schema.get("properties", {}).items()
        ] or [("", f"body: {media_type}", content["schema"].get("description", ""))]
    if fields:
        rows = "".join(
            f"<tr><td><code>{escape(name)}</code></td><td><small>{escape(kind)}</small></td>"
            f"<td>{_text(said)}</td></tr>"
            for name, kind, said in fields
        )
        yield f"<table><tbody>{rows}</tbody></table>"
    answers = "; ".join(
        f"{status} {_response(made, said)['description']}"
        for status, said in operation["responses"].items()
    )
    yield f"<p><small>Answers: {_text(answers)}</small></p>"


def _response(made: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    name = answer.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = made["components"]["responses"].get(name, answer)
    return found


def _resolved(made: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = made["components"]["schemas"].get(name, schema)
    return found


def _kind(schema: dict[str, Any]) -> str:
    ways = schema.get("anyOf") or [schema]
    names = [
        way.get("$ref", "").rpartition("/")[2] or way.get("format") or way.get("type", "anything")
        for way in ways
    ]
    return " or ".join(name for name in names if name != "null")


def _text(text: str) -> str:
    """Escape *text*; what stands between back quotes is code."""
    parts = escape(" ".join(text.split())).split("`")
    return "".join(
        f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts)
    )
