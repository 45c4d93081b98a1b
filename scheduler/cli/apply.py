"""`apply`: the definitions of the file become rows."""

from collections import Counter
from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import confirm, json_option, yes_option
from scheduler.cli.plan import change_view, file_config, plan_lines, prune_option
from scheduler.cli.render import cell, print_json
from scheduler.cli.session import Session, pass_session, person

if TYPE_CHECKING:
    from scheduler.actions.apply import Change
    from scheduler.config import Config


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Only show what would change; see also `plan`.")
@prune_option
@yes_option
@json_option
@pass_session
def apply(session: Session, dry_run: bool, prune: bool, yes: bool, as_json: bool) -> None:
    """
    Write the file's definitions to the database, all or nothing.

    What is not in the file is left alone, unless --prune, which asks first. Applying fires
    nothing and lifts no pause. A daemon does this at its start and at SIGHUP, without --prune.
    """
    config = file_config(session)
    expected = _asked(session, config, yes=yes) if prune and not dry_run else None
    changes = _apply(session, config, dry_run=dry_run, prune=prune, expected=expected)
    if as_json:
        print_json([change_view(change) for change in changes])
    else:
        _print(changes, dry_run=dry_run)


def _asked(session: Session, config: "Config", *, yes: bool) -> "list[Change]":
    """Show what would be deleted and ask; return the changes that were agreed to."""
    from scheduler.actions.comparing import Verb
    from scheduler.actions.plan import plan_definitions

    with session.reading() as conn:
        found = plan_definitions(conn, config, now=session.now(conn), prune=True)
    deleted = sum(change.verb is Verb.DELETED for change in found.changes)
    if deleted:
        for line in plan_lines(found):
            click.echo(line, err=True)
        skipped = f" and skip {len(found.waiting)} waiting runs" if found.waiting else ""
        confirm(f"Delete {deleted} definitions{skipped}?", yes=yes)
    return found.changes


def _apply(
    session: Session,
    config: "Config",
    *,
    dry_run: bool,
    prune: bool,
    expected: "list[Change] | None",
) -> "list[Change]":
    from scheduler.actions.apply import apply_definitions

    with session.writing() as conn:
        changes = apply_definitions(
            conn, config, by=person(), now=session.now(conn), prune=prune, expected=expected
        )
        if dry_run:
            conn.rollback()
    return changes


def _print(changes: "list[Change]", *, dry_run: bool) -> None:
    from scheduler.actions.apply import Verb
    from scheduler.actions.comparing import shown

    counted = Counter(change.verb for change in changes)
    for change in changes:
        if change.verb in (Verb.CREATED, Verb.UPDATED, Verb.DELETED):
            click.echo(f"{change.verb} {change.subject}")
        if change.verb is Verb.UPDATED:
            for column, values in change.columns.items():
                before, after = (cell(shown(column, value)) for value in values)
                click.echo(f"    {column}: {before} -> {after}")
    for change in changes:
        if change.verb is Verb.LEFT_ALONE:
            click.echo(f"left alone {change.subject}: not in the file")
    told = [Verb.CREATED, Verb.UPDATED, *([Verb.DELETED] if counted[Verb.DELETED] else [])]
    made = ", ".join(f"{counted[verb]} {verb}" for verb in told)
    note = " (dry run: nothing was written)" if dry_run else ""
    click.echo(f"{made}, {counted[Verb.UNCHANGED]} unchanged{note}")
