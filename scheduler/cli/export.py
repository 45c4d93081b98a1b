"""`export`: the database's definitions as a configuration."""

import os
import re
from pathlib import Path

import click

from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.render import say, warn
from scheduler.cli.session import Session, pass_session
from scheduler.tools.definitions.export import Export, export_definitions
from scheduler.views.status import list_unexported


@click.command(cls=Command)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to a new file, and calendars that came from iCalendar files beside it.",
)
@click.option("--bare", is_flag=True, help="Only the definitions, not on the ground of the file.")
@pass_session
def export(session: Session, output: Path | None, bare: bool) -> None:
    """
    Print the database's definitions as TOML for `apply`.

    Where there is a configuration file, what is the same there stays as it is written, comments
    and order included.
    """
    loaded = session.load()
    known = None
    if loaded.path is not None and not bare:
        known = loaded.path.read_bytes().decode("utf-8-sig")
    with session.reading() as conn:
        found = export_definitions(
            conn, known=known, config=None if known is None else loaded.config
        )
        stays = list_unexported(conn, now=session.now(conn))
    if stays:
        warn(f"not in it, for they are no definitions: {', '.join(stays)}, and the history")
    if output is None:
        if found.calendars:
            names = ", ".join(found.calendars)
            raise CommandEnded(
                ExitCode.REFUSED, f"{names}: calendars need files of their own: use -o"
            )
        click.echo(_without_password(found.text), nl=False)
        return
    _write(output, found)
    say(f"wrote {', '.join([str(output), *found.calendars])}", err=True)


def _write(output: Path, found: "Export") -> None:
    files = {output: _without_password(found.text)}
    files |= {output.parent / name: text for name, text in found.calendars.items()}
    for path in files:
        if path.exists():
            raise CommandEnded(ExitCode.REFUSED, f"{path} is there already: name a new file")
    for path, text in files.items():
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(text.encode())


def _without_password(text: str) -> str:
    """Leave out the password of the database's URL, and say so; it belongs elsewhere."""
    left_out, count = _PASSWORD.subn(r"\1***@", text)
    if count:
        click.echo(
            "warning: the database's password is left out (***): keep it in PGPASSFILE", err=True
        )
    return left_out


_PASSWORD = re.compile(r"""(postgresql(?:\+\w+)?://[^:/?@\s"']*:)[^@\s"']+@""")
