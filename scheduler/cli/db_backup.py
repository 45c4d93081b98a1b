"""`db backup`, `restore` and `copy`: the database as a whole, to and from elsewhere."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import click

from scheduler.actions.backup import back_up
from scheduler.actions.copy_database import copy_database
from scheduler.actions.restore import restore_backup
from scheduler.cli.lazy import Command
from scheduler.cli.options import ask_if_needed, json_option, yes_option
from scheduler.cli.progress import counting
from scheduler.cli.render import answer
from scheduler.cli.session import Session, by, pass_session, person
from scheduler.daemon.instance_lock import instance_lock
from scheduler.domain.errors import InvalidInput
from scheduler.domain.timestamps import display_time
from scheduler.views.opening import Database, require_ready


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@pass_session
def backup(session: Session, file: Path, as_json: bool) -> None:
    """
    Write everything into one new file, beside running daemons.

    It is an SQLite file, of PostgreSQL too, of one moment; read back before it gets its name. A
    daemon that is started on it sends nothing until `db settle-restore`.
    """
    with session.database() as db:
        now = _now(session, db)
        with counting() as progress:
            made = back_up(db, file, now=now, progress=progress)
    text = (
        f"{file}: {_counted(made.rows)}, {made.bytes} bytes, as of {display_time(made.backup_at)}"
    )
    answer(made, text, as_json=as_json)


@click.command(cls=Command)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@yes_option
@json_option
@pass_session
def restore(session: Session, file: Path, yes: bool, as_json: bool) -> None:
    """
    Put a backup in the place of the database.

    It asks where that is not empty. Stop the daemons before. Nothing is sent from it until
    `db settle-restore` has said how to go on: the upstream may have been sent more since. The
    SQLite file of before is kept.
    """
    with alone(session) as db:
        now = _now(session, db)
        with counting() as progress:
            restored = ask_if_needed(
                lambda confirmed: restore_backup(
                    db, file, by=person(), now=now, replace=confirmed, progress=progress
                ),
                yes=yes,
            )
    kept = f"; the file of before is {restored.kept}" if restored.kept else ""
    text = (
        f"the database is that of {display_time(restored.backup_at)}, and is held: see"
        f" `dca-scheduler db settle-restore --help`{kept}"
    )
    answer(restored, text, as_json=as_json)


@click.command(cls=Command)
@click.argument("url")
@click.option(
    "--beside-daemon",
    is_flag=True,
    help="Copy while a daemon goes on: the copy is held, as a restored backup is.",
)
@json_option
@pass_session
def copy(session: Session, url: str, beside_daemon: bool, as_json: bool) -> None:
    """
    Copy everything into another, empty database.

    SQLite or PostgreSQL, in either direction. All of it or nothing, read back and compared by
    count and checksum. URL is as in the configuration; one with a password is better named,
    `env:VARIABLE`. Stop the daemons before, and let none start on the old database afterwards:
    both would send.
    """
    way_out = "stop it first, or copy --beside-daemon"
    with session.database() if beside_daemon else alone(session, way_out) as db:
        require_ready(db)
        now = _now(session, db)
        with counting() as progress:
            copied = copy_database(
                db, _url(session, url), now=now, beside_daemon=beside_daemon, progress=progress
            )
    rows = {table.table: table.rows for table in copied.tables}
    then = "it is held until `db settle-restore`" if copied.is_held else "set database.url to it"
    answer(copied, f"{copied.target}: {_counted(rows)}, read back alike; {then}", as_json=as_json)


@contextmanager
def alone(session: Session, way_out: str = "stop it first") -> Iterator[Database]:
    """Give the database; no daemon has an SQLite file, or takes it, meanwhile."""
    with ExitStack() as stack:
        db = session.raw_database()
        if db.file is not None:
            me = f"{by()} with pid {os.getpid()} on {socket.gethostname()}"
            stack.enter_context(instance_lock(db.file, me=me, way_out=way_out))
        yield stack.enter_context(db)


def _now(session: Session, db: Database) -> datetime:
    if db.file is not None:
        return session.clock()
    with db.reading() as conn:
        return session.now(conn)


def _url(session: Session, url: str) -> str:
    kind, colon, name = url.partition(":")
    if kind != "env" or not colon:
        return url
    found = session.environ.get(name)
    if not found:
        raise InvalidInput(f"the environment variable {name} is not set")
    return found


def _counted(rows: Mapping[str, int]) -> str:
    return f"{sum(rows.values()):,} rows in {len(rows)} tables"
