"""Options and arguments that several commands take."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import click

from scheduler.cli.exit_codes import Ended, ExitCode
from scheduler.domain.records import RunState

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """A time in ISO 8601; with *keep_wall*, one without an offset stays so, else it is UTC."""

    name = "time"

    def __init__(self, *, keep_wall: bool = False) -> None:
        self.keep_wall = keep_wall

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the text, or refuse it as wrong usage."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time: write it like 2026-03-02T09:00:00Z", param, ctx)
        if moment.tzinfo is None and not self.keep_wall:
            return moment.replace(tzinfo=UTC)
        return moment


class Member(click.Choice[str]):
    """A member of an enumeration, written as its value."""

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__([member.value for member in kind])
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> StrEnum:
        """Return the member, or refuse the text as wrong usage."""
        return self.kind(super().convert(value, param, ctx))


def run_filters(command: Decorated) -> Decorated:
    """Give *command* the options by which runs are chosen."""
    for option in reversed(
        (
            click.option("--schedule", metavar="NAME", help="Only runs of this schedule."),
            click.option("--collector", metavar="NAME", help="Only runs of this collector."),
            click.option("--queue", metavar="NAME", help="Only runs in this named queue."),
            click.option(
                "--state",
                "states",
                multiple=True,
                type=Member(RunState),
                metavar="STATE",
                help="Only runs in this state; may be given several times.",
            ),
            click.option("--since", type=Moment(), help="Only runs due at this time or later."),
            click.option("--until", type=Moment(), help="Only runs due at this time or earlier."),
        )
    ):
        command = option(command)
    return command


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless *yes*; ends the command when the answer is no, or nobody can give one."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Ended(ExitCode.REFUSED, "this asks first: say --yes where nobody can answer")
    if not click.confirm(question, err=True):
        raise Ended(ExitCode.REFUSED, "nothing was done")
