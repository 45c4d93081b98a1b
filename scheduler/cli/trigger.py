"""`trigger`: a run asked for by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import Ended, ExitCode
from scheduler.cli.follow_run import Goal, follow_run
from scheduler.cli.lazy import Command
from scheduler.cli.options import Member, json_option
from scheduler.cli.render import print_json
from scheduler.cli.runs import run_view
from scheduler.cli.session import Session, pass_session
from scheduler.domain.errors import InvalidInput
from scheduler.domain.nearest import did_you_mean
from scheduler.domain.records import JsonObject

if TYPE_CHECKING:
    from scheduler.actions.trigger import Request
    from scheduler.storage.database import Database

# Linux takes 128 KiB in one argument.
_LONGEST_ARGUMENT = 100_000
_BODY_FILE = "body"


@click.command(cls=Command)
@click.argument("collector")
@click.option("--batch", metavar="NAME", help="Send this batch.")
@click.option(
    "--file", metavar="FILE", type=click.Path(path_type=Path), help="Send the inputs of this file."
)
@click.option(
    "--input",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    help="Send one input; several of these make its fields.",
)
@click.option(
    "--input-json",
    "objects",
    metavar="JSON",
    multiple=True,
    help="Send this object; several of these are several inputs.",
)
@click.option("--send-as", type=click.Choice(["json", "csv", "multipart"]))
@click.option("--queue", metavar="NAME", help="Behind what is in this named queue.")
@click.option("--queue-next", is_flag=True, help="Behind the collector's jobs: the default.")
@click.option("--confirm-cancel", is_flag=True, help="In place of the collector's running job.")
@click.option("--deadline", metavar="90m", help="The upstream ends the collection then.")
@click.option("--version", metavar="dev", help="Run the development version.")
@click.option(
    "--no-downloads/--downloads", default=None, help="Whether media files are left alone."
)
@click.option("--name", metavar="TEXT", help="The job's name at the upstream.")
@click.option("--notify", metavar="JSON", help="Who is told when it is done.")
@click.option("--deliver", metavar="JSON", help="Where the result goes; ${secret:NAME} in it.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher goes first.")
@click.option("--wait", is_flag=True, help="Wait until the upstream took it, or never will.")
@click.option(
    "--wait-for",
    "goal",
    type=Member(Goal),
    help="Wait, and for what: that it is accepted, or that its collection ended.",
)
@click.option("--dry-run", is_flag=True, help="Print the request as a curl command, send nothing.")
@json_option
@pass_session
def trigger(
    session: Session,
    /,
    *,
    pairs: Sequence[str],
    objects: Sequence[str],
    wait: bool,
    goal: Goal | None,
    dry_run: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """
    Trigger a COLLECTOR once, by hand.

    It writes a run that the daemon sends, and prints the run's id. What is not given is as the
    collector has it. With --wait, exit code 1 if the upstream did not accept; with
    --wait-for ended, if the run did not succeed.
    """
    request = _request(asked, _inputs(pairs, objects))
    _check_secrets(session, request)
    with session.database() as db:
        if dry_run:
            _show(session, db, request, as_json=as_json)
            return
        run_id = _write(session, db, request)
        if not (as_json and (wait or goal)):
            _print_run(db, run_id, as_json=as_json)
        _tell_what_holds(session, db, run_id)
        _warn_without_daemon(session, db)
        if wait or goal:
            _wait(session, db, run_id, goal or Goal.ACCEPTED, as_json=as_json)


def _inputs(pairs: Sequence[str], objects: Sequence[str]) -> list[JsonObject]:
    inputs = [_object(text) for text in objects]
    if pairs:
        fields = dict(_field(pair) for pair in pairs)
        if len(fields) < len(pairs):
            raise InvalidInput("--input names a field twice: for several inputs use --input-json")
        inputs.append(dict(fields))
    return inputs


def _field(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not key or not equals:
        raise InvalidInput(f"--input {pair!r} is not KEY=VALUE, such as url=https://example.com/")
    return key, value


def _object(text: str) -> JsonObject:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput(f"--input-json {text!r} is not a JSON object")
    return value


def _request(asked: dict[str, Any], inputs: Sequence[JsonObject]) -> "Request":
    from scheduler.actions.trigger import Request
    from scheduler.domain.request import SendAs

    send_as = asked.pop("send_as")
    return Request(**asked, inputs=inputs, send_as=send_as and SendAs(send_as))


def _check_secrets(session: Session, request: "Request") -> None:
    from scheduler.domain.request import secret_names

    given = [("notify", request.notify or ""), ("deliver", request.deliver or "")]
    for name in sorted(secret_names(given)):
        known = session.load().config.secrets
        if name not in known:
            hint = did_you_mean(name, known)
            raise InvalidInput(f"there is no secret {name} in [secrets]{hint}")


def _write(session: Session, db: "Database", request: "Request") -> int:
    from scheduler.actions.fallbacks import fallbacks_of
    from scheduler.actions.trigger import request_trigger

    fallbacks = fallbacks_of(session.load().config)
    with db.writing() as conn:
        return request_trigger(conn, request, fallbacks=fallbacks, now=session.now(conn))


def _show(session: Session, db: "Database", request: "Request", *, as_json: bool) -> None:
    from scheduler.actions.trigger import prepare_trigger
    from scheduler.domain.request import body_content, curl_command, secret_names

    with db.reading() as conn:
        prepared = prepare_trigger(conn, request, now=session.now(conn))
    content_type, body = body_content(prepared.body)
    is_long = len(body) > _LONGEST_ARGUMENT
    command = curl_command(
        prepared.account.base_url,
        prepared.params,
        content_type,
        body,
        token_variable=_token_variable(prepared.account.token),
        body_file=_BODY_FILE if is_long else None,
    )
    if as_json:
        told = {"params": dict(prepared.params), "content_type": content_type}
        print_json({**told, "body": body.decode(), "curl": command})
        return
    click.echo(command)
    token = prepared.account.token
    if not token.startswith("env:"):
        click.echo(f"put the token, which is kept in {token}, into $DCA_API_TOKEN", err=True)
    for name in sorted(secret_names(prepared.params)):
        click.echo(f"replace ${{secret:{name}}} by that secret, percent-encoded", err=True)
    if is_long:
        click.echo(
            f"the body is too long for a shell: put the one of --json into {_BODY_FILE}", err=True
        )


def _token_variable(reference: str) -> str:
    kind, _, name = reference.partition(":")
    return name if kind == "env" else "DCA_API_TOKEN"


def _print_run(db: "Database", run_id: int, *, as_json: bool) -> None:
    from scheduler.storage import runs

    if not as_json:
        click.echo(run_id)
        return
    with db.reading() as conn:
        print_json(run_view(runs.get_run(conn, run_id)))


def _tell_what_holds(session: Session, db: "Database", run_id: int) -> None:
    from scheduler.actions.waiting import why_held
    from scheduler.storage import runs

    with db.reading() as conn:
        held = why_held(conn, runs.get_run(conn, run_id), now=session.now(conn))
    if held:
        click.echo(f"the run waits: {held}", err=True)


def _warn_without_daemon(session: Session, db: "Database") -> None:
    from scheduler.actions.status import read_status

    with db.reading() as conn:
        daemons = read_status(conn, now=session.now(conn), with_schedules=False).daemons
    if not daemons:
        click.echo("no daemon was seen lately: the run waits for one (dca-scheduler run)", err=True)


def _wait(session: Session, db: "Database", run_id: int, goal: Goal, *, as_json: bool) -> None:
    def tell(line: str) -> None:
        click.echo(line, err=as_json)

    reached = follow_run(db, run_id, goal, pause=session.pause, tell=tell)
    if as_json:
        _print_run(db, run_id, as_json=True)
    if not reached:
        raise Ended(ExitCode.REFUSED)
