"""`changes`: who changed what through this program."""

from contextlib import suppress
from datetime import datetime

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option, since_option
from scheduler.cli.render import cell, print_json, print_table, tell_more
from scheduler.cli.session import Session, pass_session
from scheduler.views.changes import ChangeView, list_changes

_COLUMNS = ("happened_at", "by", "action", "subject", "what")


@click.group(cls=Group)
def changes() -> None:
    """Changes: who did what, by a command or the daemon."""


@changes.command("list")
@click.option(
    "--subject", metavar="SUBJECT", help="Only of this, such as schedules.nightly or schedules."
)
@click.option("--by", metavar="USER", help="Only what this user did.")
@since_option("Only what was done then or later.")
@click.option("--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True)
@click.option("--before", metavar="ID", type=int, help="Go on after the change of this id.")
@json_option
@pass_session
def list_(
    session: Session,
    subject: str | None,
    by: str | None,
    since: datetime | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List changes, the newest first. What an SQL client did to definitions is by `sql`."""
    with session.reading() as conn:
        page = list_changes(conn, subject=subject, by=by, since=since, limit=limit, before=before)
    if as_json:
        print_json(page)
        return
    rows = [
        {column: getattr(change, column, None) for column in _COLUMNS} | {"what": _what(change)}
        for change in page.items
    ]
    print_table(rows, _COLUMNS, empty="none")
    tell_more(len(rows), page.next)


def _what(change: ChangeView) -> str:
    texts = []
    for column, values in change.columns.items():
        before, after = values if isinstance(values, list) and len(values) == 2 else (None, values)
        texts.append(f"{column}: {_cell(column, before)} -> {_cell(column, after)}")
    return "; ".join(texts)


def _cell(column: str, value: object) -> str:
    """Write a value of the audit, which keeps moments and labels as a row has them, for people."""
    if column == "labels" and isinstance(value, str):
        return cell(value.strip(",").replace(",", ", "))
    if isinstance(value, str) and value.endswith(("Z", "+00:00")):
        with suppress(ValueError):
            return cell(datetime.fromisoformat(value))
    return cell(value)
