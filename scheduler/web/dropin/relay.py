"""A question handed to the daemon, which asks the upstream: no token of it is here."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import JSONResponse, Response, StreamingResponse

from scheduler.domain.relayed import RelayHead, RelayQuestion
from scheduler.web.problems import Refused
from scheduler.web.site import Site

_HEAD_SECONDS: Final = 120.0
_SILENT_SECONDS: Final = 120.0


async def relayed(site: Site, question: RelayQuestion) -> Response:
    """Return the upstream's answer while it comes; raises Refused, 502 or 503, where none does."""
    reader, writer = await _hand_over(site, question)
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            line = await reader.readline()
        head = RelayHead.read(line)
    except (ValueError, OSError, TimeoutError):
        writer.close()
        raise Refused(502, "no-answer", "the daemon did not answer: ask again") from None
    if head.error is not None:
        writer.close()
        headers = {"Retry-After": str(head.retry_after)} if head.retry_after else {}
        return JSONResponse({"error": head.error}, head.status, headers)
    headers = {"Content-Disposition": "attachment"}
    if head.run_id is not None:
        headers["X-Run-Id"] = str(head.run_id)
    return StreamingResponse(
        _pieces(reader, writer),
        head.status,
        headers,
        "application/json" if head.is_json else "text/plain",
    )


async def _hand_over(
    site: Site, question: RelayQuestion
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if site.relay is None:
        raise Refused(
            503,
            "no-daemon",
            "this server runs beside the daemons and has no token of the upstream: ask one that"
            " `dca-scheduler run` serves",
        )
    ours, theirs = socket.socketpair()
    try:
        socket.send_fds(site.relay, [b"r"], [theirs.fileno()])
    except OSError:
        ours.close()
        raise Refused(503, "no-daemon", "the daemon has ended: ask again") from None
    finally:
        theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours)
    writer.write(question.line())
    return reader, writer


async def _pieces(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncIterator[bytes]:
    try:
        while True:
            async with asyncio.timeout(_SILENT_SECONDS):
                length = int.from_bytes(await reader.readexactly(4), "big")
                if not length:
                    return
                piece = await reader.readexactly(length)
            yield piece
    finally:
        writer.close()
