"""Commands that are imported when they are called, and know the option -c."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from click.shell_completion import CompletionItem

from scheduler.domain.suggestions import did_you_mean

COMPLETE_VARIABLE: Final = "_DCA_SCHEDULER_COMPLETE"
"""What a shell sets to ask for completions."""

_CONFIG: Final = "scheduler.config_path"


def _keep_config(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.meta[_CONFIG] = path


def given_config(context: click.Context) -> Path | None:
    """Return what -c names: that of a command stands above the one before its name."""
    path: Path | None = context.meta.get(_CONFIG)
    return path


def config_option() -> click.Option:
    """Return the option -c."""
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named; of one that there is not, say what may be meant."""
        names = self.list_commands(ctx)
        is_word = args[0] not in names and args[0][:1].isalnum()
        if is_word and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], names)}")
        return super().resolve_command(ctx, args)


class Entry(NamedTuple):
    """Where a command is, as `module:attribute`, and the first sentence of its help."""

    place: str
    help: str


class LazyGroup(Group):
    """A group whose commands stand in a table, listed in its order and imported when called."""

    def __init__(self, *args: Any, table: Mapping[str, Entry] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = dict(table or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of that name."""
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name].place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, with their help, and the options."""
        commands = [
            CompletionItem(name, help=entry.help)
            for name, entry in self.table.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table: no command is imported for that."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.table.items()])
