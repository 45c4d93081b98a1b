"""How a message leaves: what receivers get, what becomes of those that fail, and what is kept."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import select
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.clock import utc_now
from scheduler.config import SecretReference
from scheduler.config.notice_settings import ChannelDefinition
from scheduler.config.settings import Limits
from scheduler.engine.channels import Senders
from tests.engine.rows import NINE

PAGE = Path(__file__).parents[2] / "docs" / "notices.md"
MESSAGE = {"id": "msg_1", "title": "one", "text": "one: two", "notices": []}
SECRETS = {"HOOK": "whsec_" + base64.b64encode(b"key of the test").decode(), "SENTINEL": "s3cr3t"}


def senders(*hosts: str, **environ: str) -> Senders:
    environ = SECRETS | environ
    return Senders(
        clock=lambda: NINE,
        read_secret=lambda reference: reference.read_token(environ),
        limits=lambda: Limits(hosts=hosts),
        environ=environ | {"PATH": "/usr/bin:/bin"},
    )


@dataclass
class Receiver:
    """A server that keeps what it is sent, and answers as it is told."""

    answer: bytes = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    hangs: bool = False
    _ended: list[asyncio.Event] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?key=s3cr3t"
        for ended in self._ended:
            await ended.wait()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ended.append(ended := asyncio.Event())
        try:
            await self._serve(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            ended.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append((first, headers, body))
        if self.hangs:
            await reader.read()
        with suppress(OSError):
            writer.write(self.answer)
            await writer.drain()


def webhook(url: object, **how: Any) -> ChannelDefinition:
    secret = {"env": "HOOK"}
    usual = {"type": "webhook", "url": url, "secret": secret, "allow_private": True}
    return ChannelDefinition.model_validate(usual | how)


def verifier() -> Callable[[str, dict[str, str], bytes], None]:
    """Return what the page gives to receivers."""
    (code,) = re.findall(r"```python\n(import base64.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - what the page shows
    verify: Callable[[str, dict[str, str], bytes], None] = names["verify"]
    return verify


@pytest.mark.parametrize("secret", [SECRETS["HOOK"], "a plain secret".replace(" ", "-")])
async def test_what_the_page_shows_verifies_a_message(secret: str) -> None:
    receiver, now = Receiver(), utc_now()
    sender = replace(senders(HOOK=secret), clock=lambda: now)

    async with receiver.serving() as url:
        await sender.send(webhook(url), MESSAGE)

    _, headers, body = receiver.got[0]
    verifier()(secret, headers, body)
    with pytest.raises(ValueError, match="not signed by us"):
        verifier()(secret, headers, body + b" ")
    with pytest.raises(ValueError, match="not signed by us"):
        verifier()("another", headers, body)


async def test_a_webhook_is_signed_as_the_page_says() -> None:
    receiver = Receiver()

    async with receiver.serving() as url:
        error = await senders().send(webhook(url), MESSAGE)

    assert error is None
    first, headers, body = receiver.got[0]
    assert first == "POST /hook?key=s3cr3t HTTP/1.1"
    assert json.loads(body) == MESSAGE
    signed = f"msg_1.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.new(b"key of the test", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    assert headers["webhook-id"] == "msg_1"
    assert int(headers["webhook-timestamp"]) == int(NINE.timestamp())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\ns3cr3t", "answered 500"),
        (
            b"HTTP/1.1 302 Go\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            "answered 302: redirects are not followed",
        ),
    ],
)
async def test_any_answer_but_2xx_is_an_error_without_the_receivers_words(
    answer: bytes, error: str
) -> None:
    receiver = Receiver(answer=answer)

    async with receiver.serving() as url:
        said = await senders().send(webhook(url), MESSAGE)

    assert said == error
    assert len(receiver.got) == 1


async def test_a_receiver_that_hangs_is_given_its_time_and_no_more() -> None:
    receiver = Receiver(hangs=True)

    async with receiver.serving() as url:
        said = await senders().send(webhook(url, timeout="1s"), MESSAGE)

    assert said == "the time limit of 1 s was over"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "10.0.0.1"])
async def test_nothing_inside_is_called_unasked(host: str) -> None:
    said = await senders().send(webhook(f"https://{host}:1/", allow_private=False), MESSAGE)

    assert said is not None
    assert "allow_private = true lets it" in said


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[::]",
        "224.0.0.1",
    ],
)
async def test_a_clouds_own_address_is_never_called(host: str) -> None:
    said = await senders().send(webhook(f"http://{host}:1/"), MESSAGE)

    assert said is not None
    assert "leads to" in said


async def test_an_address_that_is_a_secret_is_judged_and_never_told() -> None:
    channel = webhook({"env": "HOOK_URL"})
    outside = await senders("https://a.example", HOOK_URL="https://b.example/T0/s3cr3t").send(
        channel, MESSAGE
    )
    wrong = await senders(HOOK_URL="s3cr3t").send(channel, MESSAGE)
    missing = await senders().send(channel, MESSAGE)

    for said in (outside, wrong, missing):
        assert said is not None
        assert "s3cr3t" not in said
    assert "not among [limits] hosts" in str(outside)
    assert "HOOK_URL is not set" in str(missing)


def command(*words: str, **how: Any) -> ChannelDefinition:
    usual = {"type": "command", "command": [sys.executable, "-c", *words]}
    return ChannelDefinition.model_validate(usual | how)


async def test_a_command_has_the_message_on_its_input_and_nothing_of_our_environment(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept.json"
    code = (
        "import json, os, sys;"
        "json.dump([json.load(sys.stdin), dict(os.environ)], open(sys.argv[1], 'w'))"
    )

    said = await senders().send(command(code, str(kept)), MESSAGE)

    message, environ = json.loads(kept.read_text())
    assert said is None
    assert message == MESSAGE
    assert environ["PATH"] == "/usr/bin:/bin"
    assert not set(environ) & set(SECRETS)


@pytest.mark.parametrize(
    ("code", "timeout", "error"),
    [
        ("import sys; print('s3cr3t'); sys.exit(4)", "60s", "exit code 4"),
        ("import os; os.kill(os.getpid(), 9)", "60s", "ended by signal 9"),
        ("import time; time.sleep(600)", "1s", "did not end within 1 s, and was killed"),
    ],
)
async def test_a_command_that_does_not_end_well_is_an_error(
    code: str, timeout: str, error: str
) -> None:
    said = await senders().send(command(code, timeout=timeout), MESSAGE)

    assert said is not None
    assert said.endswith(error)


async def test_a_program_that_is_not_there_is_an_error() -> None:
    channel = ChannelDefinition(type="command", command=("/nowhere/at-all",))

    said = await senders().send(channel, MESSAGE)

    assert said == "/nowhere/at-all cannot be started: No such file or directory"


def has_ended(kept: Path) -> bool:
    """Wait for the end of the process whose number was kept."""
    try:
        process = os.pidfd_open(int(kept.read_text()))
    except ProcessLookupError:
        return True
    return bool(select.select([process], [], [], 60)[0])


async def test_what_a_command_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "open(sys.argv[1], 'w').write(str(child.pid)); child.wait()"
    )
    kept = tmp_path / "pid"

    await senders().send(command(code, str(kept), timeout="5s"), MESSAGE)

    assert has_ended(kept)


async def test_apprise_sends_and_its_addresses_are_no_arguments() -> None:
    receiver = Receiver(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with receiver.serving() as url:
        address = url.replace("http://", "json://").partition("/hook")[0] + "/s3cr3t"
        channel = ChannelDefinition.model_validate({"type": "apprise", "urls": [{"env": "CHAT"}]})
        said = await senders(CHAT=address).send(channel, MESSAGE)

    assert said is None
    first, _, body = receiver.got[0]
    assert first.startswith("POST /s3cr3t")
    assert (json.loads(body)["title"], json.loads(body)["message"]) == ("one", "one: two")


async def test_a_heartbeat_is_a_get() -> None:
    receiver = Receiver()

    async with receiver.serving() as url:
        said = await senders().beat(url, allow_private=True, timeout=timedelta(seconds=30))

    assert said is None
    assert receiver.got[0][0] == "GET /hook?key=s3cr3t HTTP/1.1"


def test_a_secret_reference_is_what_a_channel_keeps() -> None:
    assert webhook("https://x.example").secret == SecretReference.parse("env:HOOK")
