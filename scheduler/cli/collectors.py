"""`collectors`: what may be triggered."""

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import json_value, print_json, print_table
from scheduler.cli.session import Session, pass_session


@click.group(cls=Group)
def collectors() -> None:
    """Collectors: the upstream's scrapers that may be triggered."""


@collectors.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the collectors and the defaults of their triggers."""
    from scheduler.storage import definitions

    with session.reading() as conn:
        found = definitions.list_collectors(conn)
    if as_json:
        print_json(found)
        return
    columns = ("name", "collector_id", "account", "deadline", "no_downloads", "version")
    print_table([json_value(one) for one in found], columns, empty="no collectors")
