"""Faults of the wire: answers that come late, in part, or never. The only place that waits."""

import asyncio
import json
import socket
import struct

from aiohttp import web

from scheduler.sandbox.answers import Answer
from scheduler.sandbox.fault_plan import Fault, FaultKind, When

_PIECES = 20
_MIB = 1024 * 1024
# On, with no time to linger: closing sends RST instead of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)


def leaves_an_answer(fault: Fault | None) -> bool:
    """Tell whether the client is sent at least the status line."""
    if fault is None:
        return True
    ends_silently = fault.kind is FaultKind.HANG and fault.moment is When.BEFORE
    return not ends_silently and fault.kind not in (FaultKind.LOST, FaultKind.RESET)


async def delay(fault: Fault) -> None:
    """Wait for as long as *fault* says, in real time."""
    await asyncio.sleep(fault.seconds)


async def send(
    request: web.Request, answer: Answer, fault: Fault | None = None
) -> web.StreamResponse:
    """Send *answer*, or what *fault* leaves of it."""
    if fault and fault.kind is FaultKind.HANG:
        await delay(fault)
    if not leaves_an_answer(fault):
        return _hang_up(request, reset=fault is not None and fault.kind is FaultKind.RESET)
    match fault.kind if fault else None:
        case FaultKind.HALF:
            return await _send_half(request, answer)
        case FaultKind.HUGE if fault:
            return await _stream(request, fault.megabytes)
        case FaultKind.DRIP if fault:
            return await _drip(request, answer, fault.seconds / _PIECES)
        case _:
            return _response(answer)


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        headers=dict(answer.headers),
    )


def _hang_up(request: web.Request, *, reset: bool) -> web.Response:
    transport = request.transport
    if transport is not None and reset:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    elif transport is not None:
        transport.close()
    # Goes nowhere; aiohttp wants a response from every handler.
    return web.Response()


async def _send_half(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = await _begin(request, answer)
    await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _drip(request: web.Request, answer: Answer, pause: float) -> web.StreamResponse:
    response = await _begin(request, answer)
    size = -(-len(answer.body) // _PIECES) or 1
    for start in range(0, len(answer.body), size):
        await asyncio.sleep(pause)
        await response.write(answer.body[start : start + size])
    return response


async def _stream(request: web.Request, megabytes: int) -> web.StreamResponse:
    """Send an array of rows, a MiB at a time, of a length that nobody is told before."""
    row = json.dumps({"input": {"url": "https://example.org/1"}, "text": "x" * 1000}).encode()
    piece = b",\n".join([row] * (_MIB // (len(row) + 2)))
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.enable_chunked_encoding()
    await response.prepare(request)
    for number in range(megabytes):
        await response.write((b"[" if number == 0 else b",") + piece)
    await response.write(b"]" if megabytes else b"[]")
    return response


async def _begin(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
    response.content_type = answer.content_type
    response.content_length = len(answer.body)
    await response.prepare(request)
    return response
