"""Tab completion: the script for a shell, and names out of the database where it can be read."""

import os
from contextlib import redirect_stderr
from pathlib import Path
from typing import Final

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from scheduler.cli.lazy import COMPLETE_VARIABLE, Command, given_config
from scheduler.cli.session import Session
from scheduler.domain.errors import SchedulerError
from scheduler.views.names import list_names

_SHELLS: Final = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Print what makes a SHELL complete commands, options and names.

    \b
    bash: dca-scheduler completion bash > /etc/bash_completion.d/dca-scheduler
    zsh:  dca-scheduler completion zsh > "${fpath[1]}/_dca-scheduler"
    fish: dca-scheduler completion fish > ~/.config/fish/completions/dca-scheduler.fish
    """
    click.echo(completion_script(context, shell))


def completion_script(context: click.Context, shell: str) -> str:
    """Return what makes *shell* complete."""
    root = context.find_root()
    complete = _SHELLS[shell](root.command, {}, "dca-scheduler", COMPLETE_VARIABLE)
    # Not source(): of bash that would call bash to ask for its version.
    return complete.source_template % complete.source_vars()


class Named(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """The name of a row of a definition table, or of a queue."""

    name = "text"

    def __init__(self, table: str) -> None:
        self.table = table

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin so; none where the database cannot be read."""
        try:
            with Path(os.devnull).open("w") as nobody, redirect_stderr(nobody):
                return [CompletionItem(name) for name in self._names(ctx, incomplete)]
        except (SchedulerError, OSError):
            return []

    def _names(self, ctx: click.Context, incomplete: str) -> list[str]:
        session = ctx.find_object(Session) or Session()
        session.config_path = given_config(ctx) or session.config_path
        with session.reading() as conn:
            return list_names(conn, self.table, prefix=incomplete)
