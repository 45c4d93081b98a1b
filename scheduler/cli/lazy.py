"""Commands that are imported when they are asked for, and know the option -c."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from scheduler.cli.session import Session


def _keep_config(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.ensure_object(Session).config_path = path


def config_option() -> click.Option:
    """Return the option -c: the one of a command stands above the one before its name."""
    return click.Option(
        ["-c", "--config"],
        metavar="FILE",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_keep_config,
        help="The configuration file.  [default: $DCA_SCHEDULER_CONFIG, ./config.toml,"
        " /etc/dca-scheduler/config.toml]",
    )


class Command(click.Command):
    """A command that takes -c."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(config_option())


class Group(click.Group):
    """A noun and its verbs, all of which take -c."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(config_option())


class LazyGroup(Group):
    """A group whose commands are named as `module:attribute`, and listed in that order."""

    def __init__(self, *args: Any, places: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = dict(places or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of that name."""
        place = self.places.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command
