"""`explain`: what a time is to a schedule, and why."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import Moment, json_option
from scheduler.cli.render import one_line, print_json
from scheduler.cli.session import Session, pass_session
from scheduler.domain.moments import moment_text

if TYPE_CHECKING:
    from scheduler.actions.explain import Explanations
    from scheduler.domain.explain import Explained, Neighbour
    from scheduler.domain.records import Run


@click.command(cls=Command)
@click.argument("schedule")
@click.argument("time", type=Moment(keep_wall=True))
@json_option
@pass_session
def explain(session: Session, schedule: str, time: datetime, as_json: bool) -> None:
    """
    Say why a SCHEDULE fired, or not, at a TIME.

    TIME is any instant, past or to come, in ISO 8601; without an offset it is wall-clock time in
    the schedule's zone. The verdict is one of a closed list, and so is the reason.
    """
    from scheduler.actions.explain import explain_time

    with session.reading() as conn:
        found = explain_time(conn, schedule, time, now=session.now(conn))
    if as_json:
        print_json(_view(found))
        return
    if found.note is not None:
        click.echo(one_line(found.note))
    for answer in found.answers:
        _print(found, answer)


def _print(found: "Explanations", answer: "Explained") -> None:
    from scheduler.actions.timetables import dst_words
    from scheduler.domain.timetable import find_zone

    local = answer.at.astimezone(find_zone(found.timezone))
    click.echo(f"{local:%a %Y-%m-%d %H:%M:%S %z} ({moment_text(answer.at)})")
    click.echo(f"  {answer.verdict.value.replace('_', ' ')}: {one_line(answer.sentence)}")
    if answer.dst is not None:
        click.echo(f"  clock change: {dst_words(answer.dst)}")
    for label, near in (("before it", answer.previous), ("after it", answer.following)):
        click.echo(f"  {label}: {_near_text(near)}")


def _near_text(near: "Neighbour | None") -> str:
    if near is None:
        return "none"
    run = near.run
    became = "" if run is None else f", run {run.id} {run.state}, {run.reason}"
    return f"{moment_text(near.at)}{became}"


def _view(found: "Explanations") -> dict[str, object]:
    from scheduler.domain.timetable import find_zone

    zone = find_zone(found.timezone)
    return {
        "schedule": found.schedule,
        "timezone": found.timezone,
        "note": found.note,
        "answers": [
            {
                "at": one.at.astimezone(zone).isoformat(),
                "utc": one.at,
                "verdict": one.verdict,
                "reason": one.reason,
                "sentence": one.sentence,
                "dst": one.dst,
                "runs": [_run_view(run) for run in one.runs],
                "previous": _near_view(one.previous),
                "following": _near_view(one.following),
            }
            for one in found.answers
        ],
    }


def _near_view(near: "Neighbour | None") -> dict[str, object] | None:
    if near is None:
        return None
    return {"utc": near.at, "run": None if near.run is None else _run_view(near.run)}


def _run_view(run: "Run") -> dict[str, object]:
    return {
        "id": run.id,
        "state": run.state,
        "reason": run.reason,
        "detail": run.detail,
        "collection_id": run.collection_id,
        "retry_of": run.retry_of,
        "part": run.part,
        "parts": run.parts,
    }
