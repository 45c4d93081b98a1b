"""`db`: the schema of the database."""

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import print_json
from scheduler.cli.session import Session, pass_session


@click.group(cls=Group)
def db() -> None:
    """The schema of the database."""


@db.command()
@pass_session
def upgrade(session: Session) -> None:
    """Bring the schema to the newest one; all of it or nothing."""
    from scheduler.storage import migrate

    with session.raw_database() as database, database.writing() as conn:
        before, after = migrate.upgrade(conn)
    if before == after:
        click.echo(f"{after} is the newest already")
    else:
        click.echo(f"{before or 'empty'} -> {after}")


@db.command()
@json_option
@pass_session
def current(session: Session, as_json: bool) -> None:
    """Print the schema that the database has, or "empty"."""
    revision = _current(session)
    if as_json:
        print_json({"revision": revision})
    else:
        click.echo(revision or "empty")


@db.command()
@pass_session
def check(session: Session) -> None:
    """Exit 0 if the schema is the newest, else 78."""
    with session.database():
        click.echo("ok")


def _current(session: Session) -> str | None:
    from scheduler.storage import migrate

    with session.raw_database() as database:
        if database.file is not None and not database.file.exists():
            return None
        with database.reading() as conn:
            return migrate.current_revision(conn)
