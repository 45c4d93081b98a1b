"""`trigger`: a run asked for by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from scheduler.actions.trigger import Prepared, Request, prepare_trigger, request_trigger
from scheduler.cli.completion import Named
from scheduler.cli.follow_run import Waiting, waiting_options
from scheduler.cli.lazy import Command
from scheduler.cli.options import ask_if_needed, json_option, yes_option
from scheduler.cli.render import print_json, say, warn
from scheduler.cli.session import Session, pass_session
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import JsonObject
from scheduler.domain.request import SendAs, body_content, secret_names
from scheduler.tools.curl_command import curl_command
from scheduler.views.status import list_daemons
from scheduler.views.waiting import why_held_up

# Linux takes 128 KiB in one argument.
_LONGEST_ARGUMENT = 100_000
_BODY_FILE = "body"


@click.command(cls=Command)
@click.argument("collector", type=Named("collectors"))
@click.option("--batch", metavar="NAME", type=Named("batches"), help="Send this batch.")
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
@click.option(
    "--queue", metavar="NAME", type=Named("queues"), help="Behind what is in this named queue."
)
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
@click.option(
    "--key", metavar="TEXT", help="The same key and request again is the same run, no second bill."
)
@click.option("--priority", type=int, default=0, show_default=True, help="Higher goes first.")
@waiting_options
@click.option("--dry-run", is_flag=True, help="Print the request as a curl command, send nothing.")
@yes_option
@json_option
@pass_session
def trigger(
    session: Session,
    /,
    *,
    pairs: Sequence[str],
    objects: Sequence[str],
    waiting: Waiting | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """
    Trigger a COLLECTOR once, by hand.

    It writes a run that the daemon sends, and prints the run's id. What is not given is as the
    collector has it. It asks first where that is beyond a limit. With --wait, exit code 1 if the
    upstream did not accept; with --wait-for ended, if the run did not succeed.
    """
    request = _request(asked, _inputs(pairs, objects))
    config, files = session.load().config, session.input_files()
    if dry_run:
        _show(
            session.look_outside(prepare_trigger, request, config=config, files=files, warn=warn),
            as_json=as_json,
        )
        return
    requested = ask_if_needed(
        lambda confirmed: session.act_outside(
            request_trigger,
            replace(request, asks_first=True, confirmed=confirmed),
            config=config,
            files=files,
        ),
        yes=yes,
    )
    run = requested.run
    if not requested.is_new:
        say(f"asked for before under this key: run {run.id}", err=True)
    if not as_json:
        click.echo(run.id)
    elif waiting is None:
        print_json(run)
    _tell_what_holds(session, run.id)
    if waiting is not None:
        waiting.wait(session, [run.id], as_json=as_json)


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

    send_as = asked.pop("send_as")
    return Request(**asked, inputs=inputs, send_as=send_as and SendAs(send_as))


def _show(prepared: Prepared, *, as_json: bool) -> None:
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
        say(f"put the token, which is kept in {token}, into $DCA_API_TOKEN", err=True)
    for name in sorted(secret_names(prepared.params)):
        say(f"replace ${{secret:{name}}} by that secret, percent-encoded", err=True)
    if is_long:
        say(f"the body is too long for a shell: put the one of --json into {_BODY_FILE}", err=True)


def _token_variable(reference: str) -> str:
    """Return the variable that holds the token; raises InvalidInput for a row that names none."""
    from scheduler.config import SecretKind, SecretReference

    parsed = SecretReference.parse(reference)
    return parsed.name if parsed.kind is SecretKind.ENV else "DCA_API_TOKEN"


def _tell_what_holds(session: Session, run_id: int) -> None:
    held = session.ask(why_held_up, run_id)
    if held:
        say(f"the run waits: {held}", err=True)
    if not session.ask(list_daemons):
        click.echo("no daemon was seen lately: the run waits for one (dca-scheduler run)", err=True)
