"""`batches`: named lists of inputs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import one_line, print_fields, print_json, print_table
from scheduler.cli.session import Session, pass_session, person
from scheduler.domain.records import Batch

if TYPE_CHECKING:
    from scheduler.actions.batches import BatchDiff, BatchView


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


@batches.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--send-as",
    type=click.Choice(["json", "csv", "multipart"]),
    default="json",
    show_default=True,
    help="The kind of body they are sent as.",
)
@click.option("--replace", "overwrite", is_flag=True, help="Replace the inputs of an earlier one.")
@pass_session
def import_(session: Session, /, *, name: str, file: Path, send_as: str, overwrite: bool) -> None:
    """
    Make a batch NAME of the inputs in FILE.

    They are copied into the database: later edits of the file change nothing, and a
    configuration file never touches it. FILE is a .csv, .json, .jsonl, .ndjson or .txt.
    """
    from scheduler.actions.batches import import_batch
    from scheduler.domain.request import SendAs

    with session.writing() as conn:
        count = import_batch(
            conn,
            name,
            file,
            send_as=SendAs(send_as),
            by=person(),
            now=session.now(conn),
            overwrite=overwrite,
        )
    click.echo(f"batch {one_line(name)}: {count} inputs")


@batches.command("show")
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(min=0), default=5, show_default=True, help="Inputs to print."
)
@json_option
@pass_session
def show(session: Session, /, *, name: str, limit: int, as_json: bool) -> None:
    """Show what a batch would send now, and by which rules."""
    from scheduler.actions.batches import show_batch

    with session.reading() as conn:
        view = show_batch(conn, name, limit=limit, now=session.now(conn))
    fields = _fields(view)
    if as_json:
        print_json(fields | {"first": view.first})
        return
    print_fields(fields)
    _print_inputs("", view.first)


def _fields(view: "BatchView") -> dict[str, Any]:
    batch = view.batch
    return {
        "name": batch.name,
        "file": batch.file,
        "send_as": batch.send_as,
        "dedupe": batch.dedupe,
        "max_inputs_per_trigger": batch.max_inputs_per_trigger,
        "required": batch.required,
        "max_change_percent": batch.max_change_percent,
        "count": view.count,
        "duplicates_dropped": view.duplicates,
        "bytes": view.byte_count,
        "triggers": view.parts,
        "fingerprint": view.fingerprint,
    }


@batches.command("diff")
@click.argument("name")
@click.option("--run", "run_id", type=int, metavar="ID", help="Compare with what this run sent.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare with the inputs of this file.",
)
@json_option
@pass_session
def diff(
    session: Session, /, *, name: str, run_id: int | None, file: Path | None, as_json: bool
) -> None:
    """Compare a batch as it is now with what was last sent of it."""
    from scheduler.actions.batches import diff_batch

    if run_id is not None and file is not None:
        raise click.UsageError("--run and --file exclude each other")
    with session.reading() as conn:
        found = diff_batch(conn, name, run_id=run_id, file=file, now=session.now(conn))
    if as_json:
        print_json(found)
        return
    _print_diff(found)


def _print_diff(found: "BatchDiff") -> None:
    click.echo(f"against {one_line(found.against)}: {found.before} inputs then, {found.after} now")
    if found.is_empty:
        click.echo("the same inputs")
        return
    click.echo(f"{found.added} added, {found.removed} removed")
    _print_inputs("+ ", found.new)
    _print_rest(found.added - len(found.new), "added")
    _print_inputs("- ", found.gone)
    _print_rest(found.removed - len(found.gone), "removed")


def _print_inputs(mark: str, inputs: list[dict[str, Any]]) -> None:
    for one in inputs:
        click.echo(f"{mark}{one_line(json.dumps(one, ensure_ascii=False))}")


def _print_rest(count: int, what: str) -> None:
    if count:
        click.echo(f"  and {count} more {what}")
