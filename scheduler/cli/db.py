"""`db`: the database as a whole: its schema, and what becomes of it."""

from functools import partial

import click

from scheduler.actions.grant_reader import grant_reader
from scheduler.actions.schema import upgrade_schema
from scheduler.actions.settle_restore import (
    forget_restore,
    require_moved,
    settle_moved,
    settle_restore,
)
from scheduler.cli.db_backup import backup, copy, restore
from scheduler.cli.db_upkeep import prune, size, vacuum
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Group
from scheduler.cli.options import ask_if_needed, json_option, yes_option
from scheduler.cli.progress import working
from scheduler.cli.render import answer, print_json, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.timestamps import display_time
from scheduler.views.database_check import check_database
from scheduler.views.opening import find_revision


@click.group(cls=Group)
def db() -> None:
    """The database as a whole: its schema, backups, a move."""


for command in (backup, restore, copy, size, prune, vacuum):
    db.add_command(command)


@db.command()
@click.option("--no-backup", is_flag=True, help="Keep no copy of an SQLite file before.")
@json_option
@pass_session
def upgrade(session: Session, no_backup: bool, as_json: bool) -> None:
    """
    Bring the schema to the newest one; all of it or nothing.

    Of an SQLite file a copy is kept beside it; of PostgreSQL make a backup before. Daemons of an
    earlier version that still run are told to stop.
    """
    keep = 0 if no_backup else session.database_settings().upgrade_backups
    with session.raw_database() as database, working():
        done = upgrade_schema(database, keep=keep, now=session.clock())
    before, after = done.revision_before, done.revision
    kept = f"; before, it was {done.backup}" if done.backup else ""
    text = f"{before or 'empty'} -> {after}{kept}"
    answer(done, text if before != after else f"{after} is the newest already", as_json=as_json)


@db.command("settle-restore")
@click.option(
    "--moved",
    metavar="REASON",
    help="Nothing was sent since the copy was made, as no daemon worked: go on at once.",
)
@yes_option
@json_option
@pass_session
def settle_restore_(session: Session, moved: str | None, yes: bool, as_json: bool) -> None:
    """
    Go on with what was restored or moved; asks first.

    Everything is frozen from the backup's last moment on. Runs that waited in it may have been
    sent since: the next daemon looks for them among the upstream's jobs, adopts what it can
    prove, and tells in `status` which jobs are in no run. Then backfill what is missing, and
    `thaw all`, which is refused until it has looked. With --moved none of this.
    """
    if moved is not None:
        with session.database() as database:
            require_moved(database)
            ask_if_needed(partial(session.act, settle_moved, reason=moved), yes=yes)
            forget_restore(database)
        answer({"moved": moved}, "it is held no more: start a daemon", as_json=as_json)
        return
    with session.database() as database:
        settle = partial(session.act, settle_restore, file=database.file)
        settled = ask_if_needed(settle, yes=yes)
        forget_restore(database)
    answer(
        settled,
        f"all is frozen since {display_time(settled.frozen_since)}, {len(settled.looked_for)} runs"
        " are looked for at the upstream: start a daemon, see `dca-scheduler status` for the jobs"
        " that are in no run, then `dca-scheduler thaw all`",
        as_json=as_json,
    )


@db.command("grant-reader")
@click.argument("role")
@json_option
@pass_session
def grant_reader_(session: Session, role: str, as_json: bool) -> None:
    """
    Let a ROLE of PostgreSQL read everything but tokens.

    The role is there already, and may not write. After an upgrade, once more: tables that are new
    are nobody's to read. Of an SQLite file, docs/installation.md says how a colleague reads it.
    """
    granted = session.act(grant_reader, role)
    answer(granted, f"{role} may read {len(granted.tables)} tables", as_json=as_json)


@db.command()
@json_option
@pass_session
def current(session: Session, as_json: bool) -> None:
    """Print the schema that the database has, or "empty"."""
    with session.raw_database() as database:
        revision = find_revision(database)
    answer({"revision": revision}, revision or "empty", as_json=as_json)


@db.command()
@json_option
@pass_session
def check(session: Session, as_json: bool) -> None:
    """
    Read the whole database, and say what is wrong with it.

    Its schema is the newest, an SQLite file is undamaged, no row names another that is not there,
    and the invariants of `doctor` hold. Ends with 78 for another schema or damage, 1 for the rest.
    """
    checked = session.ask(check_database)
    if as_json:
        print_json(checked)
    else:
        for problem in checked.problems:
            say(problem)
        if not checked.problems:
            click.echo("ok")
    if checked.is_damaged:
        raise CommandEnded(ExitCode.CONFIGURATION)
    if checked.problems:
        raise CommandEnded(ExitCode.REFUSED)
