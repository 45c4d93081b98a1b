"""The way in: the commands, the options before them, and what a failed command says."""

import os
import sys
from collections.abc import Sequence

import click
from click.exceptions import Abort, ClickException, Exit, NoArgsIsHelpError, UsageError

from scheduler import __version__
from scheduler.cli.exit_codes import MEANINGS, Ended, ExitCode, code_of, lines_of
from scheduler.cli.lazy import LazyGroup
from scheduler.cli.render import one_line
from scheduler.cli.session import Session
from scheduler.domain.errors import SchedulerError

_PLACES = {
    "demo": "scheduler.cli.demo.command:demo",
    "run": "scheduler.cli.run:run",
    "status": "scheduler.cli.status:status",
    "trigger": "scheduler.cli.trigger:trigger",
    "next": "scheduler.cli.next:next_",
    "preview": "scheduler.cli.preview:preview",
    "explain": "scheduler.cli.explain:explain",
    "calendar": "scheduler.cli.calendar_lint:calendar",
    "backfill": "scheduler.cli.backfill:backfill",
    "runs": "scheduler.cli.runs:runs",
    "schedules": "scheduler.cli.schedules:schedules",
    "collectors": "scheduler.cli.collectors:collectors",
    "batches": "scheduler.cli.batches:batches",
    "queues": "scheduler.cli.queues:queues",
    "accounts": "scheduler.cli.accounts:accounts",
    "freeze": "scheduler.cli.schedule_pause:freeze",
    "thaw": "scheduler.cli.schedule_pause:thaw",
    "freezes": "scheduler.cli.schedule_pause:freezes",
    "config": "scheduler.cli.config:config",
    "plan": "scheduler.cli.plan:plan",
    "apply": "scheduler.cli.apply:apply",
    "drift": "scheduler.cli.plan:drift",
    "export": "scheduler.cli.export:export",
    "changes": "scheduler.cli.changes:changes",
    "import": "scheduler.cli.import_crontab:import_",
    "db": "scheduler.cli.db:db",
    "doctor": "scheduler.cli.doctor:doctor",
    "sandbox": "scheduler.cli.sandbox:sandbox",
    "systemd-unit": "scheduler.cli.systemd_unit:systemd_unit",
}

_EPILOG = "\b\nExit codes:\n" + "\n".join(
    f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items()
)


@click.group(
    cls=LazyGroup,
    places=_PLACES,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="dca-scheduler")
def root() -> None:
    """Fire Data Collector API triggers on schedules, and keep what became of each."""


def main(argv: Sequence[str] | None = None, *, session: Session | None = None) -> int:
    """Carry out one command and return its exit code; what a person caused is one line."""
    _tolerate_any_encoding()
    try:
        code = _call(argv, Session() if session is None else session)
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up_output()
        return ExitCode.BROKEN_PIPE
    except OSError as error:
        _give_up_output()
        _complain(f"output: {_reason(error)}")
        return ExitCode.REFUSED
    return code


def _give_up_output() -> None:
    """Let what is left in the buffer go nowhere: no second complaint at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(argv: Sequence[str] | None, session: Session) -> int:
    try:
        # Not root.main: it ends the process itself when a pipe breaks.
        words = list(sys.argv[1:] if argv is None else argv)
        with root.make_context("dca-scheduler", words, obj=session) as context:
            root.invoke(context)
        return ExitCode.DONE
    except Exit as end:
        return end.exit_code
    except NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except ClickException as error:
        _complain(_usage_problem(error))
        return error.exit_code
    except SchedulerError as error:
        _complain(*lines_of(error))
        return code_of(error)
    except Ended as end:
        _complain(*([end.message] if end.message else []))
        return end.code
    except (Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except RuntimeError as error:
        # Before Python 3.12, a Ctrl-C while a class of an import is made arrives wrapped.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return ExitCode.INTERRUPTED
    except OSError as error:
        if error.filename is None:
            raise  # of the output: a file's has a name
        _complain(f"{error.filename}: {_reason(error)}")
        return ExitCode.REFUSED


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _usage_problem(error: ClickException) -> str:
    message = error.format_message().rstrip(".")
    sentence = message[:1].lower() + message[1:]
    if not isinstance(error, UsageError) or error.ctx is None:
        return sentence
    return f"{sentence} (see {error.ctx.command_path} --help)"


def _complain(*problems: str) -> None:
    for problem in problems:
        click.echo(f"error: {one_line(problem)}", err=True)


def _tolerate_any_encoding() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
