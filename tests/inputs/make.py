"""A file with inputs, and what is said of it."""

from pathlib import Path

import pytest

from scheduler.domain.errors import InputsError
from scheduler.inputs import read_inputs


def make_file(folder: Path, name: str, content: str | bytes) -> Path:
    """Write *content*, text as UTF-8, and return where."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def problem_of(path: Path) -> str:
    """Return what is wrong with *path*, its folder's name cut."""
    with pytest.raises(InputsError) as caught:
        read_inputs(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def url_lines(*paths: str) -> str:
    """Return a text with a URL of each of *paths* in a line."""
    return "".join(f"https://x.org/{path}\n" for path in paths)
