"""A test whose program is missing is left out with a word, or fails where none may be."""

import os
import subprocess
import sys
from pathlib import Path

from tests.programs import PACKAGES, REQUIRED

ROOT = Path(__file__).parents[2]
RULES = "tests/monitoring/test_rules.py::test_promtool_reads_the_rules"


def run(*words: str, required: bool, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python where no program can be found."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environ |= {"PATH": str(folder), REQUIRED: "1" if required else ""}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, env=environ, capture_output=True, text=True
    )


INSTALL = "promtool is not here (apt-get install --no-install-recommends prometheus)"


def test_it_is_left_out_and_the_last_lines_say_what_to_install(tmp_path: Path) -> None:
    done = run("pytest", "-p", "no:cacheprovider", RULES, required=False, folder=tmp_path)

    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-2].startswith("SKIPPED [1] tests/monitoring/test_rules.py:")
    assert done.stdout.splitlines()[-2].endswith(f"left out: {INSTALL}")


def test_it_fails_where_none_may_be_left_out(tmp_path: Path) -> None:
    done = run("pytest", "-p", "no:cacheprovider", RULES, required=True, folder=tmp_path)

    assert done.returncode == 1
    assert INSTALL in done.stdout


def test_the_packages_that_are_missing_are_told_to_ci(tmp_path: Path) -> None:
    done = run("tests.programs", required=True, folder=tmp_path)

    assert done.stdout.split() == sorted(set(PACKAGES.values()))
