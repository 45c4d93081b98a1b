"""`schedules override`, `overrides` and `restore`: a field is otherwise for a while."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import Moment, json_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session, person
from scheduler.domain.durations import parse_duration
from scheduler.domain.moments import moment_text

if TYPE_CHECKING:
    from scheduler.domain.schedule_override import Override

_COLUMNS = ("schedule", "field", "value", "until", "made_by", "made_at", "reason")


@click.command(cls=Command)
@click.argument("name")
@click.argument("assignment", metavar="FIELD=VALUE")
@click.option("--until", type=Moment(), help="When it ends.")
@click.option("--for", "lasting", metavar="DURATION", help="How long it holds, such as 2h.")
@click.option("--reason", required=True, help="Why, for whoever looks next.")
@pass_session
def override(
    session: Session,
    name: str,
    assignment: str,
    until: datetime | None,
    lasting: str | None,
    reason: str,
) -> None:
    """
    Let a field of a schedule be otherwise for a while.

    FIELD is batch, deadline, priority, misfire_grace, catch_up, overlap, max_attempts,
    no_downloads, version or name; `FIELD=` is what it is by default. It concerns what comes due
    from now on; `apply` does not touch it.
    """
    field, equals, value = assignment.partition("=")
    if not equals:
        raise click.UsageError(f"write FIELD=VALUE, not {assignment!r}")
    if (until is None) == (lasting is None):
        raise click.UsageError("say when it ends: --until or --for, one of the two")
    from scheduler.actions.overrides import override_field

    with session.writing() as conn:
        now = session.now(conn)
        end = now + parse_duration(lasting) if lasting is not None else until
        assert end is not None  # noqa: S101 - one of the two was given
        override_field(
            conn, name, field, value or None, until=end, by=person(), reason=reason, now=now
        )
    click.echo(f"schedule {name}: {field} is {value or 'the default'} until {moment_text(end)}")


@click.command(cls=Command)
@click.argument("name", required=False)
@json_option
@pass_session
def overrides(session: Session, name: str | None, as_json: bool) -> None:
    """List the overrides in force, of one schedule or of all."""
    from scheduler.actions.overrides import list_overrides

    with session.reading() as conn:
        found = list_overrides(conn, name, now=session.now(conn))
    if as_json:
        print_json(found)
    else:
        print_overrides(found)


def print_overrides(found: "list[Override]") -> None:
    """Print overrides as a table."""
    rows = [{name: getattr(one, name) for name in _COLUMNS} for one in found]
    print_table(rows, _COLUMNS, empty="nothing is overridden")


@click.command(cls=Command)
@click.argument("name")
@click.argument("field", required=False)
@pass_session
def restore(session: Session, name: str, field: str | None) -> None:
    """End the override of a field, or all overrides of a schedule."""
    from scheduler.actions.overrides import restore_fields

    with session.writing() as conn:
        restored = restore_fields(conn, name, field, by=person(), now=session.now(conn))
    click.echo(f"schedule {name}: {', '.join(restored)} restored")
