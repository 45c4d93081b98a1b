"""`collections`: what the upstream is asked to do with them, by id or filter, after a look."""

import json

import pytest

from tests.surfaces.rig import FAILED, Home

OF = (
    "INSERT INTO collections (id, run_id, account, collector_id, accepted_at, next_poll_at)"
    " VALUES ('{}', {}, 'main', 'c_1', '2026-03-02 08:00:00.000000', {})"
)


@pytest.fixture
def runs(home: Home) -> Home:
    """Have one that runs, j_1, and one that has failed, j_2."""
    running = home.make_run(state="collecting", reason="accepted", collection_id="j_1")
    failed = home.make_run(**FAILED, collection_id="j_2")
    home.sql(OF.format("j_1", running, "'2026-03-02 09:00:00.000000'"))
    home.sql(OF.format("j_2", failed, "NULL"))
    return home


def asked(home: Home) -> list[tuple[object, ...]]:
    return home.sql("SELECT collection_id, verb, why FROM collection_requests ORDER BY id")


def test_a_filter_shows_and_counts_first_and_asks(runs: Home) -> None:
    dry = runs.done("collections", "rerun", "--all-matching", "--dry-run", "--json")
    unsaid = runs.call("collections", "rerun", "--all-matching")
    nothing = asked(runs)
    done = runs.done("collections", "rerun", "--all-matching", "--yes", "--why", "proxies")

    assert [one["collection_id"] for one in json.loads(dry.out)["requests"]] == ["j_2"]
    assert unsaid.code == 1
    assert nothing == []
    assert asked(runs) == [("j_2", "rerun", "proxies")]
    assert done.out == "collection j_2: the upstream is asked to rerun it\n"
    assert "proxies" in runs.done("changes", "list", "--json").out


def test_a_rerun_by_id_asks_and_what_it_is_not_for_is_a_sentence(runs: Home) -> None:
    unsaid = runs.call("collections", "rerun", "j_2")
    ended = runs.call("collections", "pause", "j_2")
    unknown = runs.call("collections", "pause", "j_9")
    runs.done("collections", "pause", "j_1")

    assert "collection j_2 would be run again, and paid for" in unsaid.err
    assert "has ended: only one that runs" in ended.err
    assert "no run has the collection 'j_9'" in unknown.err
    assert asked(runs) == [("j_1", "pause", None)]
    assert "pause" in runs.done("collections", "show", "j_1").out
    assert "j_1" in runs.done("collections", "list", "--open").out
