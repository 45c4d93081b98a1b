"""Help starts fast: it loads nothing that only work needs."""

import subprocess
import sys

import click
import pytest

from scheduler.cli.main import root
from tests.surfaces.rig import ROOT, process_environment, program, spoken

HEAVY = ("sqlalchemy", "alembic", "httpx", "aiohttp", "pydantic", "structlog", "apscheduler")
ALL_HELP = f"""
import sys
from scheduler.__main__ import main
for line in sys.stdin.read().splitlines():
    assert main([*line.split(), "--help"]) == 0
assert main(["--version"]) == 0
print("loaded:", *(name for name in {HEAVY!r} if name in sys.modules))
"""


def command_paths(group: click.Group, *before: str) -> list[tuple[str, ...]]:
    """Return the words of every command below *group*, itself included."""
    context = click.Context(group)
    found = [before]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += command_paths(command, *before, name)
        else:
            found.append((*before, name))
    return found


def test_no_help_loads_what_only_work_needs() -> None:
    paths = command_paths(root)

    done = subprocess.run(
        [sys.executable, "-c", ALL_HELP],
        input="\n".join(map(" ".join, paths)),
        cwd=ROOT,
        env=process_environment({}),
        capture_output=True,
        text=True,
    )

    assert len(paths) > 35
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("path", command_paths(root)[1:], ids=spoken)
def test_every_command_says_what_it_does(path: tuple[str, ...]) -> None:
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found

    assert command.get_short_help_str(limit=62)
    assert not command.get_short_help_str(limit=62).endswith("...")


@pytest.mark.parametrize("path", [("plan",), ("drift",), ("calendar", "lint")], ids=spoken)
def test_commands_for_which_2_is_no_usage_error_say_what_is(path: tuple[str, ...]) -> None:
    said = program(*path, "--help", folder=ROOT).stdout

    assert "64: usage" in " ".join(said.split())
