"""/metrics: the same as `metrics --text`, in the format that is asked for, for whom it may be."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from scheduler.domain.access import Scope
from tests.web.rig import Served, serving

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def test_what_is_measured_is_told_as_text(served: Served) -> None:
    answer = served.get("/metrics")

    families = {family.name: family for family in read_text(answer.text)}
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert families["dca_scheduler_daemons"].samples[0].value == 0


def test_openmetrics_is_told_where_it_is_asked_for(served: Served) -> None:
    answer = served.get("/metrics", headers={"Accept": f"{OPENMETRICS}, text/plain;q=0.5"})

    assert answer.headers["content-type"].startswith(OPENMETRICS)
    assert "dca_scheduler_build" in {family.name for family in read_openmetrics(answer.text)}


@pytest.mark.parametrize(("scope", "status"), [(None, 401), (Scope.TRIGGER, 403)])
def test_it_takes_a_token_that_may_read(
    server_on_sqlite: Served, scope: Scope | None, status: int
) -> None:
    assert server_on_sqlite.get("/metrics", scope).status_code == status


def test_by_choice_it_takes_none(sqlite_url: str) -> None:
    with serving(sqlite_url, open_metrics=True) as served:
        assert served.get("/metrics", None).status_code == 200
        assert served.get("/api/v1/status", None).status_code == 401
