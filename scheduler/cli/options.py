"""Options and arguments that several commands take."""

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from enum import StrEnum
from functools import wraps
from typing import Any, Final, TypeVar

import click

from scheduler.cli.completion import Named
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.render import one_line
from scheduler.cli.session import current_session
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput, NeedsConfirmation
from scheduler.domain.records import Reason, RunState
from scheduler.domain.written_times import WrittenTime
from scheduler.views.runs import RunFilter

Result = TypeVar("Result")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
reason_option = click.option("--reason", required=True, help="Why, for whoever looks next.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
past_pauses_option = click.option(
    "--past-pauses",
    is_flag=True,
    help="Send it while its schedule or queue is paused or frozen, too; asks first.",
)


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """A time as `WrittenTime` takes it; the command reads it by `Session.instant`."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> WrittenTime:
        """Take the text, or refuse it as wrong usage."""
        try:
            return value if isinstance(value, WrittenTime) else WrittenTime.checked(value)
        except InvalidInput as error:
            self.fail(str(error), param, ctx)


class Since(Moment):
    """A time that has passed: `7d` is seven days ago, as `-7d` is everywhere."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> WrittenTime:
        """Take the text, or refuse it as wrong usage."""
        with suppress(InvalidInput, TypeError):
            parse_duration(value)
            value = f"-{value}"
        return super().convert(value, param, ctx)


class TimeCommand(Command):
    """A command that takes a time as an argument: `-12h` is one, and no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        is_past = re.compile(r"-\d.*").fullmatch
        return super().parse_args(ctx, [f"{arg[1:]} ago" if is_past(arg) else arg for arg in args])


class RunReference(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """A run's id, or that of its collection as text."""

    name = "id"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Take the text, or refuse it as wrong usage."""
        text = str(value)
        if text.isdecimal():
            return int(text)
        if not text.startswith("j_"):
            self.fail(f"{text!r} is neither a run's id nor a collection's (j_…)", param, ctx)
        return text


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


def run_filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options by which runs are chosen, and what they say as *wanted*."""

    @wraps(command)
    def call(*words: Any, **named: Any) -> Any:
        chosen = {name: named.pop(name) for name in chosen_by}
        for name in ("since", "until", "ended_since", "ended_until"):
            is_end = name.endswith("until")
            chosen[name] = current_session().instant(
                chosen[name], chosen["schedule"], is_end=is_end
            )
        return command(*words, wanted=RunFilter(**chosen), **named)

    chosen_by = [field.name for field in fields(RunFilter)]
    for option in reversed(_RUN_FILTERS):
        option(call)
    return call


_RUN_FILTERS: Final = (
    click.option(
        "--schedule", metavar="NAME", type=Named("schedules"), help="Only runs of this schedule."
    ),
    click.option(
        "--collector", metavar="NAME", type=Named("collectors"), help="Only runs of this collector."
    ),
    click.option(
        "--queue", metavar="NAME", type=Named("queues"), help="Only runs in this named queue."
    ),
    click.option(
        "--state",
        "states",
        multiple=True,
        type=Member(RunState),
        metavar="STATE",
        help="Only runs in this state; may be given several times.",
    ),
    click.option(
        "--reason",
        "reasons",
        multiple=True,
        type=Member(Reason),
        metavar="REASON",
        help="Only runs with this reason; may be given several times.",
    ),
    click.option("--batch", metavar="NAME", type=Named("batches"), help="Only runs of this batch."),
    click.option("--label", metavar="LABEL", help="Only runs with this label."),
    click.option("--collection", metavar="ID", help="Only the run of this collection."),
    click.option("--since", type=Since(), help="Only runs due at this time or later."),
    click.option("--until", type=Moment(), help="Only runs due at this time, or day, or earlier."),
    click.option("--ended-since", type=Since(), help="Only runs that ended then or later."),
    click.option("--ended-until", type=Moment(), help="Only runs that ended then or earlier."),
)


def since_option(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option --since, which gives a command a moment."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def call(*words: Any, since: WrittenTime | None, **named: Any) -> Any:
            return command(*words, since=current_session().instant(since), **named)

        return click.option("--since", type=Since(), help=help)(call)

    return decorate


lost_since_option = since_option("Tell what failed or was missed since then.  [default: -24h]")


def ending_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Give *command* two ways to say when something ends; it gets the end as *until*.

    What it takes as *name* is a schedule: without an offset the end is in its zone.
    """

    @wraps(command)
    def call(*words: Any, until: WrittenTime | None, lasting: str | None, **named: Any) -> Any:
        if until is not None and lasting is not None:
            raise click.UsageError("--until and --for exclude each other")
        session = current_session()
        end = session.instant(until, named.get("name"))
        if lasting is not None:
            end = session.present() + parse_duration(lasting)
        return command(*words, until=end, **named)

    click.option("--for", "lasting", metavar="DURATION", help="How long, such as 2h.")(call)
    click.option("--until", type=Moment(), help="When it ends by itself.")(call)
    return call


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless *yes*; ends the command when the answer is no, or nobody can give one."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandEnded(ExitCode.REFUSED, "this asks first: say --yes where nobody can answer")
    if not click.confirm(one_line(question), err=True):
        raise CommandEnded(ExitCode.REFUSED, "nothing was done")


def ask_if_needed(act: Callable[..., Result], *, yes: bool) -> Result:
    """Act, *confirmed* if a person said *yes*; where their word is needed, ask for it."""
    try:
        return act(confirmed=yes)
    except NeedsConfirmation as needed:
        if not sys.stdin.isatty():
            raise
        confirm(f"{needed}. Go on?", yes=False)
        return act(confirmed=True)
