"""Signing in: a token, or a link that works once, becomes a cookie that ends."""

from datetime import datetime, timedelta

import httpx
import pytest

from scheduler.actions.api_tokens import make_link, revoke_token
from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.views.api_tokens import IDLE
from tests.web.rig import Served, serving

HERE = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
"""What a browser sends with a form on a page of ours: it is told to have no referrer."""


def sign_in(served: Served, headers: dict[str, str] = HERE, **form: str) -> httpx.Response:
    form = form or {"token": served.tokens[Scope.READ]}
    return served.post("/sign-in", None, data=form, headers=headers)


def link(served: Served) -> str:
    with served.db.writing() as conn:
        return make_link(conn, "a-read", by="test", now=utc_now())


def test_a_token_becomes_a_session(served: Served) -> None:
    answer = sign_in(served)

    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert served.tokens[Scope.READ] not in cookie
    assert served.get("/api/v1/status", None).status_code == 200
    assert "a-read" in served.get("/overview", None, headers={"Accept": "text/html"}).text


def test_a_link_works_once(served: Served) -> None:
    code = link(served)
    page = served.get(f"/sign-in?code={code}", None)
    first = sign_in(served, code=code)
    served.client.cookies.clear()
    second = sign_in(served, code=code)

    assert page.status_code == 200  # to look at it, as a preview does, uses nothing up
    assert first.status_code == 303
    assert (second.status_code, "was used" in second.text) == (401, True)


def test_a_session_ends_with_its_token(served: Served) -> None:
    sign_in(served)
    with served.db.writing() as conn:
        revoke_token(conn, "a-read", by="test", now=utc_now())

    assert served.get("/api/v1/status", None).status_code == 401


def test_who_signs_out_is_out_at_once(served: Served) -> None:
    sign_in(served)
    kept = dict(served.client.cookies)
    assert served.get("/api/v1/status", None).status_code == 200
    served.post("/sign-out", None, headers=HERE)

    served.client.cookies.update(kept)
    assert served.get("/api/v1/status", None).status_code == 401


@pytest.mark.parametrize("later", [IDLE, timedelta(hours=12)])
def test_a_session_has_an_end(sqlite_url: str, later: timedelta) -> None:
    passed = timedelta()

    def clock() -> datetime:
        return utc_now() + passed

    with serving(sqlite_url) as served:
        served.site.clock = clock
        sign_in(served)
        passed = later

        assert served.get("/api/v1/status", None).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    ],
    ids=["nothing", "cross", "same site", "origin", "both"],
)
def test_a_form_of_another_origin_is_refused(
    server_on_sqlite: Served, headers: dict[str, str]
) -> None:
    refused = sign_in(server_on_sqlite, headers)
    sign_in(server_on_sqlite)
    signed_out = server_on_sqlite.post("/sign-out", None, headers=headers)

    assert (refused.status_code, signed_out.status_code) == (403, 403)
    assert server_on_sqlite.get("/api/v1/status", None).status_code == 200


def test_behind_tls_no_other_host_may_set_the_cookie(sqlite_url: str) -> None:
    proxied = {"proxies": ["127.0.0.1"], "allowed_hosts": ["jobs.example.com"]}
    headers = {**HERE, "Host": "jobs.example.com", "X-Forwarded-Proto": "https"}
    with serving(sqlite_url, **proxied) as served:
        answer = sign_in(served, headers)
        cookie = answer.headers["set-cookie"].split(";")[0]
        name, _, secret = cookie.partition("=")
        with_it = {**headers, "Cookie": cookie}
        under_the_other_name = {**headers, "Cookie": f"dcas_session={secret}"}

        assert name == "__Host-dcas_session"
        assert "Secure" in answer.headers["set-cookie"]
        assert served.get("/api/v1/status", None, headers=with_it).status_code == 200
        assert served.get("/api/v1/status", None, headers=under_the_other_name).status_code == 401


def test_what_lets_nobody_in_is_told_on_the_page(server_on_sqlite: Served) -> None:
    answers = [sign_in(server_on_sqlite, token="<b>wrong") for _ in range(12)]

    assert answers[0].status_code == 401
    assert "this token lets nobody in" in answers[0].text
    assert answers[-1].status_code == 429


def test_a_browser_is_asked_to_sign_in(server_on_sqlite: Served) -> None:
    answer = server_on_sqlite.get("/", None, headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "<script>" not in server_on_sqlite.get("/sign-in?code=%22%3E%3Cscript%3E", None).text
