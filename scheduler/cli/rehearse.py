"""`rehearse`: what the file's schedules would send in the days to come, with nothing sent."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import Moment, json_option
from scheduler.cli.progress import counting
from scheduler.cli.render import one_line, print_json, print_table
from scheduler.cli.session import Session, pass_session
from scheduler.config import Config
from scheduler.domain.durations import format_duration, parse_duration
from scheduler.domain.errors import InvalidInput, SchemaError
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable import find_zone
from scheduler.domain.weekly import WeeklyStretch
from scheduler.domain.written_times import WrittenTime
from scheduler.logs import configure_logging
from scheduler.rehearsal.rehearse import RehearsalPlan, rehearse
from scheduler.rehearsal.report import Rehearsal
from scheduler.views.rehearsing import Past, read_past

_HOUR = timedelta(hours=1)
_COUNTS = ("due", "sent", "inputs", "page_loads", "money", "skipped", "failed")
_SCHEDULES = ("schedule", *_COUNTS, "open", "late", "most_late")
_DAYS = ("day", *_COUNTS)
_LINES = ("collector", "queue", "most_waiting", "at", "longest_wait", "most_running")
_RUNS = ("due_at", "triggered_at", "schedule", "queue", "state", "reason", "detail")


class Share(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """A share as people write it: `5%`."""

    name = "percent"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Take `5%` or `0.5%`, or refuse it as wrong usage."""
        if isinstance(value, float):
            return value
        try:
            share = float(str(value).strip().removesuffix("%")) / 100
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share: write it like 5%", param, ctx)
        return share


@click.command("rehearse", cls=Command)
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True)
@click.option("--from", "start", type=Moment(), help="Begin at this time.  [default: now]")
@click.option(
    "--outage",
    "outages",
    multiple=True,
    metavar="STRETCH",
    help="When no daemon runs, each week: 'fri 19:00..sun 13:00', in the file's default zone.",
)
@click.option(
    "--upstream-outage",
    "upstream_outages",
    multiple=True,
    metavar="STRETCH",
    help="When the upstream cannot be reached, likewise.",
)
@click.option("--fail", type=Share(), default="0%", help="So many of the collections fail.")
@click.option(
    "--lose", type=Share(), default="0%", help="Of so many accepted triggers the answer is lost."
)
@click.option(
    "--throttle", type=Share(), default="0%", help="So many of the triggers are answered with 429."
)
@click.option(
    "--duration",
    "durations",
    multiple=True,
    metavar="[COLLECTOR=]20m",
    help="How long collections take.  [default: as long as the last did]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="What chance is drawn from.")
@click.option("--runs", "with_runs", is_flag=True, help="List each run as well.")
@json_option
@pass_session
def rehearse_(
    session: Session,
    days: int,
    start: WrittenTime | None,
    outages: Sequence[str],
    upstream_outages: Sequence[str],
    fail: float,
    lose: float,
    throttle: float,
    durations: Sequence[str],
    seed: int,
    with_runs: bool,
    as_json: bool,
) -> None:
    """
    Run the schedules for days, in seconds, with nothing sent.

    The daemon's own code decides, against an upstream that is made up, in a database that is gone
    afterwards: what would be sent, how late, what waits for what, and what is skipped. Nobody's
    open runs have a part in it, and the upstream has no other users. The same seed comes to the
    same.
    """
    loaded = session.load()
    config = loaded.config
    zone = find_zone(config.defaults.timezone)
    now = session.clock()
    length, lengths = _lengths(durations, config)
    plan = RehearsalPlan(
        start=now if start is None else start.at(now, zone),
        days=days,
        outages=[WeeklyStretch.parse(text, zone) for text in outages],
        upstream_outages=[WeeklyStretch.parse(text, zone) for text in upstream_outages],
        fail=fail,
        lose=lose,
        throttle=throttle,
        length=length,
        lengths=lengths,
        seed=seed,
    )
    past = _past(session)
    configure_logging("critical")
    began = session.monotonic()
    with counting() as show:

        def told(done: timedelta) -> None:
            show("hours rehearsed:", done // _HOUR, days * 24)

        rehearsal = rehearse(config, session.environ, plan, past, told)
    if as_json:
        print_json(rehearsal)
    else:
        _print(rehearsal, session.monotonic() - began, with_runs=with_runs)


def _past(session: Session) -> Past:
    """Return what the database knows; a file may be rehearsed before there is one."""
    try:
        with session.reading() as conn:
            return read_past(conn, now=session.clock())
    except SchemaError:
        return Past()


def _lengths(
    texts: Iterable[str], config: Config
) -> tuple[timedelta | None, Mapping[str, timedelta]]:
    """Read `20m` and `NAME=20m`; raises InvalidInput for a collector that the file has not."""
    length: timedelta | None = None
    lengths: dict[str, timedelta] = {}
    for text in texts:
        name, is_named, written = text.rpartition("=")
        if not is_named:
            length = parse_duration(written)
        elif name in config.collectors:
            lengths[name] = parse_duration(written)
        else:
            raise InvalidInput(f"--duration {text}: the file has no collector {name!r}")
    return length, lengths


def _print(rehearsal: Rehearsal, seconds: float, *, with_runs: bool) -> None:
    late = {one.schedule: one for one in rehearsal.schedules}
    rows = [
        {name: getattr(one, name, None) for name in _SCHEDULES}
        | {
            "late": _lasting(late[one.schedule].median_late_seconds),
            "most_late": _lasting(late[one.schedule].most_late_seconds),
        }
        for one in rehearsal.schedules
    ]
    print_table(rows, _SCHEDULES, empty="the file has no schedules")
    click.echo()
    days = [
        {name: getattr(day, name) for name in _DAYS} | {"day": f"{day.day:%a %Y-%m-%d}"}
        for day in rehearsal.days
    ]
    print_table(days, _DAYS, empty="")
    click.echo()
    lines = [
        {
            "collector": line.collector,
            "queue": line.queue,
            "most_waiting": line.most_waiting,
            "at": line.most_waiting_at,
            "longest_wait": _lasting(line.longest_wait_seconds),
            "most_running": line.most_running,
        }
        for line in rehearsal.lines
    ]
    print_table(lines, _LINES, empty="nothing was due")
    if with_runs:
        click.echo()
        print_table(rehearsal.runs, _RUNS, empty="no runs")
    _print_sum(rehearsal, seconds)


def _print_sum(rehearsal: Rehearsal, seconds: float) -> None:
    click.echo()
    for outcome in rehearsal.outcomes:
        click.echo(f"{outcome.count:7} {outcome.state} ({outcome.reason})")
    for note in rehearsal.notes:
        click.echo(one_line(f"note: {note}"), err=True)
    click.echo(
        f"until {display_time(rehearsal.end)}: {rehearsal.due} due, {rehearsal.sent} sent with"
        f" {rehearsal.inputs} inputs (some {rehearsal.page_loads:,} page loads"
        f"{_priced(rehearsal.money)}), {rehearsal.skipped} skipped, {rehearsal.failed} failed,"
        f" {rehearsal.needs_attention} for a person, {rehearsal.open} open at the end"
    )
    click.echo(
        f"rehearsed in {seconds:.1f} s with seed {rehearsal.seed}: nothing was sent", err=True
    )


def _priced(money: float | None) -> str:
    return "" if money is None else f", {money:,.2f} of money"


def _lasting(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return f"{seconds:.1f}s" if seconds < 10 else format_duration(timedelta(seconds=seconds))
