"""`import crontab`: definitions out of cron + curl."""

import sys
from pathlib import Path

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.output import write_new
from scheduler.cli.render import one_line, print_json, say
from scheduler.domain.errors import InputsError
from scheduler.tools.crontab_import import import_crontab


@click.group("import", cls=Group)
def import_() -> None:
    """Definitions out of what there was before."""


@import_.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the definitions there, to a new file.  [default: standard output]",
)
@click.option("--account", metavar="NAME", default="main", show_default=True)
@click.option("--timezone", metavar="TZ", help="The zone of cron's machine.")
@click.option(
    "--system-crontab/--user-crontab",
    "has_users",
    default=None,
    help="Whether the sixth column names users, as in /etc/crontab.  [default: looked for]",
)
@json_option
def crontab(
    file: Path,
    output: Path | None,
    account: str,
    timezone: str | None,
    has_users: bool | None,
    as_json: bool,
) -> None:
    """
    Turn a crontab of curl lines into definitions.

    Its lines that call this API, by curl or wget, become schedules. FILE is the crontab of a
    user or the system's; - reads standard input. Nothing is run. What cron does otherwise, and
    what is not imported, is said on standard error. No token is written.
    """
    text = _read(file)
    imported = import_crontab(text, account=account, timezone=timezone, has_users=has_users)
    if output is not None:
        write_new(output, imported.text)
    if as_json:
        print_json(imported)
        return
    for warning in imported.warnings:
        say(f"warning: {one_line(warning)}", err=True)
    if output is None:
        click.echo(imported.text, nl=False)
    told = "" if output is None else f" in {output}: look at it, then `config check`"
    say(f"{len(imported.schedules)} schedules{told}", err=output is None)


def _read(file: Path) -> str:
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputsError(f"{file}: is not UTF-8 text") from None
