"""`apply`: the definitions of the file become rows."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import Ended, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import cell, print_json
from scheduler.cli.session import Session, pass_session

if TYPE_CHECKING:
    from scheduler.actions.apply import Change


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@json_option
@pass_session
def apply(session: Session, dry_run: bool, as_json: bool) -> None:
    """
    Write the file's definitions to the database.

    What is not in the file is left alone, and applying fires nothing. A daemon does this at its
    start and at SIGHUP.
    """
    config = session.load()
    if config.path is None:
        raise Ended(ExitCode.REFUSED, "there is no configuration file to apply: name one with -c")
    changes = _apply(session, dry_run=dry_run)
    if as_json:
        print_json(changes)
    else:
        _print(changes, dry_run=dry_run)


def _apply(session: Session, *, dry_run: bool) -> "list[Change]":
    from scheduler.actions.apply import apply_definitions

    with session.writing() as conn:
        changes = apply_definitions(conn, session.load().config, now=session.now(conn))
        if dry_run:
            conn.rollback()
    return changes


def _print(changes: "list[Change]", *, dry_run: bool) -> None:
    from scheduler.actions.apply import Verb

    counted = Counter(change.verb for change in changes)
    for change in changes:
        if change.verb in (Verb.CREATED, Verb.UPDATED):
            click.echo(f"{change.verb} {change.table}.{change.name}")
        for column, (before, after) in change.columns.items():
            click.echo(f"    {column}: {_short(before)} -> {_short(after)}")
    for change in changes:
        if change.verb is Verb.LEFT_ALONE:
            click.echo(f"left alone {change.table}.{change.name}: not in the file")
    made = ", ".join(f"{counted[verb]} {verb}" for verb in (Verb.CREATED, Verb.UPDATED))
    note = " (dry run: nothing was written)" if dry_run else ""
    click.echo(f"{made}, {counted[Verb.UNCHANGED]} unchanged{note}")


def _short(value: Any) -> str:
    text = cell(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"
