"""`config`: is the file right, and what may it hold."""

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import one_line, print_json
from scheduler.cli.session import NO_FILE, Session, pass_session
from scheduler.domain.errors import ConfigError

_COUNTED = ("accounts", "calendars", "queues", "collectors", "batches", "schedules")


@click.group(cls=Group)
def config() -> None:
    """The configuration file."""


@config.command()
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file instead.")
@json_option
@pass_session
def check(session: Session, schema: bool, as_json: bool) -> None:
    """
    Say whether the file is right, or all that is wrong.

    What it names and cannot be read here and now is a warning: secrets, and batches' files.
    """
    if schema:
        from scheduler.config import json_schema

        print_json(json_schema())
        return
    try:
        loaded = session.load()
    except ConfigError as wrong:
        if as_json:
            print_json({"path": wrong.source, "problems": wrong.problems})
        raise
    from scheduler.actions.config_check import check_named

    named = check_named(loaded.config, session.environ, now=session.clock())
    warnings = [*loaded.warnings, *named]
    counts = {name: len(getattr(loaded.config, name)) for name in _COUNTED}
    if as_json:
        print_json({"path": loaded.path, "counts": counts, "warnings": warnings, "problems": ()})
        return
    source = loaded.path or NO_FILE
    held = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    click.echo(f"ok: {source}: {held or 'no definitions'}")
    for warning in warnings:
        click.echo(f"warning: {one_line(warning)}")
