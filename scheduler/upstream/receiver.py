"""Who is told: one POST or GET to an address of the operator's, never to one inside unasked."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx

from scheduler import __version__
from scheduler.clock import Clock, boot_seconds
from scheduler.upstream.connection import Connection
from scheduler.upstream.exchange import Exchanges, HeadOfBody
from scheduler.upstream.failures import cannot_connect
from scheduler.upstream.transport import UpstreamTransport
from scheduler.upstream.wire import Headers, Request, SendGuard

_MOST_ANSWER: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is sent to a receiver. Its *url* may be a secret: it is in no error and no log."""

    method: str
    url: str
    timeout: timedelta
    allow_private: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


async def call_receiver(call: Call, *, clock: Clock) -> str | None:
    """
    Send *call* once; return None for an answer of 2xx, else why not. Never raises for the network.

    Its name is looked up once, and what was found is what is connected to. No redirect is followed,
    and no proxy of the environment is used. What a receiver says is not told: it may echo the call.
    """
    url = httpx.URL(call.url)
    transport = _Checked(url, allow_private=call.allow_private)
    exchanges = Exchanges(transport, total_timeout=call.timeout, connections=1, clock=clock)
    guard = SendGuard(send_before=boot_seconds() + call.timeout.total_seconds())
    request = Request(
        method=call.method,
        target=url.raw_path.decode(),
        headers=Headers({"User-Agent": f"dca-scheduler/{__version__}", **call.headers}),
        content=call.body,
        guard=guard,
    )
    try:
        response = await exchanges.run(request, HeadOfBody(_MOST_ANSWER), redact=_withheld)
    finally:
        await exchanges.close()
    if response.status is None:
        return response.failure or "no answer"
    if 200 <= response.status < 300:
        return None
    hint = ": redirects are not followed" if 300 <= response.status < 400 else ""
    return f"answered {response.status}{hint}"


def _withheld(_: str) -> str:
    return ""


class _Checked(UpstreamTransport):
    """Connects only to what an address may lead to, and to the very one that was checked."""

    def __init__(self, url: httpx.URL, *, allow_private: bool) -> None:
        super().__init__(f"{url.scheme}://{url.netloc.decode()}", keep_alive=timedelta())
        self._allow_private = allow_private

    async def _connect(self) -> Connection:
        running = asyncio.get_running_loop()
        try:
            found = await running.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise cannot_connect(error, "the receiver", self._port) from None
        addresses = [str(entry[4][0]) for entry in found]
        if refused := next(filter(self._is_refused, addresses), None):
            raise httpx.ConnectError(
                f"its name leads to {refused}, which is this machine's or of a private network:"
                " allow_private = true lets it"
            )
        failure: Exception = OSError("it has no address")
        for address in dict.fromkeys(addresses):
            try:
                _, connection = await running.create_connection(
                    lambda: Connection(free=lambda used: used.close()),
                    address,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
            except Exception as error:  # another address may answer
                failure = error
            else:
                return connection
        raise cannot_connect(failure, "the receiver", self._port) from None

    def _is_refused(self, address: str) -> bool:
        found = _led_to(ip_address(address.partition("%")[0]))
        return _is_never_meant(found) or (not found.is_global and not self._allow_private)


def _led_to(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that one of IPv6 stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


_NAT64: Final = IPv6Network("64:ff9b::/96")


def _is_never_meant(address: IPv4Address | IPv6Address) -> bool:
    """Tell of addresses that no receiver has: a cloud's own data is behind link-local ones."""
    return address.is_link_local or address.is_multicast or address.is_unspecified
