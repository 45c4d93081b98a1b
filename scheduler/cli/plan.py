"""`plan` and `drift`: how the file and the database differ, seen from either side."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import click

from scheduler.actions.comparing import Change, Verb, shown_change
from scheduler.actions.config_check import check_batches
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import cell, one_line, print_json, say, warn
from scheduler.cli.session import Session, pass_session
from scheduler.config import LoadedConfig
from scheduler.domain.batch import canary_words
from scheduler.domain.timestamps import display_time
from scheduler.tools.definitions.drift import Drift, list_drift
from scheduler.tools.definitions.growth import Growth
from scheduler.tools.definitions.outlook import Outlook
from scheduler.tools.definitions.plan import DAYS_AHEAD, DefinitionPlan, plan_definitions, plan_view

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
            raise CommandEnded(_USAGE, one_line(error.format_message())) from None


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
    loaded = loaded_file(session)
    planned = session.ask(plan_definitions, loaded.config, prune=prune, file_id=loaded.file_id)
    if as_json:
        print_json(plan_view(planned))
    else:
        for line in plan_lines(planned):
            say(line)
    for finding in check_batches(loaded.config, session.environ, now=session.clock()):
        warn(finding.sentence)
    if not planned.is_empty:
        raise CommandEnded(CHANGES)


@click.command(cls=DiffCommand)
@json_option
@pass_session
def drift(session: Session, as_json: bool) -> None:
    """
    Show where the database differs from the file, and who did it.

    Who is known, but for edits of the file itself. Exit code 0: nothing; 2:
    something drifted; 64: usage; others: errors.
    """
    config = loaded_file(session).config
    with session.reading() as conn:
        differences = list_drift(conn, config)
    if as_json:
        print_json(differences)
    else:
        for difference in differences:
            say(_drift_line(difference))
        if not differences:
            click.echo("the database is as the file says", err=True)
    if differences:
        raise CommandEnded(CHANGES)


def loaded_file(session: Session) -> LoadedConfig:
    """Return what a file that is there says; the command ends without one."""
    loaded = session.load()
    if loaded.path is None:
        raise CommandEnded(
            ExitCode.REFUSED, "there is no configuration file to apply: name one with -c"
        )
    return loaded


def plan_lines(planned: "DefinitionPlan") -> Iterator[str]:
    """Yield a plan as a diff: + created, ~ updated, - deleted; then what is due otherwise."""
    marks = {Verb.CREATED: "+", Verb.UPDATED: "~", Verb.DELETED: "-"}
    for change in planned.changes:
        if change.verb in marks:
            yield f"{marks[change.verb]} {change.subject}"
            yield from _column_lines(change)
    for change in planned.changes:
        if change.verb is Verb.LEFT_ALONE:
            yield f"  {change.subject} is not in the file: left alone (--prune deletes it)"
        elif change.verb is Verb.PAUSED:
            yield f"! {change.subject} is not in the file any more: paused (--prune deletes it)"
    if planned.waiting:
        yield "waiting runs of deleted schedules, which are skipped:"
        yield from (
            f"    run {run.id} of {run.schedule}, due {display_time(run.due_at)}"
            for run in planned.waiting
        )
    if not planned.is_empty:
        yield from _outlook_lines(planned)
    counted = Counter(change.verb for change in planned.changes)
    verbs = (*marks, *([Verb.PAUSED] if counted[Verb.PAUSED] else []), Verb.UNCHANGED)
    yield ", ".join(f"{counted[verb]} {verb}" for verb in verbs)


def _column_lines(change: "Change") -> Iterator[str]:
    for column, (before, after) in shown_change(change).columns.items():
        if change.verb is Verb.CREATED:
            yield f"    {column}: {cell(after)}"
        else:
            yield f"    {column}: {cell(before)} -> {cell(after)}"
        if column == "canary" and after is not None:
            yield f"    {canary_words(after)}"


def _outlook_lines(planned: "DefinitionPlan") -> Iterator[str]:
    yield f"due in the next {DAYS_AHEAD} days:"
    yield from (f"    {_outlook_line(outlook)}" for outlook in planned.outlooks)
    yield from (f"    {name}: never due, all its times have passed" for name in planned.never_due)
    if planned.uncounted:
        yield f"    {planned.uncounted} more schedules change; they were not counted"
    fires = (
        f"{', '.join(planned.fires_at_once)} fires at once: it was invalid and owes a run"
        if planned.fires_at_once
        else "none fires because of this"
    )
    yield f"    {_sum_words(planned)}; {fires}"
    yield from _growth_lines(planned.growth)


def _growth_lines(growth: Growth | None) -> Iterator[str]:
    """Yield what a month costs more, and what it comes to of each budget."""
    if growth is None:
        yield "    what a month costs more was not forecast: there are too many schedules"
        return
    money = f", {growth.more_money:+,.2f} of money" if growth.more_money else ""
    if growth.more_page_loads:
        yield f"    {growth.more_page_loads:+,d} page loads a month{money}"
    for budget in growth.budgets:
        spent = f", spent on {display_time(budget.spent_at)}" if budget.spent_at else ""
        yield (
            f"    budget {budget.budget} ({budget.mode}): a month comes to"
            f" {budget.old_percent:g} % -> {budget.new_percent:g} % of it{spent}"
        )


def _sum_words(planned: "DefinitionPlan") -> str:
    if not planned.is_whole:
        return "there is no sum: not all was counted"
    runs, moved = planned.sums
    return f"in sum {runs:+d} runs, {moved} moved"


def _outlook_line(outlook: "Outlook") -> str:
    before, after = (
        "never" if moment is None else display_time(moment)
        for moment in (outlook.old_next_fire_at, outlook.new_next_fire_at)
    )
    upcoming = f"next {after}" if before == after else f"next {before} -> {after}"
    cut = "" if outlook.is_whole else f" (counted up to {display_time(outlook.counted_until)})"
    return (
        f"{outlook.schedule}: {outlook.more_runs:+d} runs, {outlook.moved} moved; {upcoming}{cut}"
    )


def _drift_line(difference: "Drift") -> str:
    if difference.column is None:
        what = "is in the file only" if difference.in_file else "is in the database only"
    else:
        values = f"{cell(difference.in_database)}, in the file {cell(difference.in_file)}"
        what = f"{difference.column}: in the database {values}"
    changed = difference.changed
    by = (
        f"; {changed.by} ({changed.action}) at {display_time(changed.happened_at)}"
        if changed
        else ""
    )
    return f"{difference.table}.{difference.name} {what}{by}"
