"""`sandbox` as a process, and `systemd-unit`."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from scheduler.sandbox import Fault, FaultKind, When
from tests.surfaces.rig import ROOT, Home, process_environment, program

TOKEN = "good"


@contextmanager
def sandbox(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command on a free port; give the process and its base URL."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "scheduler", "sandbox", "--port", "0", *words],
        stdout=subprocess.PIPE,
        env=process_environment({}),
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().removeprefix("sandbox: ").strip()
        finally:
            process.kill()


def trigger(
    url: str, *, collector: str = "c_shop", token: str = TOKEN
) -> tuple[int, dict[str, str]]:
    """Trigger one input; return the status and the answer."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{url}/dca/trigger?collector={collector}",
        data=b'[{"keyword": "tea"}]',
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with sandbox() as (process, url):
        status, answer = trigger(url)
        process.send_signal(number)
        code = process.wait(60)

    assert (status, code) == (200, 0)
    assert answer["collection_id"].startswith("j_")


def test_it_knows_only_the_tokens_and_collectors_it_is_told() -> None:
    with sandbox("--token", TOKEN, "--collector", "c_a", "--collector", "c_b:url") as (_, url):
        answers = [
            trigger(url, collector="c_a", token="bad")[0],
            trigger(url, collector="c_a")[0],
            trigger(url, collector="c_b")[0],
            trigger(url, collector="c_c")[0],
        ]

    assert answers == [401, 200, 422, 404]


def test_faults_of_a_file_strike_from_the_start(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"kind": "error", "status": 503, "times": 1}]')

    with sandbox("--faults", str(faults)) as (_, url):
        answers = [trigger(url)[0], trigger(url)[0]]

    assert answers == [503, 200]


def test_the_help_shows_a_file_of_faults_and_all_that_it_may_hold(tmp_path: Path) -> None:
    said = program("sandbox", "--help", folder=tmp_path).stdout

    example = said[said.index("[{") : said.index("}]") + 2]
    assert len(TypeAdapter(tuple[Fault, ...]).validate_json(example)) == 2
    for word in (*FaultKind, *When, *(one.name for one in fields(Fault))):
        assert re.search(rf"\b{word}\b", said), word


@pytest.mark.parametrize(
    "text", ["[{]", '[{"kind": "nonsense"}]', '[{"kind": "drip", "when": "before"}]'], ids=repr
)
def test_a_wrong_file_of_faults_is_named(home: Home, text: str) -> None:
    faults = home.folder / "faults.json"
    faults.write_text(text)

    answer = home.call_bare("sandbox", "--port", "0", "--faults", str(faults))

    assert answer.code == 1
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1


def test_an_address_in_use_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = program("sandbox", "--port", str(port), folder=tmp_path)

    assert done.returncode == 69
    assert done.stderr.startswith(f"error: 127.0.0.1:{port} cannot be had: ")
    assert done.stderr.count("\n") == 1


def test_the_unit_file_starts_the_program_that_printed_it(tmp_path: Path) -> None:
    unit = (ROOT / "systemd" / "dca-scheduler.service").read_text()
    script = Path(sys.executable).with_name("dca-scheduler")

    done = program("systemd-unit", folder=tmp_path)

    started = f"ExecStart={script if script.exists() else '/usr/local/bin/dca-scheduler'} run "
    assert done.stdout == unit.replace("ExecStart=/usr/local/bin/dca-scheduler run ", started)


def test_the_unit_reloads_where_there_is_no_kill_program() -> None:
    """Debian's smallest systems have none: it is of a package of its own (procps)."""
    unit = (ROOT / "systemd" / "dca-scheduler.service").read_text()

    programs = re.findall(r"^Exec\w+=(\S+)", unit, re.M)

    assert programs == ["/usr/local/bin/dca-scheduler", "/bin/sh"]
