"""`export`: the database's definitions as a configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scheduler.cli.exit_codes import Ended, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.session import Session, pass_session

if TYPE_CHECKING:
    from scheduler.actions.export import Export


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
    from scheduler.actions.export import export_definitions

    loaded = session.load()
    known = None
    if loaded.path is not None and not bare:
        known = loaded.path.read_bytes().decode("utf-8-sig")
    with session.reading() as conn:
        found = export_definitions(
            conn, known=known, config=None if known is None else loaded.config
        )
    if output is None:
        if found.calendars:
            names = ", ".join(found.calendars)
            raise Ended(ExitCode.REFUSED, f"{names}: calendars need files of their own: use -o")
        click.echo(found.text, nl=False)
        return
    _write(output, found)
    click.echo(f"wrote {', '.join([str(output), *found.calendars])}", err=True)


def _write(output: Path, found: "Export") -> None:
    files = {output: found.text}
    files |= {output.parent / name: text for name, text in found.calendars.items()}
    for path in files:
        if path.exists():
            raise Ended(ExitCode.REFUSED, f"{path} is there already: name a new file")
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", newline="")
