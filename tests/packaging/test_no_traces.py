"""Nothing in the repository tells on which machine it was written, or whence packages came."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
NOT_OURS = {"build", "dist", "node_modules", "__pycache__"}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}

# Put together from halves, so that this file is clean itself.
REGISTRIES = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "artifact" + "ory"]
HOMES = ["ro" + "ot", "wo" + "rk", "home/" + r"\w+", "Us" + r"ers/\w+"]
INDEX_SETTINGS = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
]

MACHINE_PATH = re.compile(rf"(?<![\w.~/-])/(?:{'|'.join(HOMES)})(?![\w-])")


def repository_files() -> list[Path]:
    """Return what git knows; without git, every file that is no by-product."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return list(walk(ROOT))
    if done.returncode != 0:
        return list(walk(ROOT))
    files = (ROOT / name for name in done.stdout.split("\0") if name)
    return [file for file in files if file.is_file()]


def walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir():
            hidden = entry.name.startswith(".") and entry.name != ".ci"
            if not hidden and entry.name not in NOT_OURS:
                yield from walk(entry)
        else:
            yield entry


def lines() -> Iterator[tuple[str, str]]:
    """Give every line of text with its place."""
    for file in repository_files():
        text = file.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            yield f"{file.relative_to(ROOT)}:{number}", line


def registry_hosts() -> list[str]:
    """Return the known package indexes and those that this machine is told to use."""
    settings = " ".join(os.environ.get(name, "") for name in INDEX_SETTINGS)
    hosts = {urlsplit(url.split("=")[-1]).hostname for url in settings.split()}
    return [*REGISTRIES, *(host for host in hosts if host and host not in LOOPBACK)]


def test_no_file_names_a_package_registry() -> None:
    hosts = registry_hosts()

    assert [place for place, line in lines() if any(host in line.lower() for host in hosts)] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert [place for place, line in lines() if MACHINE_PATH.search(line)] == []


@pytest.mark.parametrize("home", ["ro" + "ot", "wo" + "rk/main", "home/" + "ann", "Us" + "ers/ann"])
def test_a_path_of_a_machine_is_recognised(home: str) -> None:
    assert MACHINE_PATH.search(f"see '/{home}/notes'")


@pytest.mark.parametrize("text", ["/runs/42", "a/wo" + "rk", "https://example.com/ro" + "ot"])
def test_other_paths_are_left_alone(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_without_git_the_tree_itself_is_read() -> None:
    found = set(walk(ROOT))

    assert {ROOT / "pyproject.toml", ROOT / ".ci" / "run", Path(__file__)} <= found
    assert not [file for file in found if ".venv" in file.parts]
