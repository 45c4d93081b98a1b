"""Anything that the document allows, and much that it does not: never a 5xx, documented codes."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from scheduler.domain.access import Scope
from tests.web.rig import Served, serving

_ALWAYS = {"405", "415"}
"""Of any path, whatever is sent there: see docs/api.md."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give one server for all that is tried."""
    from tests import databases

    folder = tmp_path_factory.mktemp("fuzz")
    databases.migrated_sqlite(folder)
    with serving(f"sqlite:///{folder / 'scheduler.db'}") as served:
        yield served


def test_no_request_is_answered_with_what_is_not_documented(server: Served) -> None:
    # A document is text to whoever makes it up.
    text = server.get("/openapi.json", None).text.replace("application/toml", "text/plain")
    document = json.loads(text)
    paths = {path: said for path, said in document["paths"].items() if path.startswith("/api/v1")}
    schema = schemathesis.openapi.from_dict({**document, "paths": paths})
    headers = {"Authorization": f"Bearer {server.tokens[Scope.ADMIN]}"}

    told: Counter[int] = Counter()
    wrong: list[str] = []
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # an error is one of the test
        known = {*operation.definition.raw["responses"], *_ALWAYS}
        check = partial(_check, server, headers, known, told, wrong)
        for mode in GenerationMode:
            _try(operation.as_strategy(generation_mode=mode), check)

    assert wrong == []
    assert told.total() > 200
    assert {200, 201, 404, 422} <= set(told), told


def _check(
    server: Served,
    headers: dict[str, str],
    known: set[str],
    told: Counter[int],
    wrong: list[str],
    case: Any,
) -> None:
    answer = case.call(base_url=server.url, headers=headers)
    told[answer.status_code] += 1
    if str(answer.status_code) not in known or answer.status_code >= 500:
        wrong.append(f"{answer.status_code} {case.method} {case.formatted_path} {answer.text}")


def _try(cases: Any, check: Callable[[Any], None]) -> None:
    quick = settings(
        max_examples=4,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )

    @quick
    @given(case=cases)
    def attempt(case: Any) -> None:
        check(case)

    attempt()
