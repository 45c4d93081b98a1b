"""The wheel alone, installed elsewhere: what it holds, and that it works in an empty folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scheduler import __version__

ROOT = Path(__file__).parents[2]
CARRIED = {
    "migrations": "scheduler/_migrations",
    "inputs": "scheduler/_examples/inputs",
    "alembic.ini": "scheduler/_migrations/alembic.ini",
    "config.example.toml": "scheduler/_examples/config.example.toml",
    "systemd/dca-scheduler.service": "scheduler/_examples/dca-scheduler.service",
    "systemd/dca-scheduler.socket": "scheduler/_examples/dca-scheduler.socket",
    "systemd/dca-scheduler-watchdog.service": (
        "scheduler/_examples/dca-scheduler-watchdog.service"
    ),
    "systemd/dca-scheduler-watchdog.timer": "scheduler/_examples/dca-scheduler-watchdog.timer",
    "monitoring": "scheduler/_examples/monitoring",
}
CONFIG = """\
[database]
url = "sqlite:///scheduler.db"

[accounts.main]
token = { env = "DCA_API_TOKEN" }
"""
HEAVY = ("sqlalchemy", "alembic", "httpx", "aiohttp", "pydantic", "prometheus_client")
HELP = f"""
import sys
from scheduler.__main__ import main
sys.argv = ["dca-scheduler", "--help"]
try:
    main()
finally:
    print("loaded:", *(name for name in {HEAVY!r} if name in sys.modules))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the checkout, with the hatchling of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder of its own, without a network."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(wheel)], check=True, capture_output=True)
    return folder


def run(installed: Path, folder: Path, *words: str) -> str:
    """Run *words* in *folder*, the installed wheel before the checkout; return what they print."""
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, f"{words} exited with {done.returncode}: {done.stderr}"
    return done.stdout


def test_the_wheel_carries_what_lives_outside_the_package(wheel: Path) -> None:
    expected = {
        target + str(file).removeprefix(str(ROOT / source)): file.read_bytes()
        for source, target in CARRIED.items()
        for file in [ROOT / source, *(ROOT / source).rglob("*")]
        if file.is_file() and file.suffix != ".pyc"
    }

    with zipfile.ZipFile(wheel) as archive:
        held = {
            name: archive.read(name)
            for name in archive.namelist()
            if name.startswith(("scheduler/_migrations/", "scheduler/_examples/"))
        }

    assert held == expected


def test_the_wheel_holds_the_package_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}

    assert tops == {"scheduler", f"dca_scheduler-{__version__}.dist-info"}


def test_an_installed_wheel_makes_and_checks_a_database(installed: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("config.toml").write_text(CONFIG)
    program = str(installed / "bin" / "dca-scheduler")

    version = run(installed, tmp_path, program, "--version")
    for command in ("upgrade", "current", "check"):
        run(installed, tmp_path, program, "db", command)

    assert __version__ in version
    assert tmp_path.joinpath("scheduler.db").stat().st_size > 0


def test_an_installed_wheel_reads_nothing_from_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    words = "import scheduler.storage.migrate as m; print(m.__file__, m.newest_revision())"

    file, revision = run(installed, tmp_path, sys.executable, "-c", words).split()

    assert Path(file).is_relative_to(installed)
    assert list(installed.glob(f"scheduler/_migrations/versions/{revision}*.py"))


def test_help_starts_without_loading_what_it_does_not_need(installed: Path, tmp_path: Path) -> None:
    said = run(installed, tmp_path, sys.executable, "-c", HELP)

    assert "Usage: dca-scheduler" in said
    assert said.splitlines()[-1] == "loaded:"
