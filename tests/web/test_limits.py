"""How often a client may ask, and what wrong tokens cost."""

import sqlite3
from contextlib import closing

from scheduler.domain.access import Scope
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
    wrong = {"Authorization": f"Bearer {server_on_sqlite.tokens[Scope.READ][:-1]}0"}
    # What data_version counts from is the connection's own.
    with closing(sqlite3.connect(str(server_on_sqlite.db.file))) as watching:
        before = watching.execute("PRAGMA data_version").fetchone()
        for _ in range(20):
            server_on_sqlite.get("/api/v1/status", None, headers=wrong)

        assert watching.execute("PRAGMA data_version").fetchone() == before
        assert watching.execute("SELECT count(last_used_at) FROM api_tokens").fetchone() == (0,)


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
