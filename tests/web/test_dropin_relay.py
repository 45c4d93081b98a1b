"""Questions about what was triggered: passed on inside the brake, with nobody's token but ours."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from scheduler.sandbox import Fault, FaultKind, When
from tests.databases import migrated_sqlite
from tests.e2e.rig import wait_for
from tests.web.dropin_house import Door, open_door

ROWS = [{"url": f"https://example.org/{number}"} for number in range(3)]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    with open_door(folder, migrated_sqlite(folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def collection(door: Door) -> str:
    answer = door.post("/dca/trigger?collector=c_a", json=ROWS, headers={"Prefer": "wait=120"})
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["collection_id"]
    return found


def token_of(door: Door, name: str, scope: str, *more: str) -> dict[str, str]:
    made = door.house.call("token", "create", name, "--scope", scope, *more, "--json")
    return {"Authorization": f"Bearer {json.loads(made.stdout)['token']}"}


def dataset_of(door: Door, collection: str) -> httpx.Response:
    def look() -> httpx.Response | None:
        answer = door.get(f"/dca/dataset?id={collection}")
        assert answer.status_code in (200, 202), answer.text
        return answer if answer.status_code == 200 else None

    return wait_for(look, within=60, what="the dataset", also=door.house.tell)


def test_a_dataset_comes_through_as_data_and_nothing_else(door: Door, collection: str) -> None:
    answer = dataset_of(door, collection)

    assert [row["input"] for row in answer.json()] == ROWS
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "application/json"


def test_the_log_of_what_has_ended_is_answered_without_asking(door: Door, collection: str) -> None:
    wait_for(
        lambda: door.house.count("state = 'succeeded'"),
        within=60,
        what="it has ended",
        also=door.house.tell,
    )

    def logs() -> int:
        path = f"/dca/log/{collection}"
        return len([one for one in door.sandbox.account.journal if one.path == path])

    before = logs()
    answer = door.get(f"/dca/log/{collection}")

    assert answer.json()["id"] == collection
    assert (answer.json()["status"], answer.json()["lines"]) == ("done", 3)
    assert answer.json()["finished"].endswith("Z")
    assert logs() == before > 0


def test_the_jobs_of_a_collector_are_listed_by_our_name_too(door: Door, collection: str) -> None:
    answers = [
        door.get(f"/dca/collector/jobs?collector={said}&limit=10").json() for said in ("a", "c_a")
    ]

    assert collection in [row["id"] for row in answers[0]["data"]]
    assert answers[0] == answers[1]


def test_which_inputs_failed_comes_through(door: Door) -> None:
    dead = [{"url": "https://example.org/1", "sandbox_error": "dead_page"}]
    made = door.post("/dca/trigger?collector=c_a", json=dead, headers={"Prefer": "wait=120"})
    job = made.json()["collection_id"]

    def errors() -> Any:
        return door.get(f"/dca/jobs/{job}/hp_errors").json()["errors"]

    found = wait_for(errors, within=60, what="the error", also=door.house.tell)
    assert [one["error"] for one in found] == ["dead_page"]


def test_what_names_no_subject_is_told_what_to_name(door: Door) -> None:
    answers = [door.get("/dca/dataset"), door.get("/dca/collector/jobs")]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert "add ?id=j_" in answers[0].json()["error"]
    assert "add ?collector=c_" in answers[1].json()["error"]


def test_a_job_is_cancelled_and_the_audit_has_it(door: Door) -> None:
    many = [{"url": f"https://example.org/{number}"} for number in range(500)]
    made = door.post("/dca/trigger?collector=c_b", json=many, headers={"Prefer": "wait=120"})
    job = made.json()["collection_id"]

    answer = door.post(f"/dca/jobs/{job}/cancel")

    changes = door.house.call("changes", "list", "--json").stdout
    assert (answer.status_code, answer.text) == (200, "OK")
    assert door.sandbox.account.book.jobs[job].status == "cancelled"
    assert f"collections.{job}" in changes


def test_a_rerun_is_the_upstreams_new_job_and_a_run_that_is_followed(
    door: Door, collection: str
) -> None:
    refused = door.post(f"/dca/jobs/{collection}/rerun", json={"failed_only": 1})
    answer = door.post(f"/dca/jobs/{collection}/rerun")

    assert (refused.status_code, refused.json()) == (400, {"error": "No failed inputs"})
    assert answer.status_code == 200, answer.text
    job = answer.json()["collection_id"]
    assert job in door.sandbox.account.book.jobs
    run = answer.headers["X-Run-Id"]
    ended = wait_for(
        lambda: _ended(door, run), within=60, what="the rerun's end", also=door.house.tell
    )
    first = door.get(f"/api/v1/runs/{collection}").json()
    assert (ended["state"], ended["collection_id"], ended["retry_of"]) == (
        "succeeded",
        job,
        first["id"],
    )
    assert [one["request"] for one in ended["attempts"]] == [f"POST /dca/jobs/{collection}/rerun"]
    assert ended["created_by"].startswith("http:client@")
    assert door.house.count("true") == len(door.sandbox.account.book.jobs)
    assert door.get(f"/dca/log/{job}").json()["status"] == "done"


def test_a_rerun_whose_answer_is_lost_is_looked_for_and_not_asked_for_again(
    door: Door, collection: str
) -> None:
    door.sandbox.arm(Fault(kind=FaultKind.LOST, when=When.AFTER, path="/dca/jobs/*/rerun"))
    before = {*door.sandbox.account.book.jobs}
    answer = door.post(f"/dca/jobs/{collection}/rerun")

    assert answer.status_code == 502, answer.text
    (job,) = {*door.sandbox.account.book.jobs} - before
    found = re.search(r"is looked for as run (\d+): do not ask again", answer.json()["error"])
    assert found is not None, answer.text
    ended = wait_for(
        lambda: _ended(door, found[1]), within=60, what="the rerun's end", also=door.house.tell
    )
    assert (ended["state"], ended["collection_id"]) == ("succeeded", job)


def test_a_rerun_is_followed_whose_daemon_dies_before_it_is_answered(
    door: Door, collection: str
) -> None:
    door.sandbox.arm(
        Fault(kind=FaultKind.HANG, when=When.AFTER, path="/dca/jobs/*/rerun", seconds=30)
    )
    before = {*door.sandbox.account.book.jobs}

    def made() -> set[str]:
        return {*door.sandbox.account.book.jobs} - before

    with ThreadPoolExecutor(1) as client:
        asked = client.submit(door.post, f"/dca/jobs/{collection}/rerun")
        (job,) = wait_for(made, within=60, what="the rerun", also=door.house.tell)
        door.daemon.kill()
        with suppress(httpx.TransportError):
            assert asked.result(timeout=60).status_code >= 500
    door.start_daemon()
    wait_for(
        lambda: door.house.count(f"state = 'succeeded' AND collection_id = '{job}'"),
        within=60,
        what="the run of the rerun",
        also=door.house.tell,
    )
    assert made() == {job}


def _ended(door: Door, run: str) -> Any:
    shown = door.get(f"/api/v1/runs/{run}").json()
    return shown if shown["ended_at"] else None


def test_who_may_ask_what(door: Door, collection: str) -> None:
    tokens = {
        "trigger": token_of(door, "asker", "trigger", "--collector", "a"),
        "read": token_of(door, "reader", "read"),
        "operate": token_of(door, "operator", "operate"),
    }
    mine = door.post(
        "/dca/trigger?collector=c_a",
        json=ROWS,
        headers={**tokens["trigger"], "Prefer": "wait=120"},
    ).json()["collection_id"]
    questions = {
        "another's": ("GET", f"/dca/dataset?id={collection}"),
        "own": ("GET", f"/dca/dataset?id={mine}"),
        "jobs": ("GET", "/dca/collector/jobs?collector=a"),
        "pause": ("POST", f"/dca/jobs/{mine}/pause"),
    }

    def is_let_in(who: str, what: str) -> bool:
        method, path = questions[what]
        asked = httpx.request(method, door.address + path, headers=tokens[who], timeout=240)
        return asked.status_code not in (403, 404)

    found = {who: [what for what in questions if is_let_in(who, what)] for who in tokens}
    assert found == {
        "trigger": ["own"],
        "read": ["another's", "own", "jobs"],
        "operate": ["another's", "own", "jobs", "pause"],
    }


@pytest.mark.parametrize("path", ["/dca/dataset?id=j_nobodys", "/dca/log/j_nobodys"])
def test_a_collection_of_others_is_unknown(door: Door, path: str) -> None:
    answer = door.get(path)

    asked = [one for one in door.sandbox.account.journal if "nobodys" in one.path]
    assert answer.status_code == 404
    assert "no collection of this server" in answer.json()["error"]
    assert asked == []


def test_the_server_has_no_token_of_the_upstream(door: Door, collection: str) -> None:
    dataset_of(door, collection)

    assert b"TOKEN=" not in Path(f"/proc/{door.server}/environ").read_bytes()


def test_a_paused_account_asks_nothing_and_says_who_can_help(door: Door, collection: str) -> None:
    assert door.house.call("accounts", "pause", "main", "--reason", "audit").returncode == 0

    answer = door.get(f"/dca/dataset?id={collection}")

    assert door.house.call("accounts", "resume", "main", "--yes").returncode == 0
    assert answer.status_code == 503
    assert "audit): `dca-scheduler doctor` says" in answer.json()["error"]


# Last, for it closes the account's brake.
def test_while_the_brake_is_open_nothing_is_asked(door: Door, collection: str) -> None:
    def asked() -> int:
        return len([one for one in door.sandbox.account.journal if one.path == "/dca/dataset"])

    door.sandbox.arm(Fault(kind=FaultKind.THROTTLE, path="/dca/dataset", retry_after=7))
    throttled = door.get(f"/dca/dataset?id={collection}")
    before = asked()
    braked = door.get(f"/dca/dataset?id={collection}")

    assert (throttled.status_code, braked.status_code) == (503, 503)
    assert throttled.headers["Retry-After"] == "7"
    assert int(braked.headers["Retry-After"]) >= 1
    assert asked() == before
