"""In a real browser: what the pages do there, and that it has nothing to say against them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scheduler.actions.api_tokens import create_token
from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.domain.notices import AlertKind, Observed
from scheduler.storage import alerts
from tests.web.pages.rig import BROUGHT, CRAWLS, change_result, fill, new_run, paths, store_result
from tests.web.rig import Served

pytestmark = pytest.mark.needs("chromium")

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE: Final = 120_000
"""Milliseconds that something may take on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give Debian's browser, one for all tests here."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
        yield opened
        opened.close()


@dataclass(slots=True)
class Watched:
    """A window, and what it had to say: errors, refusals of the CSP, requests to elsewhere."""

    page: Page
    said: list[str] = field(default_factory=list)


@contextmanager
def window(browser: Browser, served: Served, **how: Any) -> Iterator[Page]:
    """Open a window of its own; whatever it complains of fails the test."""
    context = browser.new_context(**how)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    said: list[str] = []
    # 409 is how a form is asked back: the browser notes it as an error.
    page.on(
        "console",
        lambda line: (
            said.append(line.text)
            if line.type == "error" and "409 (Conflict)" not in line.text
            else None
        ),
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request",
        lambda sent: None if sent.url.startswith(served.url) else said.append(f"asked {sent.url}"),
    )
    yield page
    context.close()
    assert said == []


def sign_in(page: Page, served: Served, scope: Scope) -> None:
    page.goto(f"{served.url}/runs")
    page.get_by_label("Token").fill(served.tokens[scope])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()


def test_an_operator_filters_by_the_keyboard_and_cancels_a_run(
    browser: Browser, server_on_sqlite: Served
) -> None:
    mine, other = new_run(server_on_sqlite, queue="night"), new_run(server_on_sqlite)
    with window(browser, server_on_sqlite) as page:
        sign_in(page, server_on_sqlite, Scope.OPERATE)
        page.keyboard.press("g")
        page.keyboard.press("o")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        page.keyboard.press("g")
        page.keyboard.press("r")
        expect(page.locator("tr[data-key]")).to_have_count(2)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.type("night")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"[?&]queue=night"))
        expect(page.locator("tr[data-key]")).to_have_count(1)
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=f"Run {mine}")).to_be_visible()

        page.get_by_text("Cancel …").click()
        page.get_by_label("Why").fill("not needed")
        page.get_by_role("button", name="Cancel").click()

        expect(page.get_by_role("status")).to_contain_text("is being cancelled")
        expect(page.locator("#state")).to_contain_text("not needed")
    assert server_on_sqlite.get(f"/api/v1/runs/{other}").json()["state"] == "queued"


def test_what_comes_waits_until_it_is_asked_for_and_what_is_typed_stays(
    browser: Browser, server_on_sqlite: Served
) -> None:
    first = new_run(server_on_sqlite)
    with window(browser, server_on_sqlite) as page:
        sign_in(page, server_on_sqlite, Scope.READ)
        expect(page.locator("#liveness")).to_have_text("live")
        field = page.get_by_label("schedule", exact=True)
        field.press_sequentially("night")

        new_run(server_on_sqlite)
        server_on_sqlite.post(f"/api/v1/runs/{first}/cancel")

        expect(page.locator("#news")).to_have_text("1 new")
        # The row that is there has changed in its place; the other waits.
        expect(page.locator(f'tr[data-key="{first}"]')).to_contain_text("cancelled")
        expect(page.locator("tr[data-key]")).to_have_count(1)
        expect(field).to_be_focused()
        expect(field).to_have_value("night")
        page.locator("#news").click()
        expect(page.locator("tr[data-key]")).to_have_count(2)


