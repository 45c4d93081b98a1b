"""`batches`: named lists of inputs."""

import json

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session
from scheduler.domain.records import Batch


@click.group(cls=Group)
def batches() -> None:
    """Batches: named lists of inputs."""


@batches.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the batches and where their inputs are."""
    from scheduler.storage import definitions

    with session.reading() as conn:
        found = definitions.list_batches(conn)
    if as_json:
        print_json(found)
        return
    rows = [
        {"name": one.name, "inputs": one.file or _count(one), "send as": one.send_as}
        for one in found
    ]
    print_table(rows, ("name", "inputs", "send as"), empty="no batches")


def _count(batch: Batch) -> str:
    try:
        inputs = json.loads(batch.inputs or "[]")
    except ValueError:
        return "not JSON"
    count = len(inputs) if isinstance(inputs, list) else 1
    return f"{count} in the database"
