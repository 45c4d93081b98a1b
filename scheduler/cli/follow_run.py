"""Tells what happens to runs until they are where a person wants them, or never will be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import wraps
from typing import Any, Final

import click

from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.options import Member
from scheduler.cli.render import one_line, print_json, say
from scheduler.cli.session import Session
from scheduler.domain.durations import parse_duration
from scheduler.domain.moves import RunEvent
from scheduler.domain.records import ENDED_STATES, RunState
from scheduler.domain.timestamps import display_time
from scheduler.views.opening import Database
from scheduler.views.runs import RunView, get_run, get_runs, list_events

_PAUSE_SECONDS: Final = 0.2


class Goal(StrEnum):
    """What is waited for."""

    ACCEPTED = "accepted"  # the upstream took it: it has a collection_id
    ENDED = "ended"  # its collection ended


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is waited for, and how long at most."""

    goal: Goal
    limit: timedelta | None

    def wait(
        self, session: Session, run_ids: Sequence[int], *, as_json: bool, is_list: bool = False
    ) -> None:
        """
        Tell the events of one run after the other, and end the command by what they came to.

        As JSON the runs are printed at the end: the one that there is, or the list.
        """
        ends = None if self.limit is None else session.monotonic() + self.limit.total_seconds()
        with session.database() as db:
            reached = [self._follow(session, db, run_id, ends, as_json) for run_id in run_ids]
            if as_json:
                with db.reading() as conn:
                    runs = get_runs(conn, run_ids)
                print_json(runs if is_list else runs[0])
        if None in reached:
            raise CommandEnded(
                ExitCode.TIMED_OUT, "the time is up: what was asked for goes on without us"
            )
        if not all(reached):
            raise CommandEnded(ExitCode.REFUSED)

    def _follow(
        self, session: Session, db: Database, run_id: int, ends: float | None, to_stderr: bool
    ) -> bool | None:
        """Return whether the run got there; None if the time was up before that was known."""
        told = 0
        while True:
            with db.reading() as conn:
                run = get_run(conn, run_id)
                events = list_events(conn, run_id, after=told)
            for event in events:
                say(_line(event, run), err=to_stderr)
                told = event.id
            reached = has_reached(run, self.goal)
            if reached is not None:
                return reached
            if ends is not None and session.monotonic() >= ends:
                return None
            session.pause(_PAUSE_SECONDS)


def waiting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options of waiting; it gets them as *waiting*, None without any."""

    @wraps(command)
    def call(*words: Any, wait: bool, goal: Goal | None, timeout: str | None, **named: Any) -> Any:
        if timeout is not None and not (wait or goal):
            raise click.UsageError("--timeout goes with --wait or --wait-for")
        limit = None if timeout is None else parse_duration(timeout)
        waiting = Waiting(goal or Goal.ACCEPTED, limit) if wait or goal else None
        return command(*words, waiting=waiting, **named)

    for option in reversed(_OPTIONS):
        option(call)
    return call


_OPTIONS: Final = (
    click.option("--wait", is_flag=True, help="Wait until the upstream took it, or never will."),
    click.option(
        "--wait-for",
        "goal",
        type=Member(Goal),
        help="Wait, and for what: that it is accepted, or that its collection ended.",
    ),
    click.option("--timeout", metavar="10m", help="Wait so long at most; exit code 124 then."),
)


def has_reached(run: RunView, goal: Goal) -> bool | None:
    """Tell whether the run is where it is wanted; None while waiting may still help."""
    if goal is Goal.ACCEPTED and run.collection_id is not None:
        return True
    if run.state in ENDED_STATES:
        return goal is Goal.ENDED and run.state is RunState.SUCCEEDED
    return False if run.state is RunState.NEEDS_ATTENTION else None


def _line(event: RunEvent, run: RunView) -> str:
    parts = [f"{event.to_state} ({event.reason})"]
    if run.collection_id is not None and RunState.COLLECTING in (event.from_state, event.to_state):
        parts.append(run.collection_id)
    if run.start_eta is not None and event.to_state is RunState.COLLECTING:
        parts.append(f"starts {display_time(run.start_eta)}")
    if event.detail:
        parts.append(event.detail)
    if event.to_state is RunState.NEEDS_ATTENTION:
        parts.append(f"see dca-scheduler runs show {run.id}; then runs adopt, resend or abandon")
    return one_line(": ".join((parts[0], ", ".join(parts[1:]))) if parts[1:] else parts[0])
