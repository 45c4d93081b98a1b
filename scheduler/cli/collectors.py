"""`collectors`: what may be triggered."""

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import print_listing
from scheduler.cli.session import Session, pass_session
from scheduler.views.collectors import list_collectors

_COLUMNS = ("name", "collector_id", "account", "deadline", "no_downloads", "version")


@click.group(cls=Group)
def collectors() -> None:
    """Collectors: the upstream's scrapers that may be triggered."""


@collectors.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the collectors and the defaults of their triggers."""
    with session.reading() as conn:
        rows = list_collectors(conn)
    print_listing(rows, _COLUMNS, empty="no collectors", as_json=as_json)
