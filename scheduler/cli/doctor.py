"""`doctor`: is everything as it must be? Reads only, beside running daemons."""

import sys
from datetime import datetime

import click

from scheduler import __version__
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option, lost_since_option
from scheduler.cli.render import one_line, print_fields, print_json, say
from scheduler.cli.session import NO_FILE, Session, pass_session
from scheduler.config import Config
from scheduler.domain.errors import ConfigError
from scheduler.views.health import HealthView, read_health


@click.command(cls=Command)
@click.option("--invariants", is_flag=True, help="Only run the queries that must find nothing.")
@lost_since_option
@json_option
@pass_session
def doctor(session: Session, invariants: bool, since: datetime | None, as_json: bool) -> None:
    """
    Look for what is wrong or needs a person.

    Reads only, beside running daemons. Ends with 1 if something was found.
    """
    config, config_error = _config(session)
    health = session.ask(
        read_health,
        config=config,
        config_error=config_error,
        only_invariants=invariants,
        since=since,
    )
    if as_json:
        print_json(health)
    else:
        if not invariants:
            print_fields(_versions(session, health))
        _print(health)
    if not health.is_well:
        raise CommandEnded(ExitCode.REFUSED)


def _config(session: Session) -> tuple[Config | None, str | None]:
    """Return the configuration, and a sentence where it cannot be loaded or is anybody's."""
    try:
        config, file = session.load().config, session.find_config()
        if file is not None and file.stat().st_mode & 0o002:
            return config, f"{file} may be written by every user: chmod o-w it"
        return config, None
    except ConfigError as error:
        return None, f"{error.source} cannot be loaded: see dca-scheduler config check"


def _versions(session: Session, health: HealthView) -> dict[str, object]:
    from scheduler.domain.timetable import ZONE_DATA

    return {
        "dca-scheduler": __version__,
        "python": sys.version.split()[0],
        health.database: health.database_version,
        "zone data": ZONE_DATA,
        "configuration": session.find_config() or NO_FILE,
        "cannot notice": health.not_noticed,
    }


def _print(health: HealthView) -> None:
    for complaint in health.complaints:
        say(complaint)
    for violation in health.violations:
        say(f"BROKEN {violation.invariant}: {violation.sentence}")
        for row in violation.rows:
            say("  " + one_line(", ".join(f"{key} {value}" for key, value in row.items())))
    if not health.violations and health.invariant_count:
        say(f"all {health.invariant_count} invariants hold")
