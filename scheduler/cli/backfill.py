"""`backfill`: occurrences of the past that have no run."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from scheduler.cli.exit_codes import Ended, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import Member, Moment, confirm, json_option, yes_option
from scheduler.cli.render import print_json
from scheduler.cli.session import Session, pass_session, person
from scheduler.domain.moments import moment_text
from scheduler.domain.reprocess import Reprocess

if TYPE_CHECKING:
    from scheduler.actions.backfill import Backfill
    from scheduler.storage.database import Database

MOST_ASKED: Final = 1_000
"""More runs than this are written only with --yes: no slip of the keyboard may cost that much."""


@click.command(cls=Command)
@click.argument("schedule")
@click.option(
    "--from", "start", type=Moment(keep_wall=True), required=True, help="From this time on."
)
@click.option(
    "--to", "end", type=Moment(keep_wall=True), required=True, help="Up to this time, included."
)
@click.option(
    "--max-concurrent",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many occurrences may be under way at once.",
)
@click.option(
    "--reprocess",
    type=Member(Reprocess),
    default=Reprocess.NONE.value,
    show_default=True,
    help="Also send again those whose run failed, or all that ended.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@yes_option
@json_option
@pass_session
def backfill(
    session: Session,
    schedule: str,
    start: datetime,
    end: datetime,
    max_concurrent: int,
    reprocess: Reprocess,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Send occurrences of the past that have no run.

    Those of before the schedule existed, and those that were skipped: with the batch as it is
    now, in order, however late. Times without an offset are in the schedule's zone. It says
    what it will do and asks; more than 1000 runs need --yes. Doing it twice adds nothing.
    """
    from scheduler.actions.backfill import Ask, prepare_backfill
    from scheduler.actions.timetables import instant_in

    with session.database() as db:
        with db.reading() as conn:
            ask = Ask(
                schedule=schedule,
                start=instant_in(conn, schedule, start),
                end=instant_in(conn, schedule, end),
                reprocess=reprocess,
                max_concurrent=max_concurrent,
            )
            prepared = prepare_backfill(conn, ask, now=session.now(conn))
        _tell(prepared, to_stderr=as_json)
        ids = [] if dry_run or not prepared.chosen else _write(session, db, prepared, yes=yes)
    if as_json:
        print_json(_view(prepared, ids))
    elif dry_run:
        click.echo("dry run: nothing was written")
    elif ids:
        click.echo(f"wrote {_count(len(ids), 'run')}: {ids[0]} to {ids[-1]}")


def _write(session: Session, db: "Database", prepared: "Backfill", *, yes: bool) -> list[int]:
    from scheduler.actions.backfill import write_backfill
    from scheduler.actions.fallbacks import fallbacks_of

    if prepared.runs > MOST_ASKED and not yes:
        raise Ended(
            ExitCode.REFUSED,
            f"these are {prepared.runs} runs: more than {MOST_ASKED} are written only with --yes",
        )
    confirm(f"Send {_count(prepared.runs, 'run')}?", yes=yes)
    fallbacks = fallbacks_of(session.load().config)
    with db.writing() as conn:
        return write_backfill(
            conn, prepared, fallbacks=fallbacks, by=person(), now=session.now(conn)
        )


def _tell(prepared: "Backfill", *, to_stderr: bool) -> None:
    new = sum(one.over is None for one in prepared.chosen)
    again = len(prepared.chosen) - new
    lines = [
        f"{_count(prepared.occurrences, 'occurrence')} of {prepared.ask.schedule}:"
        f" {new} without a run, {again} to be sent again; {_count(prepared.runs, 'run')},"
        f" {_count(prepared.ask.max_concurrent, 'occurrence')} at once,"
        f" batch {prepared.batch.name} as it is"
    ]
    if prepared.chosen:
        first, last = prepared.chosen[0].due_at, prepared.chosen[-1].due_at
        lines.append(f"the first was due {moment_text(first)}, the last {moment_text(last)}")
    if prepared.schedule.paused_at is not None:
        lines.append("the schedule is paused: they wait until it is resumed")
    for line in lines:
        click.echo(line, err=to_stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _view(prepared: "Backfill", ids: list[int]) -> dict[str, object]:
    return {
        "schedule": prepared.ask.schedule,
        "from": prepared.ask.start,
        "to": prepared.ask.end,
        "reprocess": prepared.ask.reprocess,
        "max_concurrent": prepared.ask.max_concurrent,
        "occurrences": prepared.occurrences,
        "runs": prepared.runs,
        "chosen": [
            {"due_at": one.due_at, "retry_of": None if one.over is None else one.over.id}
            for one in prepared.chosen
        ],
        "written": ids,
    }
