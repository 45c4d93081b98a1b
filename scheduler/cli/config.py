"""`config`: is the file right, and what may it hold."""

from collections.abc import Mapping, Sequence

import click

from scheduler.actions.config_check import check_named
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.progress import working
from scheduler.cli.render import one_line, print_json, say
from scheduler.cli.session import NO_FILE, Session, pass_session
from scheduler.config import json_schema
from scheduler.domain.errors import ConfigError

_COUNTED = ("accounts", "calendars", "queues", "collectors", "batches", "schedules", "budgets")


@click.group(cls=Group)
def config() -> None:
    """The configuration file."""


@config.command()
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file instead.")
@json_option
@pass_session
def check(session: Session, schema: bool, as_json: bool) -> None:
    """
    Say whether the file is right, or all that is wrong.

    A secret that cannot be read here and now is a warning. A batch that cannot, or whose file is
    not there, is a problem: its runs would fail, and the exit code is 1.
    """
    if schema:
        print_json(json_schema())
        return
    try:
        loaded = session.load()
    except ConfigError as wrong:
        if as_json:
            _print_json(wrong.source, problems=wrong.problems)
        raise

    with working():
        named = list(check_named(loaded.config, session.environ, now=session.clock()))
    warnings = [*loaded.warnings, *(one.sentence for one in named if not one.prevents)]
    problems = [one.sentence for one in named if one.prevents]
    counts = {name: len(getattr(loaded.config, name)) for name in _COUNTED}
    if as_json:
        _print_json(loaded.path, counts=counts, warnings=warnings, problems=problems)
    else:
        held = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        verdict = "not ok" if problems else "ok"
        say(f"{verdict}: {loaded.path or NO_FILE}: {held or 'no definitions'}")
        for warning in warnings:
            say(f"warning: {one_line(warning)}")
        for problem in problems:
            say(f"problem: {one_line(problem)}")
    if problems:
        raise CommandEnded(ExitCode.REFUSED)


def _print_json(
    path: object,
    *,
    counts: Mapping[str, int] | None = None,
    warnings: Sequence[str] = (),
    problems: Sequence[str] = (),
) -> None:
    print_json({"path": path, "counts": counts, "warnings": warnings, "problems": problems})
