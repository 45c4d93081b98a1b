"""`backfill`: occurrences of the past that have no run."""

import click

from scheduler.actions.guards import MOST_AT_ONCE
from scheduler.cli.completion import Named
from scheduler.cli.lazy import Command
from scheduler.cli.options import (
    Member,
    Moment,
    ask_if_needed,
    confirm,
    json_option,
    past_pauses_option,
    yes_option,
)
from scheduler.cli.progress import working
from scheduler.cli.render import print_json, print_table, say, warn
from scheduler.cli.session import Session, pass_session, person
from scheduler.domain.errors import Conflict
from scheduler.domain.timestamps import display_time
from scheduler.domain.written_times import WrittenTime
from scheduler.tools.calendar.backfill import (
    Ask,
    Backfill,
    backfill_view,
    prepare_backfill,
    write_backfill,
)
from scheduler.tools.calendar.choose_backfill import Reprocess
from scheduler.views.opening import Database
from scheduler.views.schedules import zone_of


@click.command(cls=Command)
@click.argument("schedule", type=Named("schedules"))
@click.option("--from", "start", type=Moment(), required=True, help="From this time on.")
@click.option(
    "--to", "end", type=Moment(), required=True, help="Up to this time, or day, included."
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
@past_pauses_option
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@yes_option
@json_option
@pass_session
def backfill(
    session: Session,
    schedule: str,
    start: WrittenTime,
    end: WrittenTime,
    max_concurrent: int,
    reprocess: Reprocess,
    past_pauses: bool,
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
    with session.database() as db:
        with db.reading() as conn, working():
            ask = Ask(
                schedule=schedule,
                start=start.at(session.now(conn), zone_of(conn, schedule)),
                end=end.end(session.now(conn), zone_of(conn, schedule)),
                reprocess=reprocess,
                max_concurrent=max_concurrent,
                past_pauses=past_pauses,
            )
            prepared = prepare_backfill(
                conn, ask, now=session.now(conn), files=session.input_files()
            )
        _tell(prepared, to_stderr=as_json or not dry_run)
        ids = [] if dry_run or not prepared.chosen else _write(session, db, prepared, yes=yes)
    if as_json:
        print_json(backfill_view(prepared, ids))
    elif dry_run:
        print_table(backfill_view(prepared, ids).chosen, ("due_at", "retry_of"), empty="nothing")
        for refusal in prepared.refusals:
            warn(f"this would be refused: {refusal}")
        click.echo("dry run: nothing was written")
    elif ids:
        say(f"wrote {_count(len(ids), 'run')}: {ids[0]} to {ids[-1]}")


def _write(session: Session, db: Database, prepared: Backfill, *, yes: bool) -> list[int]:
    if prepared.refusals:
        raise Conflict("; ".join(prepared.refusals))
    if prepared.runs <= MOST_AT_ONCE:  # of more, no slip of the keyboard is asked about
        confirm(f"Send {_count(prepared.runs, 'run')}?", yes=yes)
    config = session.load().config

    def write(confirmed: bool) -> list[int]:
        with working(), db.writing() as conn:
            return write_backfill(
                conn,
                prepared,
                config=config,
                by=person(),
                now=session.now(conn),
                confirmed=confirmed,
            )

    return ask_if_needed(write, yes=yes)


def _tell(prepared: "Backfill", *, to_stderr: bool) -> None:
    new = sum(occurrence.over is None for occurrence in prepared.chosen)
    again = len(prepared.chosen) - new
    lines = [
        f"{_count(prepared.occurrences, 'occurrence')} of {prepared.ask.schedule}:"
        f" {new} without a run, {again} to be sent again; {_count(prepared.runs, 'run')},"
        f" {_count(prepared.ask.max_concurrent, 'occurrence')} at once,"
        f" batch {prepared.batch.name} as it is"
    ]
    if prepared.chosen:
        first, last = prepared.chosen[0].due_at, prepared.chosen[-1].due_at
        lines.append(f"the first was due {display_time(first)}, the last {display_time(last)}")
    if prepared.schedule.paused_at is not None and not prepared.ask.past_pauses:
        lines.append("the schedule is paused: they wait until it is resumed")
    for line in lines:
        say(line, err=to_stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
