"""Why an exchange failed, in words that hold neither query nor token."""

import os
import socket
import ssl
from typing import Final

import httpx

_BUNDLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES: Final = tuple(
    name for of in ("https_proxy", "http_proxy", "all_proxy") for name in (of, of.upper())
)


def as_httpx(error: Exception) -> httpx.HTTPError:
    """Say how a connection that was open broke: not in the error's own words."""
    match error:
        case ssl.SSLError():
            return httpx.ReadError("the connection broke: TLS failed")
        case OSError(errno=int(number)):
            return httpx.ReadError(f"the connection broke: {os.strerror(number)}")
        case _:
            return httpx.ReadError(f"the exchange failed: {type(error).__name__}")


def cannot_connect(error: Exception, host: str, port: int) -> httpx.ConnectError:
    """Say why there is no connection to *host*."""
    match error:
        case ssl.SSLCertVerificationError(verify_message=reason):
            return httpx.ConnectError(f"the certificate of {host} is no good: {reason}{_trusted()}")
        case socket.gaierror() | UnicodeError():
            return httpx.ConnectError(f"{host} cannot be resolved{_without_proxy()}")
        case ssl.SSLError(reason=str(why)):
            pass
        case OSError(errno=int(number)):
            why = os.strerror(number)
        case OSError():
            why = str(error)  # one for each address
        case _:
            why = type(error).__name__
    return httpx.ConnectError(f"cannot connect to {host}:{port}: {why}{_without_proxy()}")


def _trusted() -> str:
    """Name what certificates are judged by, if the environment says."""
    named = (f"{name}={os.environ[name]}" for name in _BUNDLES if os.environ.get(name))
    return "".join(f" (trusted is what {each} holds)" for each in named)


def _without_proxy() -> str:
    """Say that a proxy is not used, where the environment names one."""
    is_named = any(os.environ.get(name) for name in _PROXIES)
    return " (the proxy that the environment names is not used)" if is_named else ""
