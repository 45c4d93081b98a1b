"""Every page: who may see it, as data, and that nothing in it is run or loaded from elsewhere."""

from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.responses import Response

from scheduler.domain.access import Scope
from scheduler.web.lately import Lately
from scheduler.web.pages.rendering import page_response
from tests.web.pages.rig import EVIL, fill, paths, sign_in
from tests.web.rig import Served

FOR_OPERATORS = ("/runs/retry", "/runs/cancel", "/runs/resend", "/runs/abandon")
FOR_ADMINS = (
    "/schedules/nightly/edit",
    "/batches/pages/edit",
    "/collectors/products/edit",
    "/queues/mine/edit",
)


class Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def test_every_page_lets_in_whom_it_says_and_nobody_else(served: Served) -> None:
    fill(served)
    for scope in Scope:
        session = sign_in(served, scope)
        for path in paths():
            answer = session.get(path)

            is_let_in = scope is Scope.ADMIN
            is_let_in |= scope is Scope.OPERATE and path not in FOR_ADMINS
            is_let_in |= scope is Scope.READ and path not in FOR_OPERATORS + FOR_ADMINS
            assert answer.status_code == (200 if is_let_in else 403), (path, scope, answer.text)
            assert answer.headers["content-type"].startswith("text/html")
            assert session.get(f"{path}.json").status_code == answer.status_code


def test_a_browser_that_is_not_signed_in_is_asked_to_and_comes_back(
    server_on_sqlite: Served,
) -> None:
    answer = server_on_sqlite.get("/runs?state=failed", None, headers={"Accept": "text/html"})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?to=/runs%3Fstate%3Dfailed"
    assert server_on_sqlite.get("/runs.json", None).status_code == 401


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example/", "/\\evil.example/", "https://evil.example/"]
)
def test_nobody_is_led_elsewhere_after_signing_in(server_on_sqlite: Served, elsewhere: str) -> None:
    sent = {"token": server_on_sqlite.tokens[Scope.READ], "to": elsewhere}
    headers = {"Sec-Fetch-Site": "same-origin"}
    answer = server_on_sqlite.post("/sign-in", None, data=sent, headers=headers)

    assert answer.headers["location"] == "/overview"


def test_a_page_has_no_script_or_style_of_its_own_and_loads_nothing_from_elsewhere(
    server_on_sqlite: Served,
) -> None:
    fill(server_on_sqlite)
    session = sign_in(server_on_sqlite, Scope.ADMIN)
    pages = [session.get(path).text for path in paths()]
    pages += [session.get(path).text for path in ("/sign-in", "/nothing", "/runs?state=none")]
    pages += [session.get(path).text for path in ("/system?check=1&measure=1", "/runs/9")]

    for page in pages:
        assert EVIL not in page
        for tag, attributes in Elements(page).found:
            assert tag != "style"
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
            assert tag != "script" or attributes.get("src", "").startswith("/static/")
            for name in ("src", "href", "action", "formaction"):
                assert attributes.get(name, "/").startswith(("/", "#")), attributes
                assert not attributes.get(name, "/").startswith("//")


def test_a_token_that_may_only_read_sees_no_button_and_no_token(server_on_sqlite: Served) -> None:
    fill(server_on_sqlite)
    session = sign_in(server_on_sqlite, Scope.READ)

    for path in paths():
        page = session.get(path).text
        forms = [form for tag, form in Elements(page).found if tag == "form"]
        changing = {form["action"] for form in forms if form.get("method") == "post"}
        assert changing <= {"/sign-out", "/zone"}, path
        assert "dcas_" not in page


def test_what_is_static_may_be_kept_for_ever(server_on_sqlite: Served) -> None:
    page = server_on_sqlite.get("/sign-in", None).text
    names = [
        attributes.get("src") or attributes["href"]
        for tag, attributes in Elements(page).found
        if tag in ("script", "link")
    ]

    assert len(names) == 4
    for name in names:
        answer = server_on_sqlite.get(name, None)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert server_on_sqlite.get("/static/style.css", None).status_code == 404


def test_a_filter_that_makes_no_sense_is_a_page_that_says_so(server_on_sqlite: Served) -> None:
    session = sign_in(server_on_sqlite, Scope.READ)

    for path in ("/runs?state=no", "/runs?since=no", "/runs?before=no", "/schedules?show=no"):
        answer = session.get(path)
        assert (answer.status_code, "no" in answer.text) == (422, True), path
    assert session.get("/runs?schedule=nobody").status_code == 404
    # An empty field of a form says nothing.
    assert session.get("/runs?schedule=&since=&reason=").status_code == 200


