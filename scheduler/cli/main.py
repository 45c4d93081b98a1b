"""The way in: the commands, the options before them, and what a failed command says."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import click
from click.exceptions import (
    Abort,
    ClickException,
    Exit,
    NoArgsIsHelpError,
    NoSuchOption,
    UsageError,
)
from click.shell_completion import shell_complete

from scheduler import __version__
from scheduler.cli.exit_codes import MEANINGS, CommandEnded, ExitCode, code_of, lines_of
from scheduler.cli.lazy import COMPLETE_VARIABLE, Entry, LazyGroup
from scheduler.cli.output import Remembering, give_up_output, remembered_output
from scheduler.cli.render import one_line
from scheduler.domain.errors import SchedulerError
from scheduler.log_lines import JOURNAL_ERROR, Lines

if TYPE_CHECKING:
    from scheduler.cli.session import Session

_TABLE = {
    name: Entry(f"scheduler.cli.{place}", help)
    for name, place, help in (
        ("demo", "demo:demo", "Fire schedules at a sandbox and watch, until Ctrl-C."),
        ("run", "run:run", "Run the daemon until SIGTERM or Ctrl-C."),
        ("serve", "serve:serve", "Answer HTTP requests as [http] says, until SIGTERM or Ctrl-C."),
        ("status", "status:status", "Say what runs, waits, fires next, and needs a person."),
        ("trigger", "trigger:trigger", "Trigger a COLLECTOR once, by hand."),
        ("next", "next:next_", "Print when a SCHEDULE, or crontab text, is due next."),
        ("upcoming", "upcoming:upcoming", "List what will run in the hours to come, and why then."),
        ("preview", "preview:preview", "Count what will fire in the days to come."),
        (
            "rehearse",
            "rehearse:rehearse_",
            "Run the schedules for days, in seconds, with nothing sent.",
        ),
        ("explain", "explain:explain", "Say why a SCHEDULE fired, or not, at a TIME."),
        ("calendar", "calendar_lint:calendar", "The calendar of all schedules."),
        ("backfill", "backfill:backfill", "Send occurrences of the past that have no run."),
        ("runs", "runs:runs", "Runs: what was due or asked for, and what became of it."),
        (
            "collections",
            "collections_:collections",
            "Collections: the upstream's jobs that runs became.",
        ),
        ("schedules", "schedules:schedules", "Schedules: collector, batch and timetable."),
        (
            "collectors",
            "collectors:collectors",
            "Collectors: the upstream's scrapers that may be triggered.",
        ),
        ("batches", "batches:batches", "Batches: named lists of inputs."),
        ("queues", "queues:queues", "Named queues: runs in one are sent in order."),
        ("accounts", "accounts:accounts", "Accounts at the upstream, and the brake of each."),
        ("results", "results:results", "Results: files that the rows of runs are saved to."),
        ("audit", "audit:audit", "Compare what was due with what happened."),
        ("watchdog", "watchdog:watchdog", "Raise the alarm if no daemon lives."),
        ("alerts", "alerts:alerts", "Alerts: what is wrong, since when, and who knows."),
        ("ack", "alerts:ack", "Say that you know of an ALERT: nobody is reminded."),
        ("notices", "alerts:notices", "Notices: what was told in which channel."),
        ("notify", "alerts:notify", "Notify: try who is told."),
        ("freeze", "schedule_pause:freeze", "Fire and send nothing of many schedules."),
        ("thaw", "schedule_pause:thaw", "End a freeze; asks first where runs wait."),
        ("freezes", "schedule_pause:freezes", "Freezes: pauses of many schedules at once."),
        ("costs", "costs:costs", "Say what a month costs, and what is left of its budgets."),
        ("config", "config:config", "The configuration file."),
        ("plan", "plan:plan", "Show what `apply` would change, in rows and in runs."),
        ("apply", "apply:apply", "Write the file's definitions to the database, all or nothing."),
        ("drift", "plan:drift", "Show where the database differs from the file, and who did it."),
        ("export", "export:export", "Print the database's definitions as TOML for `apply`."),
        ("changes", "changes:changes", "Changes: who did what, by a command or the daemon."),
        (
            "completion",
            "completion:completion",
            "Print what makes a SHELL complete commands, options and names.",
        ),
        ("import", "import_crontab:import_", "Definitions out of what there was before."),
        ("db", "db:db", "The database as a whole: its schema, backups, a move."),
        ("clock", "clock:clock", "The time that schedules go by, where a clock was wrong."),
        ("token", "tokens:token", "Tokens: who may ask over HTTP, and what."),
        ("doctor", "doctor:doctor", "Look for what is wrong or needs a person."),
        (
            "metrics",
            "metrics:metrics",
            "Print figures for Prometheus, alert rules, or a dashboard.",
        ),
        ("sandbox", "sandbox:sandbox", "Serve a stand-in of the upstream until Ctrl-C."),
        ("licenses", "licenses:licenses", "List what is installed with it, and the licenses."),
        ("manual", "manual:manual", "Print the reference of all commands, or install man pages."),
        (
            "systemd-unit",
            "systemd_unit:systemd_unit",
            "Print the unit file; its head says where it goes.",
        ),
    )
}

_NAME = "dca-scheduler"

_EPILOG = "\b\nExit codes:\n" + "\n".join(
    f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items()
)


@click.group(
    cls=LazyGroup,
    table=_TABLE,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name=_NAME)
def root() -> None:
    """Fire Data Collector API triggers on schedules, and keep what became of each."""


def main(argv: Sequence[str] | None = None, *, session: "Session | None" = None) -> int:
    """Carry out one command and return its exit code; what a person caused is one line."""
    with remembered_output() as output:
        _tolerate_any_encoding()
        try:
            words = list(sys.argv[1:] if argv is None else argv)
            code = _call(words, session, _Complaint(as_json="--json" in words, output=output))
            output.flush()
        except BrokenPipeError:
            give_up_output()
            return ExitCode.BROKEN_PIPE
        except OSError as error:
            give_up_output()
            _say(f"output: {_reason(error)}: what was asked was done, and said:")
            click.echo(output.unwritten, err=True, nl=False)
            return ExitCode.OUTPUT
        return code


def _call(words: list[str], session: "Session | None", complaint: "_Complaint") -> int:
    try:
        # Not root.main: it ends the process itself when a pipe breaks.
        if instruction := os.environ.get(COMPLETE_VARIABLE):
            return shell_complete(root, {}, _NAME, COMPLETE_VARIABLE, instruction)
        with root.make_context(_NAME, words, obj=session) as context:
            root.invoke(context)
        return ExitCode.DONE
    except Exit as end:
        return end.exit_code
    except NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except ClickException as error:
        return complaint.end(error.exit_code, _usage_problem(error))
    except SchedulerError as error:
        return complaint.end(code_of(error), *lines_of(error))
    except CommandEnded as end:
        return complaint.end(end.code, *([end.message] if end.message else []))
    except (Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except RuntimeError as error:
        # Before Python 3.12, a Ctrl-C while a class of an import is made arrives wrapped.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return ExitCode.INTERRUPTED
    except UnicodeEncodeError:
        return complaint.end(ExitCode.USAGE, "an argument, or what it names, is not text in UTF-8")
    except OSError as error:
        if error.filename is None:
            raise  # of the output: a file's has a name
        return complaint.end(ExitCode.REFUSED, f"{error.filename}: {_reason(error)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Complaint:
    """Says what went wrong: a line each on stderr, and as the document that --json asks for."""

    as_json: bool
    output: Remembering

    def end(self, code: int, *problems: str) -> int:
        """Say it, and return the exit code; a document that was printed stays the only one."""
        for problem in problems:
            _say(problem)
        if problems and self.as_json and not self.output.has_written:
            error = {"exit_code": int(code), "message": problems[0], "problems": problems}
            click.echo(json.dumps({"error": error}, indent=2))
        return code


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _is_alike(option: str, other: str) -> bool:
    # Dashes are alike in all of them, and would count.
    return SequenceMatcher(None, option.strip("-"), other.strip("-")).ratio() > _ALIKE


_ALIKE = 0.7


def _usage_problem(error: ClickException) -> str:
    if isinstance(error, NoSuchOption):
        alike = [name for name in error.possibilities or () if _is_alike(error.option_name, name)]
        error = NoSuchOption(error.option_name, possibilities=alike, ctx=error.ctx)
    message = error.format_message().rstrip(".")
    sentence = message[:1].lower() + message[1:]
    if not isinstance(error, UsageError) or error.ctx is None:
        return sentence
    return f"{sentence} (see {error.ctx.command_path} --help)"


def _say(problem: str) -> None:
    # A daemon that is refused has no log yet: its unit's journal is told how bad it is.
    priority = JOURNAL_ERROR if Lines(sys.stderr).is_journal else ""
    click.echo(f"{priority}error: {one_line(problem)}", err=True)


def _tolerate_any_encoding() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
