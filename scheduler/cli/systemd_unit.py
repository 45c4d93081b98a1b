"""`systemd-unit`: the unit file, to be put where systemd looks."""

import click

from scheduler.cli.examples import systemd_unit_file


@click.command("systemd-unit")
def systemd_unit() -> None:
    """Print the unit file; its head says where it goes."""
    click.echo(systemd_unit_file().read_text(encoding="utf-8"), nl=False)
