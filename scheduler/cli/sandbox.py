"""`sandbox`: a stand-in of the upstream on this machine."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.render import say
from scheduler.domain.errors import InvalidInput
from scheduler.sandbox import Fault, SandboxCollector, SandboxSettings, serve_forever

_Seconds = click.FloatRange(min=0, max=86_400)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8999, show_default=True, type=click.IntRange(0, 65_535))
@click.option("--seconds-per-input", default=1.0, show_default=True, type=_Seconds)
@click.option("--build-seconds", default=1.0, show_default=True, type=_Seconds)
@click.option("--job-limit", default=100, show_default=True, type=click.IntRange(min=0))
@click.option("--requests-per-second", metavar="N", type=click.IntRange(min=1))
@click.option("--retry-after", metavar="SECONDS", type=click.IntRange(min=0))
@click.option("--token", "tokens", metavar="TEXT", multiple=True, help="Take only these tokens.")
@click.option(
    "--collector",
    "collectors",
    metavar="c_…[:FIELD,…]",
    multiple=True,
    help="Know only these, and refuse inputs without the fields named.",
)
@click.option(
    "--native",
    "natives",
    metavar="c_…=FREQUENCY@START",
    multiple=True,
    help="Show the vendor's own schedule for a collector, such as c_a=daily@03:00.",
)
@click.option("--balance", type=float, default=100.0, show_default=True, help="Of the account.")
@click.option(
    "--faults", metavar="FILE", type=click.Path(path_type=Path), help="What is to go wrong."
)
@click.option("--jobs-carry-name", is_flag=True, help="Name jobs in the jobs list.")
def sandbox(
    host: str,
    port: int,
    seconds_per_input: float,
    build_seconds: float,
    job_limit: int,
    requests_per_second: int | None,
    retry_after: int | None,
    tokens: Sequence[str],
    collectors: Sequence[str],
    natives: Sequence[str],
    balance: float,
    faults: Path | None,
    jobs_carry_name: bool,
) -> None:
    """
    Serve a stand-in of the upstream until Ctrl-C.

    Port 0 takes a free one; the address is printed once requests are taken.

    What is to go wrong stands in the FILE of --faults, as JSON:

    \b
      [{"kind": "lost", "times": 2},
       {"kind": "error", "status": 503, "path": "/dca/log/*", "times": null}]

    Kinds are lost, reset, half, drip, hang, slow, error, throttle, job_limit, html, page,
    redirect, broken_json, no_id, no_eta, no_status, empty, building_as_200, json_lines,
    huge, late_listing, late_count, other_name, other_keys, numbers_as_text, wrapped,
    other_word, no_rows, failed_inputs and bare_rows. Once is usual, "times": null is always.
    Other keys are collector, skip, probability, seed, when (before, after), seconds,
    retry_after, status, word, error and megabytes.

    An input with a key `sandbox_error` brings that error in place of a row; `sandbox_status`
    says how its job ends. While it runs, from this machine:

    \b
      POST   /sandbox/faults  arms one fault, or a list; DELETE disarms all
      GET    /sandbox/log     what was asked, and the jobs
      POST   /sandbox/jobs    starts a job as the panel does: ?collector=c_…
      POST   /sandbox/reset   forgets everything
    """
    settings = SandboxSettings(
        tokens=frozenset(tokens),
        collectors=_collectors(collectors, natives),
        balance=balance,
        build_time=timedelta(seconds=build_seconds),
        time_per_input=timedelta(seconds=seconds_per_input),
        job_limit=job_limit,
        requests_per_window=requests_per_second,
        retry_after=retry_after,
        jobs_carry_name=jobs_carry_name,
        faults=_read_faults(faults),
    )
    try:
        asyncio.run(_serve(settings, host, port))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CommandEnded(ExitCode.UNAVAILABLE, f"{host}:{port} cannot be had: {reason}") from None


async def _serve(settings: "SandboxSettings", host: str, port: int) -> None:

    def tell(url: str) -> None:
        # Whoever reads a pipe waits for this line.
        say(f"sandbox: {url}")

    serving = asyncio.ensure_future(serve_forever(settings, host, port, tell))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        return


def _collectors(texts: Sequence[str], natives: Sequence[str]) -> "tuple[SandboxCollector, ...]":
    own = dict(native.partition("=")[::2] for native in natives)
    return tuple(_collector(text, own) for text in texts)


def _collector(text: str, natives: Mapping[str, str]) -> "SandboxCollector":

    collector_id, _, required = text.partition(":")
    fields = (field.strip() for field in required.split(","))
    frequency, _, start = natives.get(collector_id, "").partition("@")
    return SandboxCollector(
        id=collector_id,
        required_fields=frozenset(filter(None, fields)),
        schedule_frequency=frequency or None,
        schedule_start=start or None,
    )


def _read_faults(path: Path | None) -> "tuple[Fault, ...]":

    if path is None:
        return ()
    try:
        return TypeAdapter(tuple[Fault, ...]).validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"{path}: {place or 'faults'}: {first['msg'].lower()}") from None