def test_without_a_script_all_can_be_done(browser: Browser, server_on_sqlite: Served) -> None:
    run = new_run(server_on_sqlite)
    with window(browser, server_on_sqlite, java_script_enabled=False) as page:
        sign_in(page, server_on_sqlite, Scope.OPERATE)
        page.get_by_label("collector", exact=True).fill("products")
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("link", name=str(run), exact=True).click()
        page.get_by_text("Cancel …").click()
        page.get_by_label("Why").fill("x")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("status")).to_contain_text("is being cancelled")
        page.get_by_label("Times in").select_option("schedule")
        page.get_by_role("button", name="Set").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1280), ("dark", 1920)]
)
def test_every_page_can_be_used_by_all_and_fits_on_a_phone_and_a_wide_screen(
    browser: Browser, server_on_sqlite: Served, scheme: str, width: int
) -> None:
    fill(server_on_sqlite)
    size = {"width": width, "height": 800}
    with window(browser, server_on_sqlite, color_scheme=scheme, viewport=size) as page:
        sign_in(page, server_on_sqlite, Scope.ADMIN)
        for path in [
            *paths(),
            *(f"/runs/{run}" for run in (9, CRAWLS, BROUGHT)),
            "/system?check=1",
        ]:
            page.goto(server_on_sqlite.url + path)
            # A row that is marked as changed is so for a moment only.
            found = Axe().run(page, options={"resultTypes": ["violations"]})
            assert found.violations_count == 0, f"{path}: {found.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_head_is_one_line_and_shows_which_page_is_open(
    browser: Browser, server_on_sqlite: Served
) -> None:
    fill(server_on_sqlite)
    name = "grafana-dashboard-of-the-platform-team"
    with server_on_sqlite.db.writing() as conn:
        made = create_token(conn, name, scope=Scope.READ, by="a test", now=utc_now())
    served = replace(server_on_sqlite, tokens={Scope.READ: made.token})
    with window(browser, served, viewport={"width": 1280, "height": 800}) as page:
        sign_in(page, served, Scope.READ)
        assert page.locator(".top").evaluate("it => it.offsetHeight") < 50

        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(f"{served.url}/system")
        # Of a head that is wider than the screen, the page that is open is seen.
        here = page.locator(".top nav [aria-current]").bounding_box()
        assert here is not None
        assert 0 <= here["x"] < here["x"] + here["width"] <= 360


def test_a_row_of_results_is_low_on_a_phone(browser: Browser, server_on_sqlite: Served) -> None:
    fill(server_on_sqlite)
    store_result(server_on_sqlite, CRAWLS, state="saved")
    with window(browser, server_on_sqlite, viewport={"width": 360, "height": 740}) as page:
        sign_in(page, server_on_sqlite, Scope.READ)
        page.goto(f"{server_on_sqlite.url}/results")
        row = page.locator(f'tr[data-key="{CRAWLS}"]')
        assert row.evaluate("it => it.offsetHeight") < 60


def test_what_was_brought_is_acted_on_by_its_buttons(
    browser: Browser, server_on_sqlite: Served
) -> None:
    fill(server_on_sqlite)
    with window(browser, server_on_sqlite) as page:
        sign_in(page, server_on_sqlite, Scope.OPERATE)
        for path, summary, done in (
            (f"/runs/{CRAWLS}", "Pause the collection", "is asked to pause"),
            (f"/runs/{BROUGHT}", "Rerun the collection", "is asked to rerun"),
            ("/results", "Do without", "nobody saves the result"),
            ("/alerts", "I know", "reminded"),
        ):
            page.goto(server_on_sqlite.url + path)
            page.get_by_text(f"{summary} …").first.click()
            page.locator("details[open]").get_by_label("Why").fill("a person says so")
            page.locator("details[open]").get_by_role("button").click()
            if "rerun" in done:  # it is paid for
                expect(page.get_by_role("alert")).to_contain_text("would be run again")
                page.get_by_role("button", name="Yes, 1").click()
            expect(page.get_by_role("status")).to_contain_text(done)
        page.goto(f"{server_on_sqlite.url}/schedules/nightly")
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_role("status")).to_contain_text("parked no more")
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("status")).to_contain_text("resumed")
    asked = server_on_sqlite.get(f"/runs/{CRAWLS}.json").json()
    assert "a person says so" in str(asked)
    (result,) = server_on_sqlite.get("/results.json").json()["items"]
    assert result["state"] == "dismissed"
    assert server_on_sqlite.get("/schedules/nightly.json").json()["parked"] == []


