"""`batches`: named lists of inputs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scheduler.actions.batches import import_batch
from scheduler.cli.completion import Named
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import answer, one_line, print_fields, print_json, print_table, say, warn
from scheduler.cli.session import Session, pass_session
from scheduler.domain.errors import NeedsConfirmation
from scheduler.domain.request import SendAs
from scheduler.views.batches import BatchDiff, BatchView, diff_batch, list_batches, show_batch


@click.group(cls=Group)
def batches() -> None:
    """Batches: named lists of inputs."""


@batches.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the batches and where their inputs are."""
    with session.reading() as conn:
        views = list_batches(conn)
    if as_json:
        print_json(views)
        return
    rows = [
        {"name": batch.name, "inputs": batch.file or _count(batch), "send as": batch.send_as}
        for batch in views
    ]
    print_table(rows, ("name", "inputs", "send as"), empty="no batches")


def _count(batch: BatchView) -> str:
    if isinstance(batch.inputs, str):
        return "not JSON"
    count = len(batch.inputs or ()) if isinstance(batch.inputs, list | None) else 1
    return f"{count} in the database"


@batches.command("import")
@click.argument("name", type=Named("batches"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--send-as",
    type=click.Choice(["json", "csv", "multipart"]),
    default="json",
    show_default=True,
    help="The kind of body they are sent as.",
)
@click.option("--replace", "overwrite", is_flag=True, help="Replace the inputs of an earlier one.")
@json_option
@pass_session
def import_(
    session: Session, /, *, name: str, file: Path, send_as: str, overwrite: bool, as_json: bool
) -> None:
    """
    Make a batch NAME of the inputs in FILE.

    They are copied into the database: later edits of the file change nothing, and a
    configuration file never touches it. FILE is a .csv, .json, .jsonl, .ndjson or .txt.
    """
    try:
        count = session.act_outside(
            import_batch,
            name,
            file,
            send_as=SendAs(send_as),
            overwrite=overwrite,
            files=session.input_files(),
            warn=warn,
        )
    except NeedsConfirmation as needed:
        raise CommandEnded(ExitCode.REFUSED, f"{needed}: say --replace if that is meant") from None
    answer({"name": name, "input_count": count}, f"batch {name}: {count} inputs", as_json=as_json)


@batches.command("show")
@click.argument("name", type=Named("batches"))
@click.option(
    "--limit", type=click.IntRange(min=0), default=5, show_default=True, help="Inputs to print."
)
@json_option
@pass_session
def show(session: Session, /, *, name: str, limit: int, as_json: bool) -> None:
    """Show what a batch would send now, and by which rules."""
    contents = session.ask(show_batch, name, limit=limit, files=session.input_files())
    if as_json:
        print_json(contents)
        return
    print_fields(contents, without=("first", "warnings"))
    _print_inputs("", contents.first)
    for warning in contents.warnings:
        warn(warning)


@batches.command("diff")
@click.argument("name", type=Named("batches"))
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
    if run_id is not None and file is not None:
        raise click.UsageError("--run and --file exclude each other")
    difference = session.ask(
        diff_batch, name, run_id=run_id, file=file, files=session.input_files()
    )
    if as_json:
        print_json(difference)
    else:
        _print_diff(difference)


def _print_diff(diff: BatchDiff) -> None:
    say(f"against {one_line(diff.against)}: {diff.old_count} inputs then, {diff.new_count} now")
    if diff.is_empty:
        click.echo("the same inputs")
        return
    say(f"{diff.added_count} added, {diff.removed_count} removed")
    _print_inputs("+ ", diff.new)
    _print_rest(diff.added_count - len(diff.new), "added")
    _print_inputs("- ", diff.gone)
    _print_rest(diff.removed_count - len(diff.gone), "removed")


def _print_inputs(mark: str, inputs: Sequence[dict[str, Any]]) -> None:
    for record in inputs:
        say(f"{mark}{one_line(json.dumps(record, ensure_ascii=False))}")


def _print_rest(count: int, what: str) -> None:
    if count:
        say(f"  and {count} more {what}")
