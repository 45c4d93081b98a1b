"""The alert rules and the dashboard: they ask for what there is, and fire when they should."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.storage.database import Database
from scheduler.views.metrics import CATALOGUE, expose, read_metrics
from scheduler.views.metrics.catalogue import Kind
from tests.make import NINE
from tests.monitoring.alert_cases import CASES

ROOT = Path(__file__).parents[2]
RULES = ROOT / "monitoring" / "alerts.yml"
DASHBOARD = ROOT / "monitoring" / "dashboard.json"
NAME = re.compile(r"\bdca_scheduler_\w+")


def exposed() -> set[str]:
    return {
        metric.exposed + suffix
        for metric in CATALOGUE
        for suffix in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
    }


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel.get("targets", ()))


def promtool(*words: str | Path, given: str | None = None) -> str:
    done = subprocess.run(["promtool", *words], input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_name_only_what_is_exposed() -> None:
    names = set(NAME.findall(RULES.read_text()))

    assert names
    assert names <= exposed()


def test_the_dashboard_names_only_what_is_exposed() -> None:
    names = {name for expr in expressions() for name in NAME.findall(expr)}

    assert names
    assert names <= exposed()


def test_every_metric_is_on_the_dashboard() -> None:
    text = " ".join(expressions())

    assert [metric.exposed for metric in CATALOGUE if metric.exposed not in text] == []


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    cells = [
        (column, line)
        for panel in panels()
        for place in [panel["gridPos"]]
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) < 24


def test_every_rule_has_a_case_that_fires_it() -> None:
    rules = re.findall(r"- alert: (\w+)", RULES.read_text())
    fired = {alert.partition("{")[0] for case in CASES for alert in case.alerts}

    assert sorted(fired) == sorted(rules)


@pytest.mark.needs("promtool")
def test_promtool_reads_the_rules() -> None:
    promtool("check", "rules", RULES)


@pytest.mark.needs("promtool")
def test_each_rule_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"  # YAML reads it, too
    tests = [case.as_promtool_has_it() for case in CASES]
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))

    assert "SUCCESS" in promtool("test", "rules", file)


@pytest.mark.needs("promtool")
def test_promtool_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"x:{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, expr in enumerate(expressions())
    ]
    file = tmp_path / "expressions.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", file)


@pytest.mark.needs("promtool")
def test_promtool_has_nothing_to_say_of_what_is_exposed(database_url: str) -> None:
    with Database(database_url) as db, db.reading() as conn:
        text, _ = expose(read_metrics(conn, now=NINE, max_schedules=100))

    assert promtool("check", "metrics", given=text.decode()).strip() == ""