def test_a_result_that_comes_leaves_what_is_typed_and_selected(
    browser: Browser, server_on_sqlite: Served
) -> None:
    fill(server_on_sqlite)
    with window(browser, server_on_sqlite) as page:
        sign_in(page, server_on_sqlite, Scope.OPERATE)
        page.goto(f"{server_on_sqlite.url}/results")
        expect(page.locator("#liveness")).to_have_text("live")
        field = page.get_by_label("schedule", exact=True)
        field.press_sequentially("nightly")
        field.press("Shift+ArrowLeft")

        store_result(server_on_sqlite, CRAWLS, state="waiting")
        new_run(server_on_sqlite)  # is told to every page

        expect(page.locator("#news")).to_have_text("1 new")
        expect(page.locator("tr[data-key]")).to_have_count(1)
        expect(field).to_be_focused()
        selected = "[document.activeElement.value, document.activeElement.selectionStart]"
        assert page.evaluate(selected) == ["nightly", 6]
        # What is opened and typed into stays, too, whatever becomes of its row.
        page.get_by_text("Do without …").click()
        why = page.locator("details[open]").get_by_label("Why")
        why.press_sequentially("not")
        page.keyboard.press(".")
        change_result(server_on_sqlite, BROUGHT, path="c/d.jsonl")
        store_result(server_on_sqlite, 9, state="waiting")
        new_run(server_on_sqlite)
        expect(page.locator("#news")).to_have_text("2 new")
        expect(why).to_be_focused()
        expect(why).to_have_value("not.")
        page.locator("#news").click()
        expect(page.locator("tr[data-key]")).to_have_count(3)


def test_alerts_are_known_by_the_keyboard_alone(browser: Browser, server_on_sqlite: Served) -> None:
    fill(server_on_sqlite)
    with window(browser, server_on_sqlite) as page:
        sign_in(page, server_on_sqlite, Scope.OPERATE)
        for key in "ga":
            page.keyboard.press(key)
        expect(page.get_by_role("heading", name="Alerts")).to_be_visible()
        summary = page.get_by_text("I know …").first
        while not summary.evaluate("it => it === document.activeElement"):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("the vendor is told")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("reminded")
    (alert,) = server_on_sqlite.get("/alerts.json").json()["items"]
    assert alert["acked_reason"] == "the vendor is told"


def test_an_alert_that_begins_and_ends_is_seen_without_any_event(
    browser: Browser, server_on_sqlite: Served
) -> None:
    with window(browser, server_on_sqlite) as page:
        page.clock.install()
        sign_in(page, server_on_sqlite, Scope.OPERATE)
        page.goto(f"{server_on_sqlite.url}/alerts")
        expect(page.locator("#liveness")).to_have_text("live")
        expect(page.get_by_text("nothing is wrong")).to_be_visible()
        with server_on_sqlite.db.writing() as conn:
            seen = Observed(kind=AlertKind.FAILING, subject="schedules.nightly", since=utc_now())
            alert = alerts.insert_alert(conn, seen)

        page.clock.fast_forward(20_000)
        expect(page.locator("tr[data-key]")).to_have_count(1)
        with server_on_sqlite.db.writing() as conn:
            alerts.update_alert(conn, replace(alert, recovered_at=utc_now()))

        page.clock.fast_forward(20_000)
        expect(page.locator("#news")).to_have_text("1 gone")
        expect(page.locator("tr[data-key]")).to_have_count(1)
        page.locator("#news").click()
        expect(page.get_by_text("nothing is wrong")).to_be_visible()


def test_without_a_script_each_page_is_whole(browser: Browser, server_on_sqlite: Served) -> None:
    fill(server_on_sqlite)
    with window(browser, server_on_sqlite, java_script_enabled=False) as page:
        sign_in(page, server_on_sqlite, Scope.ADMIN)
        for path in [*paths(), f"/runs/{CRAWLS}", f"/runs/{BROUGHT}"]:
            page.goto(server_on_sqlite.url + path)
            assert page.locator("h1").inner_text(), path
            assert "live" not in page.locator("#liveness").inner_text().split(), path
        page.goto(f"{server_on_sqlite.url}/results")
        page.get_by_role("button", name="Save now").click()
        expect(page.get_by_role("status")).to_be_visible()


def test_what_is_printed_has_no_button(browser: Browser, server_on_sqlite: Served) -> None:
    fill(server_on_sqlite)
    with window(browser, server_on_sqlite) as page:
        sign_in(page, server_on_sqlite, Scope.ADMIN)
        page.emulate_media(media="print")
        for path in [*paths(), f"/runs/{CRAWLS}", f"/runs/{BROUGHT}"]:
            page.goto(server_on_sqlite.url + path)
            shown = page.locator("button, .button, form, .more, .same").filter(visible=True)
            assert shown.count() == 0, (path, shown.all_inner_texts())
            assert page.locator("h1").is_visible()
