"""Upcoming and Schedule: what they show, without a script, and what their forms do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from xml.etree import ElementTree as ET

import httpx
import pytest

from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from tests.storage.rows import insert_run
from tests.web.rig import Served

PAGE = {"Accept": "text/html"}


def shown(served: Served, path: str) -> str:
    answer = served.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    assert "style=" not in answer.text
    for svg in re.findall(r"<svg[^>]*/>|<svg.*?</svg>", answer.text, re.DOTALL):
        ET.fromstring(svg.replace('aria-hidden="true"', ""))  # noqa: S314 - our own
    return answer.text


@contextmanager
def signed_in(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60, follow_redirects=False) as client:
        client.headers["Origin"] = served.url
        client.post("/sign-in", data={"token": served.tokens[Scope.OPERATE]})
        yield client


def send(client: httpx.Client, page: str, action: str, **fields: str) -> httpx.Response:
    """Send the form of *page* that leads to *action*, as a browser does."""
    text = client.get(page, headers=PAGE).text
    assert f'action="{action}"' in text
    (csrf, *_) = re.findall(r'name="csrf" value="([^"]+)"', text)
    return client.post(action, data={"csrf": csrf, **fields})


def test_upcoming_shows_what_is_due_and_why(server_on_sqlite: Served) -> None:
    page = shown(server_on_sqlite, "/upcoming")

    assert "at 02:00, UTC" in page
    assert '<a href="/schedules/nightly" class="whole">nightly</a>' in page
    assert page.count("<svg") > 3
    assert server_on_sqlite.get("/upcoming.json").json()["entries"][0]["schedule"] == "nightly"


def test_upcoming_is_a_calendar_too(server_on_sqlite: Served) -> None:
    answer = server_on_sqlite.get("/upcoming.ics")

    assert answer.headers["content-type"].startswith("text/calendar")
    assert answer.text.count("BEGIN:VEVENT") == 7
    assert server_on_sqlite.get("/upcoming.ics", None).status_code == 401


@pytest.mark.parametrize("hours", ["0", "169", "x"])
def test_too_many_hours_are_refused(server_on_sqlite: Served, hours: str) -> None:
    assert server_on_sqlite.get(f"/upcoming?hours={hours}").status_code == 422


def test_a_schedule_is_told_in_words_with_its_pictures(served: Served) -> None:
    with served.db.writing() as conn:
        insert_run(
            conn,
            schedule="nightly",
            due_at=utc_now(),
            state="skipped",
            reason="missed",
            body=None,
        )

    page = shown(served, "/schedules/nightly")

    assert "At 02:00, UTC." in page
    assert "A run that brings no row has failed." in page
    assert "no run has been sent yet" in page
    assert 'class="picture year"' in page
    assert served.get("/schedules/nightly.json").json()["schedule"]["name"] == "nightly"
    assert served.get("/schedules/nigthly", headers=PAGE).status_code == 404


def test_why_it_ran_or_did_not_is_answered_on_its_page(server_on_sqlite: Served) -> None:
    page = shown(server_on_sqlite, "/schedules/nightly?at=2026-01-01+02:00")
    misread = shown(server_on_sqlite, "/schedules/nightly?at=yesterday")

    assert "before created" in page
    assert "dca-scheduler explain nightly" in page
    assert "is no time, such as" in misread


def test_an_operator_pauses_overrides_and_fires_on_the_page(served: Served) -> None:
    until = f"{utc_now() + timedelta(days=2):%Y-%m-%dT%H:%M}"
    place = "/schedules/nightly"
    with signed_in(served) as client:
        paused = send(client, place, f"{place}/pause", reason="stock-taking", until=until)
        told = client.get(place, headers=PAGE).text
        send(client, place, f"{place}/resume")
        send(
            client, place, f"{place}/override", field="priority", value="7", until=until, reason="x"
        )
        overridden = client.get(place, headers=PAGE).text
        send(client, place, f"{place}/restore", field="priority")
        fired = send(client, place, f"{place}/fire")

    assert paused.headers["location"] == place
    assert "stock-taking" in told
    assert "Otherwise for a while" in overridden
    assert fired.headers["location"] == "/runs/1"
    assert served.get("/api/v1/overrides").json()["items"] == []


def test_who_only_reads_sees_no_buttons(server_on_sqlite: Served) -> None:
    assert "/fire" not in shown(server_on_sqlite, "/schedules/nightly")
