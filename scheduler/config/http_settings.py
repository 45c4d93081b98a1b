"""`[http]`: where requests are answered, and what a request may be."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from scheduler.config.table import TomlTable
from scheduler.config.values import Duration, resolved

UNIX: Final = "unix:"
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
"""What a Host header may say on this machine, whatever the port."""

_SIZES: Final = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def _read_listen(address: str, info: ValidationInfo) -> str:
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX)
        if not path:
            raise ValueError("must name the socket, such as unix:/run/dca-scheduler/http.sock")
        file = str(resolved(path, info))
        if len(file.encode()) > _LONGEST_PATH:
            raise ValueError(f"the socket's path is longer than {_LONGEST_PATH} bytes")
        return f"{UNIX}{file}"
    host_and_port(address)
    return address


_LONGEST_PATH: Final = 107  # of sockaddr_un, see unix(7)


def host_and_port(address: str) -> tuple[str, int]:
    """Read `HOST:PORT`, an IPv6 address in brackets; raises ValueError."""
    rule = "must be ADDRESS:PORT, such as 127.0.0.1:8460 or [::1]:8460, or unix:/PATH"
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
        ip_address("127.0.0.1" if host == "localhost" else host or "")
    except ValueError:
        raise ValueError(rule) from None
    if host is None or port is None or parts.netloc != address or "@" in address:
        raise ValueError(rule)
    return host, port


def _check_proxy(proxy: str) -> str:
    if proxy != "unix":
        try:
            ip_network(proxy)
        except ValueError:
            rule = "must be an address or a network, such as 10.0.0.5 or 10.0.0.0/24, or unix"
            raise ValueError(rule) from None
    return proxy


def _check_host(host: str) -> str:
    if not host or host != host.strip().lower() or any(sign in host for sign in "/@?# \t*"):
        raise ValueError(
            "must be a name as browsers send it, such as scheduler.example.com or"
            " scheduler.example.com:8443, in small letters"
        )
    return host


def _read_size(value: object) -> int:
    number = unit = ""
    if isinstance(value, str):
        number, unit = value[:-3].strip(), value[-3:]
    if unit not in _SIZES or not number.isdecimal() or not 0 < int(number) < 1_000_000:
        raise ValueError('must be a size, text such as "64MiB" or "1GiB"')
    return int(number) * _SIZES[unit]


Size = Annotated[int, BeforeValidator(_read_size, json_schema_input_type=str)]
"""Text such as `64MiB` in the file, bytes here."""


class HttpSettings(TomlTable):
    """Where requests are answered, and what a request may be."""

    listen: Annotated[str, AfterValidator(_read_listen)] = "127.0.0.1:8460"
    """ADDRESS:PORT, or unix:/PATH for a socket that only this program's user may open."""
    proxies: Annotated[
        tuple[Annotated[str, AfterValidator(_check_proxy)], ...], Field(strict=False)
    ] = ()
    """Proxies whose X-Forwarded headers are believed: addresses, networks, or unix."""
    allowed_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_check_host)], ...], Field(strict=False)
    ] = ()
    """Names in Host that are answered, besides those of this machine."""
    anonymous: Literal["none", "read"] = "none"
    """What is answered without a token, on this machine only."""
    open_metrics: bool = False
    """Whether /metrics is answered without a token; schedules and accounts are named in it."""
    max_body: Size = Field("1GiB", validate_default=True)
    """The largest body of a trigger; other requests have 8 MiB."""
    requests_per_second: float = Field(50.0, gt=0, le=100_000)
    """How many requests of one client are answered in a second; four seconds' worth at once."""
    header_timeout: Duration = Field("10s", validate_default=True)
    """How long a client may take for the head of a request, and fall silent in its body."""
    request_timeout: Duration = Field("60s", validate_default=True)
    """How long an answer may take, uploads and event streams aside."""
    wait: Duration = Field("25s", validate_default=True)
    """How long a trigger waits to be accepted upstream; `Prefer: wait=N` says another time."""

    @property
    def socket_path(self) -> str | None:
        """Return where the Unix socket is; None for an address."""
        return self.listen.removeprefix(UNIX) if self.listen.startswith(UNIX) else None

    @property
    def is_local(self) -> bool:
        """Tell whether only this machine can reach it."""
        if self.socket_path is not None:
            return True
        host, _ = host_and_port(self.listen)
        return host == "localhost" or ip_address(host).is_loopback

    @property
    def url(self) -> str:
        """Return where people reach it: through its proxy, if one is named."""
        if self.proxies:
            return f"https://{self.allowed_hosts[0]}"
        return "http://localhost" if self.socket_path else f"http://{self.listen}"

    @model_validator(mode="after")
    def _is_not_open(self) -> Self:
        if not self.is_local and not self.proxies:
            raise ValueError(
                f"listen = {self.listen!r} is not this machine's alone, and what is sent there"
                " would travel unencrypted: listen on 127.0.0.1 or a Unix socket, or name in"
                " proxies the proxies that stand in front of it with TLS"
            )
        if self.proxies and not self.allowed_hosts:
            raise ValueError("proxies need allowed_hosts: the names by which they are called")
        if self.proxies and self.anonymous != "none":
            raise ValueError(
                "anonymous and proxies exclude each other: through a proxy, anybody may come"
            )
        return self
