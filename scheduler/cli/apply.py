"""`apply`: the definitions of the file become rows."""

from collections import Counter
from functools import partial

import click

from scheduler.actions.apply import apply_definitions
from scheduler.actions.comparing import Change, Verb, shown_change
from scheduler.cli.lazy import Command
from scheduler.cli.options import ask_if_needed, json_option, yes_option
from scheduler.cli.plan import loaded_file, plan_lines, prune_option
from scheduler.cli.render import cell, print_json, say
from scheduler.cli.session import Session, pass_session
from scheduler.config import LoadedConfig
from scheduler.tools.definitions.plan import plan_definitions, refuse_growth


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Only show what would change; see also `plan`.")
@prune_option
@click.option(
    "--accept-account-change",
    is_flag=True,
    help="Let an account that is there send elsewhere, or with another token.",
)
@click.option(
    "--accept-growth",
    is_flag=True,
    help="Let a month cost more than its budgets, as `plan` tells.",
)
@yes_option
@json_option
@pass_session
def apply(
    session: Session,
    dry_run: bool,
    prune: bool,
    accept_account_change: bool,
    accept_growth: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Write the file's definitions to the database, all or nothing.

    A schedule that this file had and has no more is paused, until it is back or resumed. What
    else is not in the file is left alone: it may be another file's. --prune deletes both, and
    asks first. Applying fires nothing and lifts nobody else's pause. A daemon does this at its
    start and at SIGHUP, without --prune.
    An account that is there keeps where it sends and with which token, unless told otherwise.
    What makes a month cost more than a budget is refused without --accept-growth.
    """
    loaded = loaded_file(session)
    if not accept_growth and not dry_run:
        session.ask(refuse_growth, loaded.config, prune=prune, file_id=loaded.file_id)
    act = partial(
        session.act,
        apply_definitions,
        loaded.config,
        file_id=loaded.file_id,
        prune=prune,
        accept_account_change=accept_account_change,
        expected=_tell_deletions(session, loaded) if prune and not dry_run else None,
        dry_run=dry_run,
    )
    changes = ask_if_needed(act, yes=yes or dry_run)
    if as_json:
        print_json([shown_change(change) for change in changes])
    else:
        _print(changes, dry_run=dry_run)


def _tell_deletions(session: Session, loaded: LoadedConfig) -> list[Change]:
    """Show what would be done where that deletes; return the changes, which are agreed to."""
    planned = session.ask(plan_definitions, loaded.config, prune=True, file_id=loaded.file_id)
    if any(change.verb is Verb.DELETED for change in planned.changes):
        for line in plan_lines(planned):
            say(line, err=True)
    return planned.changes


def _print(changes: "list[Change]", *, dry_run: bool) -> None:

    counted = Counter(change.verb for change in changes)
    for change in changes:
        if change.verb in (Verb.CREATED, Verb.UPDATED, Verb.DELETED):
            say(f"{change.verb} {change.subject}")
        if change.verb is Verb.UPDATED:
            for column, (before, after) in shown_change(change).columns.items():
                say(f"    {column}: {cell(before)} -> {cell(after)}")
    for change in changes:
        if change.verb is Verb.LEFT_ALONE:
            say(f"left alone {change.subject}: not in the file")
        elif change.verb is Verb.PAUSED:
            say(f"paused {change.subject}: not in the file any more (--prune deletes it)")
    seldom = [verb for verb in (Verb.DELETED, Verb.PAUSED) if counted[verb]]
    told = [Verb.CREATED, Verb.UPDATED, *seldom]
    made = ", ".join(f"{counted[verb]} {verb}" for verb in told)
    note = " (dry run: nothing was written)" if dry_run else ""
    say(f"{made}, {counted[Verb.UNCHANGED]} unchanged{note}")
