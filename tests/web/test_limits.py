"""How often a client may ask, and what wrong tokens cost."""

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from scheduler.domain.access import Scope
from tests.e2e.rig import wait_for
from tests.web.rig import Served, serving


def test_a_client_that_asks_too_often_is_told_when_to_ask_again(sqlite_url: str) -> None:
    with serving(sqlite_url, requests_per_second=0.5) as served:
        answers = [served.get("/api/v1/status") for _ in range(3)]
        another = served.get("/api/v1/status", Scope.ADMIN)

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert another.status_code == 200


def test_many_wrong_tokens_are_slowed_down_and_a_right_one_is_not(sqlite_url: str) -> None:
    wrong = {"Authorization": "Bearer dcas_" + "x" * 49}
    with serving(sqlite_url) as served:
        statuses = [
            served.get("/api/v1/status", None, headers=wrong).status_code for _ in range(15)
        ]
        right = served.get("/api/v1/status")

    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429
    assert right.status_code == 200


def test_wrong_tokens_write_nothing(server_on_sqlite: Served) -> None:
    token = server_on_sqlite.tokens[Scope.READ]
    wrong = {"Authorization": f"Bearer {token[:-1]}{'1' if token[-1] == '0' else '0'}"}
    # What data_version counts from is the connection's own.
    with closing(sqlite3.connect(str(server_on_sqlite.db.file))) as watching:
        before = watching.execute("PRAGMA data_version").fetchone()
        for _ in range(20):
            server_on_sqlite.get("/api/v1/status", None, headers=wrong)

        assert watching.execute("PRAGMA data_version").fetchone() == before
        assert watching.execute("SELECT count(last_used_at) FROM api_tokens").fetchone() == (0,)


@pytest.mark.parametrize(
    ("limit", "status", "kind"), [("MOST_OF_ONE", 429, "too-many"), ("MOST_AT_ONCE", 503, "busy")]
)
def test_only_so_many_requests_are_answered_at_once(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, limit: str, status: int, kind: str
) -> None:
    monkeypatch.setattr(f"scheduler.web.guard.{limit}", 1)
    with serving(sqlite_url) as served:
        one_by_one = [served.get("/api/v1/queues").status_code for _ in range(3)]
        with sent_slowly(served) as finish:
            beyond = served.get("/api/v1/queues", Scope.ADMIN)
            probed = served.get("/livez", None).status_code
            another = served.get("/api/v1/queues").status_code
            finish()
        after = wait_for(
            lambda: served.get("/api/v1/queues", Scope.ADMIN).status_code == 200,
            within=20,
            what="an answer",
        )

    assert one_by_one == [200, 200, 200]
    assert (beyond.status_code, beyond.headers["retry-after"]) == (status, "1")
    assert beyond.json()["type"].endswith(f":{kind}")
    assert (probed, another, after) == (200, 200 if limit == "MOST_OF_ONE" else 503, True)


def test_whoever_waits_for_the_database_is_answered_in_time(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    """More ask than there are threads, all of them to be let in: each has its answer, and goes."""
    never = threading.Event()

    def look(*_: object, **__: object) -> None:
        never.wait(3)

    with serving(sqlite_url, request_timeout="1s") as served:
        with monkeypatch.context() as meanwhile, ThreadPoolExecutor(20) as clients:
            meanwhile.setattr("scheduler.web.guard.find_holder", look)
            begun = time.monotonic()
            asked = [clients.submit(served.get, "/api/v1/queues") for _ in range(20)]
            answers = [one.result() for one in asked]
            took = time.monotonic() - begun
        after = served.get("/api/v1/queues").status_code

    assert {one.status_code for one in answers} == {503}
    assert {one.json()["type"] for one in answers} == {"urn:dca-scheduler:problem:timeout"}
    assert after == 200
    assert took < 12  # four at a time, all of them would take fifteen seconds


@contextmanager
def sent_slowly(served: Served) -> Iterator[Callable[[], None]]:
    """Begin a request whose body does not come before it is told to; it is being answered."""
    host, port = served.url.removeprefix("http://").rsplit(":", 1)
    head = (
        "POST /api/v1/plan HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/toml\r\n"
        f"Authorization: Bearer {served.tokens[Scope.ADMIN]}\r\nContent-Length: 3\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=60) as wire:
        wire.sendall(head.encode())
        assert b" 100 " in wire.recv(65536)

        def finish() -> None:
            wire.sendall(b"#a\n")
            assert wire.recv(65536)

        yield finish


def test_who_may_read_without_a_token_changes_nothing(sqlite_url: str) -> None:
    with serving(sqlite_url, anonymous="read") as served:
        assert served.get("/api/v1/status", None).status_code == 200
        assert served.get("/readyz?verbose", None).json()["checks"]["schema"] == "ok"


# --- proxies

FORWARDED = {
    "Host": "jobs.example.com",
    "X-Forwarded-For": "9.9.9.9, 203.0.113.7, 127.0.0.1",
    "X-Forwarded-Proto": "https",
}


def test_a_named_proxy_is_believed_and_nobody_else(sqlite_url: str) -> None:
    proxied = {"proxies": ["127.0.0.1"], "allowed_hosts": ["jobs.example.com"]}
    with serving(sqlite_url, **proxied) as served:
        answer = served.get("/livez", None, headers=FORWARDED)
        wrong = [served.get("/api/v1/status", None, headers=_wrong(FORWARDED)) for _ in range(11)]
        other = {**_wrong(FORWARDED), "X-Forwarded-For": "9.9.9.9"}
        elsewhere = served.get("/api/v1/status", None, headers=other)

    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    # The right-most that is no proxy counts: what stands before it, anybody may have written.
    assert [wrong[-1].status_code, elsewhere.status_code] == [429, 401]


def test_who_is_no_proxy_is_not_believed(sqlite_url: str) -> None:
    with serving(sqlite_url, allowed_hosts=["jobs.example.com"]) as served:
        direct = served.get("/livez", None, headers=FORWARDED)

    assert "strict-transport-security" not in direct.headers


def _wrong(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Authorization": "Bearer wrong"}
