"""`schedules override`, `overrides` and `restore`: a field is otherwise for a while."""

from collections.abc import Sequence
from datetime import datetime

import click

from scheduler.actions.overrides import override_field, restore_fields
from scheduler.cli.completion import Named
from scheduler.cli.lazy import Command
from scheduler.cli.options import ending_options, json_option, reason_option
from scheduler.cli.render import answer, print_listing
from scheduler.cli.session import Session, pass_session
from scheduler.domain.timestamps import display_time
from scheduler.views.schedules import OverrideView, list_overrides

_COLUMNS = ("schedule", "field", "value", "until", "made_by", "made_at", "reason")


@click.command(cls=Command)
@click.argument("name", type=Named("schedules"))
@click.argument("assignment", metavar="FIELD=VALUE")
@ending_options
@reason_option
@json_option
@pass_session
def override(
    session: Session,
    name: str,
    assignment: str,
    until: datetime | None,
    reason: str,
    as_json: bool,
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
    if until is None:
        raise click.UsageError("say when it ends: --until or --for, one of the two")
    in_force = session.act(override_field, name, field, value or None, until=until, reason=reason)
    text = f"schedule {name}: {field} is {value or 'the default'} until {display_time(until)}"
    answer(in_force, text, as_json=as_json)


@click.command(cls=Command)
@click.argument("name", required=False, type=Named("schedules"))
@json_option
@pass_session
def overrides(session: Session, name: str | None, as_json: bool) -> None:
    """List the overrides in force, of one schedule or of all."""
    print_overrides(session.ask(list_overrides, name), as_json=as_json)


def print_overrides(in_force: Sequence[OverrideView], *, as_json: bool = False) -> None:
    """Print overrides as a table."""
    print_listing(in_force, _COLUMNS, empty="nothing is overridden", as_json=as_json)


@click.command(cls=Command)
@click.argument("name", type=Named("schedules"))
@click.argument("field", required=False)
@json_option
@pass_session
def restore(session: Session, name: str, field: str | None, as_json: bool) -> None:
    """End the override of a field, or all overrides of a schedule."""
    ended = session.act(restore_fields, name, field)
    fields = ", ".join(override.field for override in ended)
    answer(ended, f"schedule {name}: {fields} restored", as_json=as_json)
