"""`run` with [http]: a server of its own process, that may die, and ends with its daemon."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.rig import Daemon, House, house, serving, wait_for
from tests.surfaces.rig import Home, process_environment

HTTP = '\n[http]\nlisten = "127.0.0.1:0"\nheader_timeout = "60s"\n'
NOWHERE = "http://127.0.0.1:9"


def servings(daemon: Daemon) -> list[dict[str, object]]:
    """Return what each server said when it began."""
    lines = daemon.said().splitlines()
    return [json.loads(line) for line in lines if '"http_serving"' in line]


def wait_for_server(daemon: Daemon, number: int = 1) -> tuple[str, int]:
    """Return address and pid of the daemon's *number*th server."""
    found = wait_for(
        lambda: len(servings(daemon)) >= number, within=60, what="a server", also=daemon.said
    )
    assert found
    said = servings(daemon)[number - 1]
    return str(said["address"]), int(str(said["pid"]))


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_server_that_dies_is_replaced_and_goes_when_its_daemon_is_killed(
    tmp_path: Path, sqlite_url: str
) -> None:
    with house(tmp_path, sqlite_url, NOWHERE, schedules=1, more=HTTP) as built:
        daemon = built.start(environ={"TOKEN": "canary-of-a-token"}, wait=True)
        address, first = wait_for_server(daemon)
        environment = Path(f"/proc/{first}/environ").read_bytes()
        assert httpx.get(f"{address}/readyz", timeout=60).json() == {"status": "ok"}
        os.kill(first, signal.SIGKILL)
        # Whoever comes meanwhile waits in the daemon's socket.
        answer = httpx.get(f"{address}/livez", timeout=240)
        same_address, second = wait_for_server(daemon, 2)
        daemon.kill()
        wait_for(lambda: is_gone(second), within=60, what="the server's end")

    assert b"canary-of-a-token" not in environment
    assert b"TOKEN=" not in environment
    assert (answer.status_code, same_address) == (200, address)


def test_a_run_written_over_http_is_sent_at_once(tmp_path: Path, sqlite_url: str) -> None:
    """Rows are looked for each minute here, and who asks waits for 25 seconds."""
    with (
        serving() as (_, upstream),
        house(tmp_path, sqlite_url, upstream, schedules=0, more=HTTP) as built,
    ):
        built.edit('poll_interval = "1s"', 'poll_interval = "60s"')
        daemon = built.start(wait=True)
        address, _ = wait_for_server(daemon)
        made = built.call("token", "create", "ci", "--scope", "trigger", "--collector", "a")
        answer = httpx.post(
            f"{address}/dca/trigger?collector=a",
            headers={"Authorization": f"Bearer {made.stdout.strip()}"},
            json=[{"url": "https://example.org"}],
            timeout=240,
        )

    assert answer.status_code == 200, answer.text
    assert answer.json()["collection_id"].startswith("j_")


def test_an_answer_under_way_is_finished_when_the_daemon_stops(
    tmp_path: Path, sqlite_url: str
) -> None:
    with house(tmp_path, sqlite_url, NOWHERE, schedules=1, more=HTTP) as built:
        daemon = built.start(wait=True)
        address, _ = wait_for_server(daemon)
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=240) as wire:
            body = b"token=nonsense"
            wire.sendall(
                b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n"
                b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            assert wire.recv(1000).startswith(b"HTTP/1.1 100")  # it waits for the body
            daemon.send(signal.SIGTERM)
            daemon.wait_until_it_said("daemon_stopping")
            wire.sendall(body)
            answer = b"".join(iter(lambda: wire.recv(65536), b""))

        assert daemon.process.wait(240) == 0, daemon.said()
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"</html>" in answer


@pytest.mark.parametrize("kind", ["taken", "wrong"])
def test_runs_are_fired_where_http_cannot_be_served(
    tmp_path: Path, sqlite_url: str, kind: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        listen = f"127.0.0.1:{port}" if kind == "taken" else "8460"
        more = f'\n[http]\nlisten = "{listen}"\n'
        with house(tmp_path, sqlite_url, NOWHERE, schedules=1, more=more) as built:
            daemon = built.start(wait=True)
            wait_for(built.count, within=60, what="a run", also=daemon.said)
            told = wait_for(
                lambda: _told(built), within=60, what="HTTP is not served", also=daemon.said
            )
            alone = built.call("serve")

    assert {"taken": "another program has it", "wrong": "must be ADDRESS:PORT"}[kind] in told
    assert "http_not_served" in daemon.said()
    assert alone.returncode == {"taken": 69, "wrong": 78}[kind]
    assert "Traceback" not in alone.stderr
    assert alone.stderr.count("\n") == 1


def _told(built: House) -> str | None:
    said = built.call("status").stdout
    return said if "HTTP is not served" in said else None


def test_no_other_command_loads_the_server() -> None:
    """It is half a second and 20 MiB that a daemon has no use for."""
    words = (
        "import sys, scheduler.daemon, scheduler.cli.main, scheduler.cli.run, scheduler.cli.serve;"
        "print({'fastapi', 'starlette', 'uvicorn'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, env=process_environment({})
    )

    assert done.stdout == "set()\n", done.stderr


def test_a_configuration_without_http_is_told_how_to_have_it(home: Home) -> None:
    answer = home.call("serve")

    assert answer.code == 78
    assert "add [http]" in answer.err


def test_a_socket_that_systemd_hands_over_is_served(home: Home) -> None:
    home.config.write_text(home.config.read_text() + "\n[http]\n")
    program = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update("
        "LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
        "os.execv(sys.executable, [sys.executable, '-m', 'scheduler', 'serve', '-c', sys.argv[2]])"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = str(listening.fileno())
        process = subprocess.Popen(
            [sys.executable, "-c", program, number, str(home.config)],
            pass_fds=[listening.fileno()],
            env=process_environment({}),
        )
        try:
            address = "http://{}:{}".format(*listening.getsockname())
            answer = httpx.get(f"{address}/livez", timeout=240)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(240)

    assert (answer.status_code, code) == (200, 0)
