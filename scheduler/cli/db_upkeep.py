"""`db size`, `prune` and `vacuum`: how large the database is, and how it gets smaller."""

import click

from scheduler.actions.prune import prune as prune_database
from scheduler.actions.prune import rules_of
from scheduler.actions.vacuum import vacuum as vacuum_database
from scheduler.cli.db_backup import alone
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import answer, print_json, print_table, say, warn
from scheduler.cli.session import Session, pass_session
from scheduler.views.database_size import read_database_size


@click.command(cls=Command)
@json_option
@pass_session
def size(session: Session, as_json: bool) -> None:
    """Show rows and bytes of every table, and what is empty."""
    found = session.ask(read_database_size)
    if as_json:
        print_json(found)
        return
    print_table(found.tables, ("table", "row_count", "bytes"), empty="nothing is there")
    if found.file is not None:
        file = found.file
        say(f"file: {file.bytes} bytes, {file.free_bytes} of them empty; log: {file.log_bytes}")
        if file.log_held is not None:
            warn(file.log_held)
    if found.advice is not None:
        warn(found.advice)


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@json_option
@pass_session
def prune(session: Session, dry_run: bool, as_json: bool) -> None:
    """
    Forget what [retention] does not keep.

    Beside running daemons, which do the same each hour: a few hundred rows a transaction. Nothing
    goes that ended within 17 days, is open, or is still needed; counts stay for ever.
    """
    rules = rules_of(session.load().config.retention)
    done = session.act_outside(prune_database, rules, pause=session.pause, dry_run=dry_run)
    rows = ", ".join(f"{rows:,} {table}" for table, rows in done.row_counts.items()) or "nothing"
    verb = "would be forgotten (dry run: nothing was written)" if dry_run else "forgotten"
    answer(done, f"{rows} {verb}", as_json=as_json)


@click.command(cls=Command)
@json_option
@pass_session
def vacuum(session: Session, as_json: bool) -> None:
    """
    Rewrite an SQLite file without its empty pages.

    Needed once for a file of an earlier version, which shrinks by itself from then on. Stop the
    daemon before; there must be room for a second file of that size.
    """
    with alone(session) as db:
        before, after = vacuum_database(db)
    text = f"{before} bytes before, {after} after; it shrinks by itself from now on"
    answer({"bytes_before": before, "bytes_after": after}, text, as_json=as_json)
