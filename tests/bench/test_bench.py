"""The benchmark runs from end to end, and its figures can be true; how fast is no test's matter."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.bare import bare
from bench.figures import Figure, percentile, store, table
from bench.measures import MEASURES
from bench.stub import running_stub

ROOT = Path(__file__).resolve().parents[2]


def test_the_stub_answers_every_client_and_counts_what_came() -> None:
    with running_stub() as stub:
        for client in ("own", "httpx", "aiohttp"):
            stub.forget()
            assert bare(client, stub.url, 100).rate > 0
            assert stub.count() == 200  # those that warm it up are counted, too
        arrivals = stub.arrivals()
    assert arrivals == sorted(arrivals)


def test_a_ratio_is_the_middle_one_of_the_runs_own_ratios() -> None:
    figure = Figure(name="x", unit="1/s", values=[10, 40, 90], against=[10, 20, 30])
    assert figure.ratio() == 2
    assert figure.spread() == (10, 40, 90)


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile([1, 2, 3], 0.99) == 3


def test_a_table_has_a_line_for_each_figure() -> None:
    lines = table([Figure(name="a", unit="s", values=[1]), Figure(name="b", unit="s", values=[2])])
    assert [line.split("|")[1].strip() for line in lines.splitlines()[2:]] == ["a", "b"]


def test_figures_are_stored_with_their_ratio(tmp_path: Path) -> None:
    file = tmp_path / "results" / "one.json"
    store([Figure(name="a", unit="s", values=[3], against=[2])], {"machine": "m"}, file)
    stored = json.loads(file.read_text())
    assert stored["surroundings"] == {"machine": "m"}
    assert stored["figures"][0]["ratio"] == 1.5


@pytest.mark.parametrize("measure", MEASURES)
def test_each_measure_runs_and_its_figures_can_be_true(measure: str, tmp_path: Path) -> None:
    found = _measured(measure, tmp_path / "figures.json")
    assert found
    for figure in found:
        assert figure["values"], figure
        least = 0 if figure["unit"] in ("%", "1/s", "ms", "s") else 1
        assert all(least <= value < 1_000_000 for value in figure["values"]), figure


def _measured(measure: str, file: Path) -> list[dict[str, Any]]:
    words = [sys.executable, "-m", "bench", "--tiny", "--only", measure, "--json", str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert found["surroundings"]["failed"] == {}
    assert 0 <= found["surroundings"]["others"] <= 1
    return list(found["figures"])
