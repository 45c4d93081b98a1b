"""`changes`: who changed what through this program."""

from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import cell, print_json, print_table
from scheduler.cli.session import Session, pass_session

if TYPE_CHECKING:
    from scheduler.storage.audit import RecordedChange

_COLUMNS = ("at", "who", "action", "subject", "what")


@click.group(cls=Group)
def changes() -> None:
    """Changes: who did what, by a command or the daemon."""


@changes.command("list")
@click.option(
    "--subject", metavar="SUBJECT", help="Only of this, such as schedules.nightly or schedules."
)
@click.option("--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True)
@json_option
@pass_session
def list_(session: Session, subject: str | None, limit: int, as_json: bool) -> None:
    """List changes, the newest first. What an SQL client changed is not among them."""
    from scheduler.storage.audit import list_changes

    with session.reading() as conn:
        found = list_changes(conn, subject=subject, limit=limit)
    if as_json:
        print_json([_view(one) for one in found])
    else:
        print_table([{**_view(one), "what": _what(one)} for one in found], _COLUMNS, empty="none")


def _view(one: "RecordedChange") -> dict[str, object]:
    return {
        "id": one.id,
        "at": one.at,
        "who": one.who,
        "action": one.action,
        "subject": one.subject,
        "columns": one.columns(),
    }


def _what(one: "RecordedChange") -> str:
    texts = []
    for column, values in one.columns().items():
        before, after = values if isinstance(values, list) and len(values) == 2 else (None, values)
        texts.append(f"{column}: {cell(before)} -> {cell(after)}")
    return "; ".join(texts)
