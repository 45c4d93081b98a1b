"""Help starts fast: it loads nothing that only work needs."""

import subprocess
import sys

import click
import pytest

from scheduler.cli.lazy import LazyGroup
from scheduler.cli.main import root
from tests.surfaces.rig import ROOT, process_environment, program, spoken

HEAVY = ("sqlalchemy", "alembic", "httpx", "aiohttp", "pydantic", "structlog", "apscheduler")
LIST_OF_COMMANDS = f"""
import sys
from scheduler.__main__ import main
for words in (["--help"], ["-c", "x.toml", "--help"], ["--version"], []):
    main(words)
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


def test_the_list_of_commands_loads_nothing_that_only_work_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST_OF_COMMANDS],
        cwd=ROOT,
        env=process_environment({}),
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_the_list_of_commands_says_of_each_what_its_own_help_says() -> None:
    assert isinstance(root, LazyGroup)
    context = click.Context(root)
    commands = {name: root.get_command(context, name) for name in root.list_commands(context)}

    own = {name: command and command.get_short_help_str(100) for name, command in commands.items()}

    assert {name: entry.help for name, entry in root.table.items()} == own


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
