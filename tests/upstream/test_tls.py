"""Whoever is not the upstream, or cannot prove it, receives not a byte of a request."""

import ssl
import subprocess
from pathlib import Path

import pytest

from scheduler.domain.reply import Accepted
from tests.upstream.rig import (
    SHORT,
    TOKEN,
    Wire,
    answering,
    assert_not_sent,
    client,
    http,
    playing,
    trigger,
)


def as_tls(url: str) -> str:
    return url.replace("http:", "https:")


@pytest.mark.parametrize("greeting", [b"220 mail.example.org ESMTP\r\n" * 40, b"\x15\x03\x01\x00"])
async def test_a_server_that_does_not_speak_tls_sees_no_request(greeting: bytes) -> None:
    seen = bytearray()

    async def babble(wire: Wire) -> None:
        await wire.say(greeting)
        seen.extend(await wire.reader.read())

    async with playing(babble) as server, client(as_tls(server.url), limit=SHORT) as dca:
        reply = await trigger(dca)

    assert_not_sent(reply, "")
    assert TOKEN.encode() not in seen


async def test_a_server_that_never_answers_the_tls_handshake_sees_no_request() -> None:
    async with playing(Wire.hang) as server, client(as_tls(server.url), limit=SHORT) as dca:
        reply = await trigger(dca)

    assert_not_sent(reply, "time limit")
    assert server.connections == 1


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """Make a certificate for *name* that only itself vouches for, in *folder*/cert.pem."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subject = ["-nodes", "-subj", "/CN=test", "-addext", f"subjectAltName={name}", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*make, *subject, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    tls = certificate(tmp_path, "IP:127.0.0.1")

    async with playing(answering(http()), tls=tls) as server, client(server.url) as dca:
        reply = await trigger(dca)

    assert_not_sent(reply, "the certificate of 127.0.0.1 is no good: self-signed certificate")
    assert server.requests == []


async def test_a_certificate_of_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path, "DNS:other.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))

    async with playing(answering(http()), tls=tls) as server, client(server.url) as dca:
        reply = await trigger(dca)

    assert_not_sent(reply, "the certificate of 127.0.0.1 is no good: IP address mismatch")
    assert server.requests == []


async def test_a_certificate_that_the_system_trusts_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path, "IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))

    async with playing(answering(http()), tls=tls) as server, client(server.url) as dca:
        reply = await trigger(dca)

    assert isinstance(reply, Accepted)
