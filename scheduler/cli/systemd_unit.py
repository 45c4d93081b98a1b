"""`systemd-unit`: the unit file, to be put where systemd looks."""

import sys
from pathlib import Path

import click

from scheduler.cli.examples import UNITS, systemd_unit_file

_PROGRAM = "/usr/local/bin/dca-scheduler"
# The folders of which the unit sees nothing.
_HIDDEN = ("home", "root", "tmp")


@click.command("systemd-unit")
@click.argument("unit", type=click.Choice(UNITS), default=UNITS[0])
def systemd_unit(unit: str) -> None:
    """
    Print the unit file; its head says where it goes.

    Or that of its socket, or of the watchdog and its timer. It starts the program from where this
    one is.
    """
    program = _this_program()
    text = systemd_unit_file(unit).read_text(encoding="utf-8")
    click.echo(text.replace(f"ExecStart={_PROGRAM} ", f"ExecStart={program} "), nl=False)
    if program.split("/")[1] in _HIDDEN:
        click.echo(
            f"warning: the unit may not read {program}: install dca-scheduler where every user"
            " may, such as a virtual environment in /opt, and adapt ExecStart",
            err=True,
        )


def _this_program() -> str:
    script = Path(sys.argv[0])
    if script.name == "dca-scheduler" and script.exists():
        return str(script.absolute())
    beside = Path(sys.executable).with_name("dca-scheduler")
    return str(beside) if beside.exists() else _PROGRAM
