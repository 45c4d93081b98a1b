"""`audit`: what was expected against what happened, on one screen."""

from datetime import datetime

import click

from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option, since_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session
from scheduler.domain.durations import format_duration, parse_duration
from scheduler.domain.timestamps import display_time
from scheduler.tools.calendar.audit import LATE_AFTER, AuditedSchedule, AuditReport, read_audit

_COUNTS = ("late", "unready", "missed", "skipped", "failed", "partial", "cancelled", "unknown")


@click.command(cls=Command)
@since_option("What was due then or later.  [default: -7d]")
@click.option(
    "--late-after",
    metavar="DURATION",
    default=format_duration(LATE_AFTER),
    show_default=True,
    help="What was sent so much too late is late.",
)
@json_option
@pass_session
def audit(session: Session, since: datetime | None, late_after: str, as_json: bool) -> None:
    """
    Compare what was due with what happened.

    Of all schedules, only where the two differ: late, not ready by its ready_by, missed, skipped,
    failed, partial, cancelled, or unknown. Ends with 1 if anything is.
    """
    report = session.ask(read_audit, since=since, late_after=parse_duration(late_after))
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report.exit_code:
        raise CommandEnded(ExitCode.REFUSED)


def _print(report: AuditReport) -> None:
    shown = [name for name in _COUNTS if any(_count(one, name) for one in report.schedules)]
    rows = [
        {"schedule": one.schedule, "due": one.expected_count, "good": one.good_count}
        | {name: _count(one, name) or None for name in shown}
        | {"last_good": one.last_good_at, "run": one.last_run_id, "why": _why(one)}
        for one in report.schedules
    ]
    if rows:
        print_table(rows, tuple(rows[0]), empty="")
    span = f"from {display_time(report.since)} to {display_time(report.until)}"
    as_expected = report.schedule_count - len(rows)
    click.echo(
        f"{as_expected} of {report.schedule_count} schedules as expected {span}:"
        f" {report.good_count} of {report.expected_count} occurrences ended well"
    )
    if not report.is_whole:
        click.echo("too much was due to tell which occurrences have no row: give a later --since")


def _count(one: AuditedSchedule, name: str) -> int:
    count: int = getattr(one, f"{name}_count")
    return count


def _why(one: AuditedSchedule) -> str | None:
    parts = [] if one.why is None else [one.why]
    if one.unaccounted_count:
        parts.append(f"{one.unaccounted_count} have no row")
    if one.latest_seconds is not None:
        parts.append(f"the latest {one.latest_seconds:.0f}s late")
    return "; ".join(parts) or None
