"""`plan` and `drift`: how the file and the database differ, seen from either side."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from scheduler.cli.exit_codes import Ended, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import cell, one_line, print_json
from scheduler.cli.session import Session, pass_session
from scheduler.domain.moments import moment_text

if TYPE_CHECKING:
    from scheduler.actions.comparing import Change
    from scheduler.actions.drift import Drift
    from scheduler.actions.plan import DefinitionPlan
    from scheduler.config import Config
    from scheduler.domain.outlook import Outlook

CHANGES: Final = 2
"""The exit code where there are differences; wrong usage of these commands is EX_USAGE, 64."""

_USAGE: Final = 64

prune_option = click.option(
    "--prune", is_flag=True, help="Delete what came from a file and is not in it any more."
)


class DiffCommand(Command):
    """A command whose exit code 2 means that there are differences, and nothing else."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments; wrong usage must not look like a difference."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise Ended(_USAGE, one_line(error.format_message())) from None


@click.command(cls=DiffCommand)
@prune_option
@json_option
@pass_session
def plan(session: Session, prune: bool, as_json: bool) -> None:
    """
    Show what `apply` would change, in rows and in runs.

    Nothing is written. Exit code 0: nothing to do; 2: there are changes; 64: usage; others:
    errors.
    """
    from scheduler.actions.plan import plan_definitions

    config = file_config(session)
    with session.reading() as conn:
        found = plan_definitions(conn, config, now=session.now(conn), prune=prune)
    if as_json:
        print_json(_plan_view(found))
    else:
        for line in plan_lines(found):
            click.echo(line)
    if not found.is_empty:
        raise Ended(CHANGES)


@click.command(cls=DiffCommand)
@json_option
@pass_session
def drift(session: Session, as_json: bool) -> None:
    """
    Show where the database differs from the file, and who did it.

    Who is known where it was changed by a command of this program. Exit code 0: nothing; 2:
    something drifted; 64: usage; others: errors.
    """
    from scheduler.actions.drift import list_drift

    config = file_config(session)
    with session.reading() as conn:
        found = list_drift(conn, config)
    if as_json:
        print_json(found)
    else:
        for one in found:
            click.echo(_drift_line(one))
        if not found:
            click.echo("the database is as the file says", err=True)
    if found:
        raise Ended(CHANGES)


def file_config(session: Session) -> "Config":
    """Return the configuration of a file that is there; the command ends without one."""
    loaded = session.load()
    if loaded.path is None:
        raise Ended(ExitCode.REFUSED, "there is no configuration file to apply: name one with -c")
    return loaded.config


def change_view(change: "Change") -> dict[str, object]:
    """Return a change as JSON tells it, without inputs and credentials."""
    return {
        "table": change.table,
        "name": change.name,
        "verb": change.verb,
        "columns": _shown(change),
    }


def plan_lines(found: "DefinitionPlan") -> Iterator[str]:
    """Yield a plan as a diff: + created, ~ updated, - deleted; then what is due otherwise."""
    from scheduler.actions.comparing import Verb

    marks = {Verb.CREATED: "+", Verb.UPDATED: "~", Verb.DELETED: "-"}
    for change in found.changes:
        if change.verb in marks:
            yield f"{marks[change.verb]} {change.subject}"
            yield from _column_lines(change)
    for change in found.changes:
        if change.verb is Verb.LEFT_ALONE:
            yield f"  {change.subject} is not in the file: left alone (--prune deletes it)"
    if found.waiting:
        yield "waiting runs of deleted schedules, which are skipped:"
        yield from (
            f"    run {run.id} of {run.schedule}, due {moment_text(run.due_at)}"
            for run in found.waiting
        )
    if not found.is_empty:
        yield from _outlook_lines(found)
    counts = [sum(one.verb is verb for one in found.changes) for verb in (*marks, Verb.UNCHANGED)]
    yield "{} created, {} updated, {} deleted, {} unchanged".format(*counts)


def _column_lines(change: "Change") -> Iterator[str]:
    from scheduler.actions.comparing import Verb

    for column, (before, after) in _shown(change).items():
        if change.verb is Verb.CREATED:
            yield f"    {column}: {cell(after)}"
        else:
            yield f"    {column}: {cell(before)} -> {cell(after)}"


def _shown(change: "Change") -> Mapping[str, tuple[Any, Any]]:
    from scheduler.actions.comparing import shown

    return {
        column: (shown(column, before), shown(column, after))
        for column, (before, after) in change.columns.items()
    }


def _outlook_lines(found: "DefinitionPlan") -> Iterator[str]:
    from scheduler.actions.plan import DAYS_AHEAD

    yield f"due in the next {DAYS_AHEAD} days:"
    yield from (f"    {_outlook_line(one)}" for one in found.outlooks)
    yield from (f"    {name}: never due, all its times have passed" for name in found.never_due)
    if found.uncounted:
        yield f"    {found.uncounted} more schedules change; they were not counted"
    fires = (
        f"{', '.join(found.fires_at_once)} fires at once: it was set aside and owes a run"
        if found.fires_at_once
        else "none fires because of this"
    )
    yield f"    {_sum_words(found)}; {fires}"


def _sum_words(found: "DefinitionPlan") -> str:
    if not found.is_whole:
        return "there is no sum: not all was counted"
    runs, moved = _sums(found)
    return f"in sum {runs:+d} runs, {moved} moved"


def _sums(found: "DefinitionPlan") -> tuple[int, int]:
    return sum(one.runs for one in found.outlooks), sum(one.moved for one in found.outlooks)


def _outlook_line(one: "Outlook") -> str:
    before, after = (
        "never" if moment is None else moment_text(moment)
        for moment in (one.next_before, one.next_after)
    )
    upcoming = f"next {after}" if before == after else f"next {before} -> {after}"
    cut = "" if one.is_whole else f" (counted up to {moment_text(one.until)})"
    return f"{one.schedule}: {one.runs:+d} runs, {one.moved} moved; {upcoming}{cut}"


def _plan_view(found: "DefinitionPlan") -> dict[str, object]:
    runs, moved = _sums(found) if found.is_whole else (None, None)
    return {
        "changes": [change_view(change) for change in found.changes],
        "due": found.outlooks,
        "never_due": found.never_due,
        "due_runs": runs,
        "due_moved": moved,
        "uncounted_schedules": found.uncounted,
        "fires_at_once": found.fires_at_once,
        "waiting_runs": [run.id for run in found.waiting],
    }


def _drift_line(one: "Drift") -> str:
    if one.column is None:
        what = "is in the file only" if one.in_file else "is in the database only"
    else:
        values = f"{cell(one.in_database)}, in the file {cell(one.in_file)}"
        what = f"{one.column}: in the database {values}"
    changed = one.changed
    by = f"; {changed.who} ({changed.action}) at {moment_text(changed.at)}" if changed else ""
    return f"{one.table}.{one.name} {what}{by}"
