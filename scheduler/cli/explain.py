"""`explain`: what a time is to a schedule, and why."""

from datetime import datetime

import click

from scheduler.cli.completion import Named
from scheduler.cli.options import Moment, TimeCommand, json_option
from scheduler.cli.render import one_line, print_json, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.timestamps import display_time
from scheduler.domain.written_times import WrittenTime
from scheduler.tools.calendar.explain import explain_time
from scheduler.tools.calendar.explain_instant import Explained, Neighbour
from scheduler.tools.calendar.next import dst_words


@click.command(cls=TimeCommand)
@click.argument("schedule", type=Named("schedules"))
@click.argument("time", type=Moment())
@json_option
@pass_session
def explain(session: Session, schedule: str, time: WrittenTime, as_json: bool) -> None:
    """
    Say why a SCHEDULE fired, or not, at a TIME.

    TIME is any instant, past or to come, in ISO 8601 or as `yesterday 02:00`, `-12h` or `12h ago`;
    without an offset it is wall-clock time in the schedule's zone. The verdict is one of a closed
    list, and so is the reason.
    """
    # What is due is due at a whole second, and none of less is shown: `12s ago` is one, too.
    moment = session.wall(time, schedule).replace(microsecond=0)
    explained = session.ask(explain_time, schedule, moment)
    if as_json:
        print_json(explained)
        return
    if explained.note is not None:
        say(explained.note)
    for answer in explained.answers:
        _print(answer)


def _print(answer: Explained) -> None:
    local = datetime.fromisoformat(answer.instant_local)
    say(f"{local:%a %Y-%m-%d %H:%M:%S %z} ({display_time(answer.instant_at)})")
    say(f"  {answer.verdict.value.replace('_', ' ')}: {one_line(answer.sentence)}")
    if answer.dst is not None:
        say(f"  clock change: {dst_words(answer.dst)}")
    for label, near in (("before it", answer.previous), ("after it", answer.following)):
        say(f"  {label}: {_near_text(near)}")


def _near_text(near: Neighbour | None) -> str:
    if near is None:
        return "none"
    run = near.run
    became = "" if run is None else f", run {run.id} {run.state}, {run.reason}"
    return f"{display_time(near.due_at)}{became}"
