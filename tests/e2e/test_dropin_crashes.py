"""Killed between a request and its answer: whoever repeats it with its key pays once."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from scheduler.sandbox import Fault, FaultKind, When
from tests.e2e.rig import wait_for
from tests.web.dropin_house import Door, open_door

PATH = "/dca/trigger?collector=c_a&name=once"


def ask(door: Door) -> httpx.Response:
    return door.post(
        PATH,
        json=[{"url": "https://example.org/1"}],
        headers={"Idempotency-Key": "once", "Prefer": "wait=60"},
    )


def kill_the_server(door: Door) -> None:
    os.kill(door.server, signal.SIGKILL)
    door.servers += 1


def kill_both(door: Door) -> None:
    door.daemon.kill()
    door.start_daemon()


VICTIMS = {"the server": kill_the_server, "the daemon": kill_both}
MOMENTS = {
    "before the upstream has it": Fault(kind=FaultKind.SLOW, seconds=2),
    "after it has it": Fault(kind=FaultKind.HANG, when=When.AFTER, seconds=2),
}


@pytest.mark.parametrize("fault", MOMENTS.values(), ids=list(MOMENTS))
@pytest.mark.parametrize("kill", VICTIMS.values(), ids=list(VICTIMS))
def test_a_request_that_is_repeated_after_a_kill_makes_one_job(
    database_url: str, tmp_path: Path, kill: Callable[[Door], None], fault: Fault
) -> None:
    with open_door(tmp_path, database_url) as door:
        door.sandbox.arm(fault)
        with ThreadPoolExecutor(1) as thread:
            first = thread.submit(ask, door)
            wait_for(
                lambda: (
                    any(one.path == "/dca/trigger" for one in door.sandbox.account.journal)
                    or door.house.count("state = 'dispatching'")
                ),
                within=60,
                what="the trigger has left",
                also=door.house.tell,
            )
            kill(door)
            # A server whose daemon was killed still answers whom it can.
            cut_off = first.exception(240)
            assert isinstance(cut_off, httpx.HTTPError) or first.result().status_code in (200, 202)
        again = wait_for(lambda: _answered(door), within=120, what="200", also=door.house.tell)
        jobs, count = door.jobs("c_a"), door.house.count()

    assert count == 1
    assert [job.id for job in jobs] == [again.json()["collection_id"]]


def _answered(door: Door) -> httpx.Response | None:
    try:
        answer = ask(door)
    except httpx.HTTPError:
        return None
    assert answer.status_code in (200, 202), answer.text
    return answer if answer.status_code == 200 else None


def test_an_upstream_that_is_away_for_a_while_is_waited_for(
    database_url: str, tmp_path: Path
) -> None:
    with open_door(tmp_path, database_url) as door:
        door.sandbox.arm(Fault(kind=FaultKind.RESET, when=When.BEFORE, times=2))
        soon = door.post(PATH, json=[{"url": "x"}], headers={"Prefer": "wait=0"})
        place = soon.headers["Location"]
        later = door.get(place, headers={"Prefer": "wait=200"})
        jobs = door.jobs("c_a")

    assert soon.status_code == 202
    assert later.status_code == 200, later.text
    assert [job.id for job in jobs] == [later.json()["collection_id"]]