def test_moments_are_in_the_zone_that_was_chosen(server_on_sqlite: Served) -> None:
    session = sign_in(server_on_sqlite, Scope.READ)
    fill(server_on_sqlite)

    answer = session.post("/zone", zone="Asia/Kolkata", to="/runs/1")

    place = "/runs/1?zone=Asia/Kolkata"
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert "shown: Asia/Kolkata" in session.get("/runs/1").text
    # What the address says goes before what was chosen: a link shows the same to all.
    assert "shown: Europe/Berlin" in session.get("/runs/1?zone=Europe/Berlin").text
    session.client.cookies.set("dcas_zone", "No/Where")
    assert "shown: UTC" in session.get("/runs/1").text


def test_a_name_that_ends_like_data_has_its_page(server_on_sqlite: Served) -> None:
    for name in ("mine.json", "mine"):
        made = {"name": name, "collector": "products", "batch": "pages", "every": "1h"}
        assert server_on_sqlite.post("/api/v1/schedules", json=made).is_success
    session = sign_in(server_on_sqlite, Scope.READ)

    page = session.get("/schedules/mine.json")
    data = server_on_sqlite.get("/schedules/mine.json").json()
    its_data = server_on_sqlite.get("/schedules/mine.json.json").json()

    assert ">mine.json</h1>" in page.text
    assert (data["schedule"]["name"], its_data["schedule"]["name"]) == ("mine", "mine.json")
    assert session.get("/schedules/nightly.json").json()["schedule"]["name"] == "nightly"


def test_the_names_that_there_are_stand_behind_the_fields_of_a_filter(served: Served) -> None:
    made = {"name": "mine", "collector": "products", "batch": "pages", "every": "1h"}
    assert served.post("/api/v1/schedules", json={**made, "labels": ["eu", "new"]}).is_success
    session = sign_in(served, Scope.READ)

    for path in ("/runs", "/schedules"):
        page = session.get(path).text
        for name in ("products", "pages", "eu", "new"):
            assert f'<option value="{name}"></option>' in page, (path, name)


@pytest.mark.parametrize(
    ("path", "terminal", "http"),
    [
        (
            "/runs?state=failed&label=x",
            "runs list --label x --state failed",
            "runs?label=x&state=failed",
        ),
        (
            "/schedules?label=x&show=off",
            "schedules list --label x --disabled",
            "schedules?label=x&enabled=false",
        ),
        ("/schedules?show=paused", "schedules list --paused", "schedules?paused=true"),
        (
            "/schedules/nightly?at=2026-03-02 09:00",
            "explain nightly &#39;2026-03-02 09:00&#39;",
            "schedules/nightly/explain?at=2026-03-02T09%3A00%3A00",
        ),
        ("/system", "status", "daemons"),
        ("/system?check=1", "doctor", "doctor"),
        ("/system?measure=1", "db size", "daemons"),
    ],
)
def test_the_same_is_said_for_the_terminal_and_over_http(
    server_on_sqlite: Served, path: str, terminal: str, http: str
) -> None:
    session = sign_in(server_on_sqlite, Scope.READ)

    page = session.get(path).text

    assert f'<code class="copy">dca-scheduler {terminal}</code>' in page
    assert f"/api/v1/{http}".replace("&", "&amp;") in page
    assert server_on_sqlite.get(f"/api/v1/{http}").status_code == 200


def test_a_page_is_made_once_for_all_who_ask_at_a_time_and_for_each_scope_and_zone_its_own(
    server_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Hashable] = []
    together = Lately.together

    async def noted(self: Lately, key: Hashable, read: Callable[[], Awaitable[Any]]) -> Any:
        asked.append(key)
        return await together(self, key, read)

    monkeypatch.setattr(Lately, "together", noted)
    reader, other = (sign_in(server_on_sqlite, Scope.READ) for _ in range(2))
    admin = sign_in(server_on_sqlite, Scope.ADMIN)
    pages = [session.get("/system").text for session in (reader, other, admin)]
    other.client.cookies.set("dcas_zone", "Europe/Berlin")
    other.get("/system")
    other.get("/system?check=0")

    # What is shown is read for all of a scope, what is sent is written for all of a session.
    first, same, of_admin, elsewhere, more = asked[1::2]
    assert first == same
    assert len({first, of_admin, elsewhere, more}) == 4
    assert len(set(asked[::2])) == 5
    # Each has its own word, and sees what it may.
    assert [
        session.csrf() in page for session, page in zip((reader, other, admin), pages, strict=True)
    ] == [
        False,
        False,
        True,
    ]
    assert ["dcas_" in page for page in pages] == [False, False, True]


def test_who_asks_the_same_at_a_time_gets_the_same_with_headers_of_its_own(
    server_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Response] = []

    def noted(*given: Any) -> Response:
        made.append(page_response(*given))
        return made[-1]

    monkeypatch.setattr("scheduler.web.pages.page.page_response", noted)
    session = sign_in(server_on_sqlite, Scope.READ)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(session.get, ["/system"] * 24))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["x-request-id"] for answer in answers}) == 24
    # What each is given on its way out stays out of what is shared.
    assert made and not any("x-request-id" in answer.headers for answer in made)
