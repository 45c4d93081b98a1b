"""The document: whole, true to the routes, the same as its copy; and its page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scheduler.web.write_document import document_text
from tests.web.rig import Served

COPY = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """The document as the routes have it."""
    read: dict[str, Any] = json.loads(document_text())
    return read


def test_the_copy_in_the_repository_is_the_document(made: dict[str, Any]) -> None:
    assert json.loads(COPY.read_text()) == made, (
        "write it anew: python -m scheduler.web.write_document > docs/openapi.json"
    )


def test_every_operation_of_the_api_is_described(made: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in made["tags"]}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            if not path.startswith("/api/v1"):
                continue
            place = f"{method} {path}"
            assert len(operation["description"]) > 10, place
            assert set(operation["tags"]) <= tags, place
            assert operation["x-scopes"], place
            assert {"401", "403", "422", "429", "503"} <= set(operation["responses"]), place
            assert "{" not in path or method == "delete" or "404" in operation["responses"], place
            for parameter in operation.get("parameters", ()):
                assert parameter.get("description"), (place, parameter["name"])


def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    for reference in set(re.findall(r'"#/([^"]+)"', json.dumps(made))):
        found: Any = made
        for key in reference.split("/"):
            found = found[key]


def test_a_duration_is_text_beside_its_seconds_as_it_is_answered(made: dict[str, Any]) -> None:
    durations = [
        (name, field, said)
        for name, schema in made["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if f"{field}_seconds" in schema.get("properties", {})
    ]

    assert len(durations) > 10
    for name, field, said in durations:
        kinds = {one.get("type") for one in said.get("anyOf", [said])}
        assert kinds <= {"string", "null"}, (name, field, said)


def test_bodies_have_examples_and_their_fields_are_described(made: dict[str, Any]) -> None:
    schemas = made["components"]["schemas"]
    for operations in made["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            name = content.get("application/json", {}).get("schema", {}).get("$ref", "")
            if not name:
                continue
            schema = schemas[name.rpartition("/")[2]]
            assert schema["example"], name
            for field, said in schema["properties"].items():
                assert said.get("description"), (name, field)


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(server_on_sqlite: Served) -> None:
    page = server_on_sqlite.get("/docs", None)
    style = server_on_sqlite.get("/docs.css", None)

    assert (page.status_code, style.status_code) == (200, 200)
    assert "<script" not in page.text and "style=" not in page.text
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page.text)) == {
        "/docs.css",
        "/openapi.json",
    }
    assert "url(" not in style.text and "@import" not in style.text
    for path in json.loads(COPY.read_text())["paths"]:
        if path.startswith("/api/v1"):
            assert path in page.text
