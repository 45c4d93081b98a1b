"""What every request passes: Host, proxies, its head, its body, and what it gets back."""

import asyncio
import gc
import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from io import StringIO
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from starlette.responses import Response, StreamingResponse

from scheduler.domain.access import Scope
from scheduler.logs import configure_logging
from scheduler.web.access import Admin, Anybody
from scheduler.web.app import SURFACES
from scheduler.web.connections import PatientProtocol
from scheduler.web.gate import SECURITY_HEADERS
from scheduler.web.problems import MEDIA_TYPE
from scheduler.web.routing import Router
from tests.e2e.rig import wait_for
from tests.web.rig import Served, raw, serving


def head(answer: bytes) -> str:
    """Return the first line of an answer."""
    return answer.split(b"\r\n", 1)[0].decode()


def statuses(answer: bytes) -> list[bytes]:
    """Return the status of each answer, of several behind each other."""
    return re.findall(rb"HTTP/1\.1 (\d+) ", answer)


def document(answer: bytes) -> dict[str, object]:
    """Return the problem in an answer."""
    return dict(json.loads(answer.split(b"\r\n\r\n", 1)[1]))


def test_every_answer_has_the_headers_that_protect_it(server_on_sqlite: Served) -> None:
    for path in ("/", "/livez", "/api/v1/status", "/nothing/here"):
        headers = server_on_sqlite.get(path, None).headers

        assert {name: headers[name] for name in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
        assert "server" not in headers


def test_a_request_has_an_id_which_its_sender_may_give(server_on_sqlite: Served) -> None:
    given = server_on_sqlite.get("/livez", headers={"X-Request-ID": "order-17"})
    refused = server_on_sqlite.get("/livez", headers={"X-Request-ID": "a b\tc"})

    assert given.headers["x-request-id"] == "order-17"
    assert len(refused.headers["x-request-id"]) == 32


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_is_not_answered(server_on_sqlite: Served, host: str) -> None:
    answer = raw(
        server_on_sqlite,
        f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(),
    )

    assert head(answer).split()[1] in ("421", "400")
    assert b"dca" not in answer.split(b"\r\n\r\n", 1)[1].replace(b"urn:dca-scheduler", b"")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8460", "LOCALHOST:99"])
def test_this_machines_own_names_are_answered(server_on_sqlite: Served, host: str) -> None:
    assert server_on_sqlite.get("/livez", None, headers={"Host": host}).status_code == 200


def test_a_name_that_is_allowed_is_answered(sqlite_url: str) -> None:
    with serving(sqlite_url, allowed_hosts=["jobs.example.com"]) as served:
        headers = {"Host": "jobs.example.com:8443"}
        assert served.get("/livez", None, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n", 400),
        ("GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\n", 400),
        ("GET livez HTTP/1.1\r\nHost: localhost\r\n", 400),
        ("nonsense\r\n", 400),
        (f"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: {'x' * 40_000}\r\n", 431),
        ("POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n", 415),
        (
            "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
            "Transfer-Encoding: chunked\r\n",
            400,
        ),
    ],
    ids=["two hosts", "absolute", "relative", "nonsense", "long", "gzip", "smuggled"],
)
def test_a_head_that_is_not_as_it_must_be_is_a_problem(
    server_on_sqlite: Served, lines: str, status: int
) -> None:
    answer = raw(server_on_sqlite, f"{lines}Connection: close\r\n\r\n".encode())

    assert head(answer).split()[1] == str(status), answer
    assert MEDIA_TYPE.encode() in answer
    assert document(answer)["status"] == status


def test_more_requests_than_wait_on_a_connection_are_told_why(server_on_sqlite: Served) -> None:
    answer = raw(server_on_sqlite, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 18)

    assert head(answer).split()[1] == "400"
    assert "before the first is answered: read its answer" in str(document(answer)["detail"])


def test_a_head_that_never_ends_is_cut_off(sqlite_url: str) -> None:
    with serving(sqlite_url, header_timeout="1s") as served:
        assert raw(served, b"GET /livez HTTP/1.1\r\nHost: loc") == b""


