"""How a message leaves: a signed request, a program, or apprise; each says None or why not."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from scheduler.clock import Clock
from scheduler.config.notice_settings import ChannelDefinition, check_receiver
from scheduler.config.secrets import SecretReference
from scheduler.config.settings import Limits
from scheduler.domain.errors import SchedulerError
from scheduler.upstream.receiver import Call, call_receiver

_PREFIX: Final = "whsec_"
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")
_TO_DIE: Final = 2.0
# `daemon/apprise_sender.py` ends so.
_APPRISE_ERRORS: Final = {
    "apprise ended with exit code 1": "apprise could not send it to all of its addresses",
    "apprise ended with exit code 2": "one of its addresses is none that apprise knows",
    "apprise ended with exit code 3": "it is not installed: pip install apprise",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """What channels need: the time, secrets as they are now, and where anything may be sent."""

    clock: Clock
    read_secret: Callable[[SecretReference], str]
    limits: Callable[[], Limits]
    environ: Mapping[str, str]

    async def send(self, channel: ChannelDefinition, message: Mapping[str, Any]) -> str | None:
        """Send *message*, once; return why it has not arrived. No secret is in that."""
        body = json.dumps(message, ensure_ascii=False).encode()
        try:
            match channel.type:
                case "webhook":
                    return await self._post(channel, str(message["id"]), body)
                case "command":
                    return await self._run(channel.command, body, channel.timeout)
                case "apprise":
                    return await self._apprise(channel, message)
        except SchedulerError as error:
            return str(error)

    async def beat(
        self, url: str | SecretReference, *, allow_private: bool, timeout: timedelta
    ) -> str | None:
        """Call the address of a heartbeat; return why it did not hear of it."""
        try:
            call = Call(
                method="GET", url=self._address(url), timeout=timeout, allow_private=allow_private
            )
        except SchedulerError as error:
            return str(error)
        return await call_receiver(call, clock=self.clock)

    async def _post(self, channel: ChannelDefinition, message_id: str, body: bytes) -> str | None:
        if channel.url is None:  # the file was judged: it has one
            return "the channel has no url"
        headers = {"content-type": "application/json", "webhook-id": message_id}
        timestamp = str(int(self.clock().timestamp()))
        headers["webhook-timestamp"] = timestamp
        if channel.secret is not None:
            secret = self.read_secret(channel.secret)
            headers["webhook-signature"] = sign(secret, message_id, timestamp, body)
        call = Call(
            method="POST",
            url=self._address(channel.url),
            timeout=channel.timeout,
            allow_private=channel.allow_private,
            headers=headers,
            body=body,
        )
        return await call_receiver(call, clock=self.clock)

    def _address(self, url: str | SecretReference) -> str:
        """Return the address as it is now; raises SchedulerError, which does not show it."""
        if isinstance(url, str):
            return url
        address = self.read_secret(url)
        try:
            check_receiver(address)
        except ValueError as error:
            raise SchedulerError(f"{url}: the address {error}") from None
        if not self.limits().allows(address):
            raise SchedulerError(f"{url}: its host is not among [limits] hosts")
        return address

    async def _run(
        self, command: Sequence[str], body: bytes, timeout: timedelta, *, name: str | None = None
    ) -> str | None:
        environ = {key: self.environ[key] for key in _PASSED_ON if key in self.environ}
        return await run_command(
            command, body, environ=environ, timeout=timeout, name=name or command[0]
        )

    async def _apprise(self, channel: ChannelDefinition, message: Mapping[str, Any]) -> str | None:
        asked = {
            # On its standard input: what stands in a process's arguments, everybody may read.
            "urls": [self.read_secret(reference) for reference in channel.urls],
            "title": message["title"],
            "body": message["text"],
        }
        command = (sys.executable, "-m", "scheduler.daemon.apprise_sender")
        body = json.dumps(asked).encode()
        error = await self._run(command, body, channel.timeout, name="apprise")
        return _APPRISE_ERRORS.get(error or "", error)


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """
    Return the signature of a message, as the Standard Webhooks specification has it.

    HMAC-SHA256 over `ID.TIMESTAMP.BODY`. A secret that begins with `whsec_` is base64 after that.
    """
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise SchedulerError(
                "the channel's secret begins with whsec_ and is no base64"
            ) from None
    signed = b"%s.%s.%s" % (message_id.encode(), timestamp.encode(), body)
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


async def run_command(
    command: Sequence[str],
    body: bytes,
    *,
    environ: Mapping[str, str],
    timeout: timedelta,
    name: str,
) -> str | None:
    """
    Run a program with *body* on its standard input; return why it did not do well, else None.

    It has nothing of our environment but *environ*, and a process group of its own, which is ended
    with it when the time is over. What it writes is not told: it may hold what it was given.
    """
    # Not a pipe: whenever we die, the program has all of it.
    with os.fdopen(os.memfd_create("message"), "w+b") as message:
        message.write(body)
        message.seek(0)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=message,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=dict(environ),
                start_new_session=True,
            )
        except OSError as error:
            return f"{name} cannot be started: {error.strerror or type(error).__name__}"
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            await process.wait()
    except TimeoutError:
        return f"{name} did not end within {timeout.total_seconds():g} s, and was killed"
    finally:
        await _end(process)
    code = process.returncode or 0
    if code < 0:
        return f"{name} was ended by signal {-code}"
    return None if code == 0 else f"{name} ended with exit code {code}"


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave nothing of its group running."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_TO_DIE):
            await process.wait()
