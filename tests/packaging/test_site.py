"""The site is made without a warning; man pages and completions with one command."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.surfaces.rig import program

ROOT = Path(__file__).parents[2]


def test_the_site_is_made_without_a_warning(tmp_path: Path) -> None:
    docs = tmp_path / "project" / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("reference"))
    shutil.copy(ROOT / "config.example.toml", docs.parent)
    (docs.parent / "scheduler").symlink_to(ROOT / "scheduler")
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]

    done = subprocess.run([*words, docs, tmp_path / "site"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "site" / "reference" / "commands.html").read_text()
    assert "dca-scheduler rehearse" in commands
    assert "several_candidates" in (tmp_path / "site" / "reference" / "reasons.html").read_text()
    assert "loop_failed" in (tmp_path / "site" / "reference" / "log-events.html").read_text()


def test_man_pages_and_completions_are_installed(tmp_path: Path) -> None:
    done = program("manual", "--install", str(tmp_path / "usr"), folder=tmp_path)

    assert done.returncode == 0, done.stderr
    pages = tmp_path / "usr" / "share" / "man" / "man1"
    page = (pages / "dca-scheduler-runs-show.1").read_text()
    assert page.startswith('.TH "DCA-SCHEDULER-RUNS-SHOW" 1')
    assert ".SH OPTIONS" in page
    assert "dca\\-scheduler\\-runs" in (pages / "dca-scheduler.1").read_text()
    for place in ("bash-completion/completions/dca-scheduler", "zsh/site-functions/_dca-scheduler"):
        assert "_DCA_SCHEDULER_COMPLETE" in (tmp_path / "usr" / "share" / place).read_text()


def test_what_is_installed_is_listed_with_its_license(tmp_path: Path) -> None:
    done = program("licenses", folder=tmp_path)

    packages = {line.split()[0] for line in done.stdout.splitlines()[1:]}
    assert {"dca-scheduler", "sqlalchemy", "psycopg-binary", "httptools"} <= packages
    assert not {"pytest", "sphinx", "mypy"} & packages


def test_production_installs_what_is_tested() -> None:
    def pins(file: str) -> dict[str, str]:
        lines = (line.split()[0] for line in (ROOT / file).read_text().splitlines() if "==" in line)
        named = (line.partition(";")[0].partition("==") for line in lines)
        return {name.lower().replace("_", "-"): version for name, _, version in named}

    hashed, tested = pins("requirements-hashes.txt"), pins("constraints.txt")

    unlike = {
        name: version for name, version in hashed.items() if tested.get(name, version) != version
    }
    assert not unlike, "docs/installation.md says how requirements-hashes.txt is made anew"
    assert {"sqlalchemy", "httpx", "psycopg-binary"} <= hashed.keys()
    assert "://" not in (ROOT / "requirements-hashes.txt").read_text()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the names in a source archive."""
    folder = tmp_path_factory.mktemp("sdist")
    words = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    listed = subprocess.run(
        ["tar", "tzf", next(folder.glob("*.tar.gz"))], check=True, capture_output=True, text=True
    )
    return [name.partition("/")[2] for name in listed.stdout.splitlines()]


def test_the_source_archive_holds_all_that_is_kept(archive: list[str]) -> None:
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    wanted = {
        name for name in kept.stdout.splitlines() if not name.startswith((".ci/", "bench/peers"))
    }

    assert not wanted - set(archive)
