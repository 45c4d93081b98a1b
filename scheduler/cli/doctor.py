"""`doctor`: is everything as it must be? Reads only, beside running daemons."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from scheduler import __version__
from scheduler.cli.exit_codes import Ended, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import one_line, print_fields, print_json
from scheduler.cli.session import NO_FILE, Session, pass_session
from scheduler.cli.status import braked, failing, held_back
from scheduler.domain.records import RunState

if TYPE_CHECKING:
    from scheduler.actions.status import Status
    from scheduler.storage.invariants import Violation


@click.command(cls=Command)
@click.option("--invariants", is_flag=True, help="Only run the queries that must find nothing.")
@json_option
@pass_session
def doctor(session: Session, invariants: bool, as_json: bool) -> None:
    """
    Look for what is wrong or needs a person.

    Reads only, beside running daemons. Ends with 1 if something was found.
    """
    from scheduler.actions.status import read_status
    from scheduler.storage.dialect import database_version
    from scheduler.storage.invariants import INVARIANTS, list_violations

    with session.reading() as conn:
        database = database_version(conn)
        violations = list_violations(conn)
        now = session.now(conn)
        status = read_status(conn, now=now)
    complaints = [] if invariants else _complaints(status, now)
    if as_json:
        print_json(_view(violations, complaints))
    else:
        if not invariants:
            print_fields(_versions(session, *database))
        for complaint in complaints:
            click.echo(complaint)
        for violation in violations:
            _print_violation(violation)
        if not violations:
            click.echo(f"all {len(INVARIANTS)} invariants hold")
    if violations or complaints:
        raise Ended(ExitCode.REFUSED)


def _versions(session: Session, database: str, version: str) -> dict[str, object]:
    return {
        "dca-scheduler": __version__,
        "python": sys.version.split()[0],
        database: version,
        "configuration": session.find_config() or NO_FILE,
    }


def _complaints(status: "Status", now: datetime) -> list[str]:
    complaints = [] if status.daemons else ["no daemon was seen in the last two minutes"]
    complaints += [
        f"daemon {daemon.pid} on {daemon.host} is in trouble: {daemon.trouble}"
        for daemon in status.daemons
        if daemon.trouble is not None
    ]
    complaints += [
        f"account {one.account.name} is paused: {one.brake.paused_reason}"
        for one in status.accounts
        if one.brake is not None and one.brake.paused_at is not None
    ]
    complaints += braked(status, now)
    complaints += [f"schedule {one.name} is set aside: {one.error}" for one in status.set_aside]
    complaints += failing(status)
    complaints += held_back(status)
    waiting = status.open_runs.get(RunState.NEEDS_ATTENTION, 0)
    if waiting:
        complaints.append(f"{waiting} runs need attention: runs list --state needs_attention")
    return [one_line(complaint) for complaint in complaints]


def _view(violations: "list[Violation]", complaints: list[str]) -> dict[str, object]:
    return {
        "violations": [
            {
                "invariant": one.invariant.name,
                "sentence": one.invariant.sentence,
                "rows": [{key: str(value) for key, value in row.items()} for row in one.rows],
            }
            for one in violations
        ],
        "complaints": complaints,
    }


def _print_violation(violation: "Violation") -> None:
    click.echo(f"BROKEN {violation.invariant.name}: {violation.invariant.sentence}")
    for row in violation.rows:
        click.echo("  " + one_line(", ".join(f"{key} {value}" for key, value in row.items())))