def test_a_connection_that_asks_nothing_is_cut_off(sqlite_url: str) -> None:
    with serving(sqlite_url, header_timeout="1s") as served:
        assert raw(served, b"") == b""


def test_who_does_not_read_the_answer_is_cut_off(
    echo: None, lines: StringIO, sqlite_url: str
) -> None:
    with serving(sqlite_url, header_timeout="1s") as served:
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=240) as wire:
            wire.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_for(
                lambda: '"path": "/large"' in lines.getvalue(), within=60, what="the answer's end"
            )
            came = 0
            with suppress(ConnectionError):
                while part := wire.recv(1024**2):
                    came += len(part)

    assert came < _LARGE


# --- bodies: a route for these tests is added beside the real ones


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add POST /echo for an admin, GET /fails and GET /endless for anybody."""
    monkeypatch.setattr("scheduler.web.app.SURFACES", (*SURFACES, "of_a_test"))
    monkeypatch.setitem(
        sys.modules, "scheduler.web.of_a_test", cast(ModuleType, SimpleNamespace(router=_router))
    )


def test_a_body_is_not_read_before_the_token(echo: None, sqlite_url: str) -> None:
    with serving(sqlite_url) as served:
        answer = raw(
            served,
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n",
        )

        assert head(answer).split()[1] == "401"
        assert b"100 Continue" not in answer


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(echo: None, sqlite_url: str, is_chunked: bool) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(9):
            yield b"x" * 1024**2

    with serving(sqlite_url) as served:
        body = parts() if is_chunked else b"x" * 9 * 1024**2
        answer = served.post("/echo", Scope.ADMIN, content=body)

    assert answer.status_code == 413
    assert "8,388,608 bytes" in answer.json()["detail"]


def test_a_body_that_falls_silent_is_refused(echo: None, sqlite_url: str) -> None:
    with serving(sqlite_url, header_timeout="1s") as served:
        token = served.tokens[Scope.ADMIN]
        answer = raw(
            served,
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\nContent-Length: 1000\r\n\r\n[1,",
        )

    assert head(answer).split()[1] == "408"
    assert document(answer)["type"] == "urn:dca-scheduler:problem:too-slow"


def test_what_is_no_json_is_told_where(echo: None, sqlite_url: str) -> None:
    with serving(sqlite_url) as served:
        headers = {"Content-Type": "application/json"}
        broken = served.post("/echo", content=b"[1,", headers=headers)
        wrong = served.post("/echo", json=["a", 2])

    assert (broken.status_code, broken.json()["errors"][0]["pointer"]) == (422, "#")
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["#/0"]


def test_what_nobody_foresaw_is_told_without_a_trace(
    echo: None, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(sqlite_url) as served:
        answer = served.get("/fails", None)

    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:dca-scheduler:problem:internal"
    assert "canary" not in answer.text
    assert "Traceback" not in answer.text


def test_an_answer_that_takes_too_long_is_a_problem(echo: None, sqlite_url: str) -> None:
    with serving(sqlite_url, request_timeout="1s") as served:
        answer = served.get("/endless", None)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


# --- what routes have in common


@pytest.mark.parametrize("path", ["/api/v1/status", "/api/v1/schedules/nightly", "/livez", "/docs"])
def test_head_is_get_without_a_body(server_on_sqlite: Served, path: str) -> None:
    got, asked = server_on_sqlite.get(path), server_on_sqlite.ask("HEAD", path)

    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert int(asked.headers["content-length"]) > 0


@pytest.mark.parametrize("path", ["/api/v1/events", "/dca/dataset?id=j_a", "/api/v1/plan"])
def test_what_streams_or_is_passed_on_has_no_head(server_on_sqlite: Served, path: str) -> None:
    assert server_on_sqlite.ask("HEAD", path, Scope.ADMIN).status_code == 405


def test_a_method_that_a_path_does_not_know_is_told_with_those_it_does(
    server_on_sqlite: Served,
) -> None:
    answer = server_on_sqlite.ask("DELETE", "/api/v1/status", Scope.ADMIN)

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("shape", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_a_definition_already_is_told_so(server_on_sqlite: Served, shape: str) -> None:
    path = "/api/v1/schedules/nightly"
    tag = server_on_sqlite.get(path).headers["etag"]

    same = server_on_sqlite.get(path, headers={"If-None-Match": shape.format(tag)})
    other = server_on_sqlite.get(path, headers={"If-None-Match": '"other"'})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (other.status_code, other.headers["etag"]) == (200, tag)


def test_status_is_read_anew_after_a_change_made_here(server_on_sqlite: Served) -> None:
    before = server_on_sqlite.get("/api/v1/status").json()
    path = "/api/v1/schedules/nightly/pause"
    server_on_sqlite.post(path, Scope.OPERATE, json={"reason": "a test"})
    after = server_on_sqlite.get("/api/v1/status").json()

    assert (before["paused"], len(after["paused"])) == ([], 1)


# --- framing: what h11 and httptools refuse by themselves, and what they would not

_HOST = "Host: localhost\r\n"
_SMUGGLED = {
    "length twice": f"POST /livez HTTP/1.1\r\n{_HOST}Content-Length: 5\r\nContent-Length: 6\r\n",
    "length in two": f"POST /livez HTTP/1.1\r\n{_HOST}Content-Length: 5, 5\r\n",
    "length with a sign": f"POST /livez HTTP/1.1\r\n{_HOST}Content-Length: +5\r\n",
    "both, turned": (
        f"POST /livez HTTP/1.1\r\n{_HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"
    ),
    "another encoding": f"POST /livez HTTP/1.1\r\n{_HOST}Transfer-Encoding: identity\r\n",
    "an encoding before": f"POST /livez HTTP/1.1\r\n{_HOST}Transfer-Encoding: gzip, chunked\r\n",
    "an encoding, apart": (
        f"POST /livez HTTP/1.1\r\n{_HOST}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
    ),
    "an encoding of old": f"POST /livez HTTP/1.0\r\n{_HOST}Transfer-Encoding: chunked\r\n",
    "a bare line feed": f"GET /livez HTTP/1.1\r\n{_HOST}X: a\nY: b\r\n",
    "a bare return": f"GET /livez HTTP/1.1\r\n{_HOST}X: a\rY: b\r\n",
    "a folded line": f"GET /livez HTTP/1.1\r\n{_HOST}X: a\r\n b\r\n",
    "a blank before the colon": f"POST /livez HTTP/1.1\r\n{_HOST}Content-Length : 5\r\n",
    "a control character": f"GET /livez HTTP/1.1\r\n{_HOST}X: a\0b\r\n",
    "another version": f"GET /livez HTTP/2.0\r\n{_HOST}",
    "no version": "GET /livez\r\n",
    "no host": "GET /livez HTTP/1.1\r\nX: y\r\n",
    "a tunnel": f"CONNECT localhost:1 HTTP/1.1\r\n{_HOST}",
    "all of the server": f"OPTIONS * HTTP/1.1\r\n{_HOST}",
}


@pytest.mark.parametrize("lines", _SMUGGLED.values(), ids=_SMUGGLED)
def test_what_two_servers_may_read_in_two_ways_is_refused(
    server_on_sqlite: Served, lines: str
) -> None:
    answer = raw(server_on_sqlite, f"{lines}Connection: close\r\n\r\n".encode())

    assert head(answer).split()[1] in ("400", "501"), answer
    assert len(statuses(answer)) == 1


@pytest.mark.parametrize("size", ["5 ", "5\n", "0x5", "-5", "FFFFFFFFFFFFFFFFF", ""])
def test_a_chunk_of_no_clear_size_ends_the_connection(
    echo: None, sqlite_url: str, size: str
) -> None:
    with serving(sqlite_url) as served:
        token = served.tokens[Scope.ADMIN]
        answer = raw(
            served,
            f"POST /echo HTTP/1.1\r\n{_HOST}Content-Type: application/json\r\nAuthorization: Bearer"
            f" {token}\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n[1,2]\r\n0\r\n\r\n"
            f"GET /livez HTTP/1.1\r\n{_HOST}\r\n".encode(),
        )

    assert head(answer).split()[1] == "400", answer
    assert len(statuses(answer)) == 1


@pytest.mark.parametrize("way", ["trailer", "trailers", "extension", "line", "target"])
def test_what_is_no_body_is_as_long_as_a_head_may_be(echo: None, sqlite_url: str, way: str) -> None:
    begin = f"POST /echo HTTP/1.1\r\n{_HOST}Transfer-Encoding: chunked\r\n\r\n"
    begin, more = {
        "trailer": (f"{begin}5\r\n[1,2]\r\n0\r\nX: ", "x" * 1000),
        "trailers": (f"{begin}5\r\n[1,2]\r\n0\r\n", f"X: {'x' * 1000}\r\n"),
        "extension": (f"{begin}5;", "x" * 1000),
        "line": (f"GET /livez HTTP/1.1\r\n{_HOST}X: ", "x" * 1000),
        "target": ("GET /", "x" * 1000),
    }[way]
    with serving(sqlite_url) as served:
        answer = raw(served, begin.encode() + more.encode() * 40)

    assert head(answer).split()[1] in ("431", "401"), answer
    assert b"HTTP/1.1 200" not in answer


def test_a_line_behind_the_body_is_no_header(echo: None, sqlite_url: str) -> None:
    with serving(sqlite_url) as served:
        token = served.tokens[Scope.ADMIN]
        answer = raw(
            served,
            f"POST /echo HTTP/1.1\r\n{_HOST}Content-Type: application/json\r\nConnection: close\r\n"
            f"Transfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n0\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode(),
        )

    assert head(answer).split()[1] == "401", answer


def test_requests_that_come_at_once_are_answered_in_their_order(server_on_sqlite: Served) -> None:
    paths = ["/livez", "/nothing", "/livez"]
    requests = [f"GET {path} HTTP/1.1\r\n{_HOST}" for path in paths]
    answer = raw(server_on_sqlite, ("\r\n".join(requests) + "Connection: close\r\n\r\n").encode())

    assert statuses(answer) == [b"200", b"404", b"200"]


def test_very_many_requests_at_once_are_not_kept(server_on_sqlite: Served) -> None:
    answer = raw(server_on_sqlite, f"GET /livez HTTP/1.1\r\n{_HOST}\r\n".encode() * 100)

    assert answer.count(b"HTTP/1.1 200") < 100


def test_who_waits_for_100_and_is_refused_is_not_asked_for_more(
    echo: None, sqlite_url: str
) -> None:
    with serving(sqlite_url) as served:
        answer = raw(
            served,
            f"POST /echo HTTP/1.1\r\n{_HOST}Content-Type: application/json\r\n"
            "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n".encode(),
        )

    assert head(answer).split()[1] == "401"
    assert b"connection: close" in answer.lower()


def test_what_the_upstreams_clients_send_wrongly_is_told_in_their_shape(
    server_on_sqlite: Served,
) -> None:
    answer = raw(
        server_on_sqlite,
        f"POST /dca/trigger?collector=a HTTP/1.1\r\n{_HOST}Content-Length: x\r\n\r\n".encode(),
    )

    assert head(answer).split()[1] == "400"
    assert document(answer) == {"error": "this is no HTTP/1.1 request"}


def test_one_connection_too_many_is_told_to_come_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.web.serving._MOST_CONNECTIONS", 2)
    with serving(sqlite_url) as served, ExitStack() as held:
        host, port = served.url.removeprefix("http://").split(":")
        for _ in range(2):
            wire = held.enter_context(socket.create_connection((host, int(port)), timeout=60))
            wire.sendall(f"GET /livez HTTP/1.1\r\n{_HOST}\r\n".encode())
            assert b" 200 " in wire.recv(65536)

        full = raw(served, f"GET /livez HTTP/1.1\r\n{_HOST}\r\n".encode())
        upstreams = raw(served, f"GET /dca/log/j_1 HTTP/1.1\r\n{_HOST}\r\n".encode())
        held.close()
        wait_for(
            lambda: served.get("/livez", None).status_code == 200,
            within=30,
            what="an answer, once the others are closed",
        )

    assert statuses(full) == [b"503"]
    assert b"retry-after: 1\r\n" in full
    assert document(full)["type"] == "urn:dca-scheduler:problem:busy"
    assert "too many connections" in str(document(upstreams)["error"])


def test_an_answer_waits_for_no_acknowledgement(server_on_sqlite: Served) -> None:
    host, port = server_on_sqlite.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as wire:
        wire.sendall(f"GET /livez HTTP/1.1\r\n{_HOST}\r\n".encode())
        assert wire.recv(65536)
        ours = wire.getsockname()
        (theirs,) = (
            each.transport.get_extra_info("socket")
            for each in gc.get_objects()
            if isinstance(each, PatientProtocol) and each.client == ours
        )
        assert theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


_router = Router()


@_router.post("/echo")
async def _echo(caller: Admin, numbers: list[int]) -> list[int]:
    return numbers


@_router.get("/fails")
async def _fails(caller: Anybody) -> None:
    raise RuntimeError("canary: a secret")


_LARGE = 64 * 1024**2


@_router.get("/large")
async def _large(caller: Anybody) -> Response:
    return StreamingResponse(b"x" * 1024**2 for _ in range(_LARGE // 1024**2))


@_router.get("/endless")
async def _endless(caller: Anybody) -> None:
    await asyncio.Event().wait()


# --- what is told elsewhere


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """Give what is logged."""
    stream = StringIO()
    configure_logging("debug", "json", stream, of_requests=True)
    yield stream
    configure_logging()


def list_requests(lines: StringIO, count: int) -> list[dict[str, Any]]:
    """Wait for the lines of so many requests: each is written once its answer is on its way."""

    def listed() -> list[dict[str, Any]]:
        said = [json.loads(line) for line in lines.getvalue().splitlines()]
        return [line for line in said if line["event"] == "http_request"]

    wait_for(lambda: len(listed()) >= count, within=20, what="a line of each request")
    return listed()


def test_each_request_is_a_line_without_a_secret(lines: StringIO, server_on_sqlite: Served) -> None:
    served = server_on_sqlite
    answer = served.get("/sign-in?code=a-code-of-a-link", headers={"X-Request-ID": "mine"})
    served.get(f"/api/v1/status?token={served.tokens[Scope.ADMIN]}")
    served.post("/sign-in", None, data={"token": "a-wrong-one"}, headers={"Origin": served.url})

    requests = list_requests(lines, 3)
    assert answer.status_code == 200
    assert [line["path"] for line in requests] == ["/sign-in", "/api/v1/status", "/sign-in"]
    assert (requests[0]["request_id"], requests[0]["by"]) == ("mine", "a-read")
    assert "a-code-of-a-link" not in lines.getvalue()
    assert "a-wrong-one" not in lines.getvalue()
    assert not any(token in lines.getvalue() for token in served.tokens.values())


def test_a_line_of_a_refused_request_names_its_token(
    lines: StringIO, server_on_sqlite: Served
) -> None:
    refused = server_on_sqlite.post("/api/v1/schedules/nightly/pause", Scope.READ, json={})
    unknown = server_on_sqlite.get("/api/v1/status", headers={"Authorization": "Bearer nobody"})

    told = [(line["status"], line["by"]) for line in list_requests(lines, 2)]
    assert (refused.status_code, unknown.status_code) == (403, 401)
    assert told == [(403, "a-read"), (401, None)]


def test_a_database_that_cannot_be_used_is_told_without_its_place(
    lines: StringIO, server_on_sqlite: Served
) -> None:
    with server_on_sqlite.db.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE collectors RENAME TO elsewhere")
    answer = server_on_sqlite.get("/api/v1/collectors")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["type"] == "urn:dca-scheduler:problem:database"
    assert "scheduler.db" not in answer.text
    assert "no such table: collectors" in lines.getvalue()
