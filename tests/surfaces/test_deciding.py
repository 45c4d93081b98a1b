"""What a person decides: about runs, queues, accounts, schedules."""

import pytest

from scheduler.cli.session import person
from tests.surfaces.rig import FAILED, LOST, Home, spoken

STOPPED = ("queues", "schedules", "accounts", "freezes")


def states(home: Home) -> dict[int, str]:
    """Return the state of every run."""
    return dict(home.sql("SELECT id, state FROM runs"))


def retries(home: Home) -> list[int]:
    """Return which runs were retried, in the order of the retries."""
    found = home.sql("SELECT retry_of FROM runs WHERE retry_of IS NOT NULL ORDER BY id")
    return [run_id for (run_id,) in found]


def test_ended_runs_are_retried_by_id(home: Home) -> None:
    first, second = home.make_run(**FAILED), home.make_run(**FAILED)

    said = home.done("runs", "retry", str(second), str(first)).out

    assert retries(home) == [second, first]
    assert said == f"run {second} is retried as run 3\nrun {first} is retried as run 4\n"


def test_of_several_ids_all_are_retried_or_none(home: Home) -> None:
    ended, waiting = home.make_run(**FAILED), home.make_run()

    answer = home.call("runs", "retry", str(ended), str(waiting))

    assert answer.code == 1
    assert answer.err == (
        f"error: run {waiting} is queued, not ended: there is nothing to retry yet\n"
    )
    assert retries(home) == []


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "retry", "1"],
        ["schedules", "fire", "hourly"],
        ["backfill", "hourly", "--from", "2026-03-01", "--to", "2026-03-01", "--yes"],
    ],
    ids=spoken,
)
def test_nothing_is_sent_for_an_account_that_is_gone(home: Home, words: list[str]) -> None:
    """SQLite's shell renames an account, and nothing that names it."""
    home.make_run(**FAILED)
    home.sql("UPDATE accounts SET name = 'renamed'")

    answer = home.call(*words)

    assert (answer.code, answer.err) == (1, "error: no account is called 'main'\n")
    assert list(states(home)) == [1]


def test_a_run_whose_body_is_gone_is_told(home: Home) -> None:
    run_id = home.make_run(body="gone")

    answer = home.call("runs", "show", str(run_id))

    assert (answer.code, answer.err) == (1, "error: no body has the fingerprint 'gone'\n")


def test_a_filter_without_state_retries_failed_runs_once(home: Home) -> None:
    failed = home.make_run(**FAILED, schedule="nightly")
    home.make_run(schedule="nightly", due_at="2026-03-02 01:00:00.000000")
    retried = home.make_run(**FAILED)
    home.done("runs", "retry", str(retried))

    answer = home.done("runs", "retry", "--since", "2026-03-02T00:00:00Z", "--yes")

    assert retries(home) == [retried, failed]
    assert "left out: 1 retried before" in answer.err


def test_a_filter_leaves_out_what_has_no_inputs_and_what_is_open(home: Home) -> None:
    home.make_run(state="skipped", reason="missed", ended_at="2026-03-02 09:00:00", body=None)
    home.make_run()

    answer = home.done("runs", "retry", "--collector", "products", "--state", "skipped", "-y")
    home.done("runs", "retry", "--state", "queued", "--yes")

    assert retries(home) == []
    assert answer.err == (
        "left out: 1 never given inputs\n"
        "once its inputs are mended: dca-scheduler trigger products --batch pages\n"
        "no run to retry\n"
    )


@pytest.mark.parametrize("words", [["--dry-run"], ["--dry-run", "--yes"]], ids=spoken)
def test_a_dry_run_retries_nothing(home: Home, words: list[str]) -> None:
    run_id = home.make_run(**FAILED)

    by_filter = home.done("runs", "retry", "--state", "failed", *words)
    by_id = home.done("runs", "retry", str(run_id), *words)

    assert by_filter.out.splitlines()[1].startswith(str(run_id))
    assert by_id.out == f"run {run_id} would be retried\n"
    assert retries(home) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("runs retry --state failed", "this asks first: say --yes where nobody can answer"),
        ("queues flush nightly", "what waits in queue nightly would be skipped: 1"),
        ("queues resume nightly", "what waits in queue nightly would be sent: 1"),
        (
            "accounts resume main",
            "account main would send again; runs that wait and would be sent: 2",
        ),
        (
            "schedules resume hourly",
            "schedule hourly would fire again; runs that wait and would be sent: 1",
        ),
        ("thaw all", "all would be no longer frozen; runs that wait and would be sent: 2"),
    ],
)
def test_what_asks_first_is_refused_where_nobody_can_answer(
    home: Home, words: str, said: str
) -> None:
    failed, waiting = home.make_run(**FAILED), home.make_run(queue="nightly")
    due = home.make_run(schedule="hourly")
    stop_everything(home)
    before = [home.items(stopped, "list") for stopped in STOPPED]

    answer = home.call(*words.split())

    assert answer.code == 1
    assert answer.err.splitlines()[-1].startswith(f"error: {said}")
    after = [home.items(stopped, "list") for stopped in STOPPED]
    assert after == before
    assert states(home) == {failed: "failed", waiting: "queued", due: "queued"}


@pytest.mark.parametrize(
    "words",
    ["schedules resume hourly", "thaw all", "queues resume nightly", "accounts resume main"],
)
def test_where_nothing_waits_to_be_sent_a_script_need_not_say_yes(home: Home, words: str) -> None:
    home.make_run(**FAILED)
    home.make_run(**FAILED, queue="nightly")
    stop_everything(home)

    home.done(*words.split())


def stop_everything(home: Home) -> None:
    for stop in (
        *("queues pause nightly", "schedules pause hourly"),
        *("accounts pause main", "freeze all"),
    ):
        home.done(*stop.split(), "--reason", "x")


def test_what_is_not_frozen_is_not_said_to_send_anything(home: Home) -> None:
    answer = home.call("thaw", "all")

    assert (answer.code, answer.out, answer.err) == (1, "", "error: all is not frozen\n")


@pytest.mark.parametrize(
    ("words", "state", "reason", "said"),
    [
        (["adopt", "1", "j_7"], "collecting", "adopted", "run 1 is collection j_7\n"),
        (["resend", "1"], "queued", "requested", "run 1 is sent again\n"),
        (["abandon", "1"], "failed", "abandoned", "run 1 is given up\n"),
    ],
    ids=["adopt", "resend", "abandon"],
)
def test_a_person_settles_a_lost_run(
    home: Home, words: list[str], state: str, reason: str, said: str
) -> None:
    home.make_run(**LOST)
    home.sql(
        "INSERT INTO attempts (run_id, number, daemon, request, outcome, claimed_at)"
        " VALUES (1, 1, 'd', 'POST /', 'lost', '2026-03-02 09:00:00.000000')"
    )

    answer = home.done("runs", *words)

    run = home.run(1)
    assert (run["state"], run["reason"], answer.out) == (state, reason, said)


def test_why_a_person_decided_so_is_kept(home: Home) -> None:
    home.make_run(**LOST)

    home.done("runs", "abandon", "1", "--why", "the vendor knows of none")

    assert home.run(1)["detail"] == "abandoned by hand: the vendor knows of none"


@pytest.mark.parametrize(
    "words", [["adopt", "1", "j_7"], ["resend", "1"], ["abandon", "1"]], ids=spoken
)
def test_a_run_that_is_not_lost_cannot_be_settled(home: Home, words: list[str]) -> None:
    home.make_run()

    answer = home.call("runs", *words)

    assert answer.code == 1
    assert answer.err.startswith("error: run 1 is queued: only an unconfirmed run")


def test_a_waiting_run_is_cancelled_at_once(home: Home) -> None:
    run_id = home.make_run()

    said = home.done("runs", "cancel", str(run_id)).out

    assert said == f"run {run_id} is cancelled\n"
    assert home.run(run_id)["reason"] == "cancelled_by_hand"


def test_the_daemon_cancels_a_collection(home: Home) -> None:
    run_id = home.make_run(state="collecting", reason="accepted", collection_id="j_1")
    home.sql(
        "INSERT INTO collections (id, run_id, account, collector_id, accepted_at, next_poll_at)"
        " VALUES ('j_1', ?, 'main', 'c_products', '2026-03-02 09:00:01', '2026-03-02 09:00:01')",
        run_id,
    )

    said = home.done("runs", "cancel", str(run_id)).out

    assert said == f"run {run_id}: the daemon asks the upstream to cancel its collection\n"
    assert home.run(run_id)["collections"][0]["cancel_requested_at"] is not None


def test_a_dry_run_by_filter_tells_in_json_what_would_be_retried(home: Home) -> None:
    run_id = home.make_run(**FAILED)

    told = home.json("runs", "retry", "--state", "failed", "--dry-run")

    assert (told["is_dry_run"], [run["retry_of"] for run in told["runs"]]) == (True, [run_id])
    assert retries(home) == []


def test_a_queue_is_paused_resumed_and_flushed(home: Home) -> None:
    waiting = home.make_run(queue="nightly")

    paused = home.done("queues", "pause", "nightly", "--reason", "stock-taking")
    [queue] = home.done("queues", "list", "--json").items
    resumed = home.done("queues", "resume", "nightly", "--yes")
    again = home.call("queues", "resume", "nightly", "--yes")
    flushed = home.done("queues", "flush", "nightly", "--yes")

    assert paused.out == "queue nightly is paused\n"
    assert queue["paused_reason"] == "stock-taking"
    assert queue["paused_by"]
    assert resumed.out == "queue nightly sends again: 1 waiting\n"
    assert (again.code, again.err) == (1, "error: queue 'nightly' is not paused\n")
    assert flushed.out == "queue nightly: 1 skipped\n"
    assert states(home) == {waiting: "skipped"}


def test_an_account_is_paused_and_resumed(home: Home) -> None:
    home.done("accounts", "pause", "main", "--reason", "the bill")
    [paused] = home.done("accounts", "list", "--json").items
    home.done("accounts", "resume", "main")
    [resumed] = home.done("accounts", "list", "--json").items

    pause = [paused[name] for name in ("paused_at", "paused_by", "paused_reason")]
    assert pause == ["2026-03-02T09:00:00.000000Z", person(), "the bill"]
    assert resumed["paused_at"] is None


@pytest.mark.parametrize(("noun", "name"), [("queues", "nightly"), ("accounts", "main")])
def test_a_pause_of_a_queue_or_an_account_ends_by_itself(home: Home, noun: str, name: str) -> None:
    words = (noun, "pause", name, "--reason", "budget")

    said = home.done(*words, "--until", "2026-03-02T11:00:00Z").out
    [paused] = home.items(noun, "list")
    in_status = home.done("status").out
    past = home.call(*words, "--until", "2026-03-02T08:00:00Z")

    assert said.endswith(f"{name} is paused until 2026-03-02 11:00:00Z\n")
    assert (paused["paused_by"], paused["paused_until"]) == (
        person(),
        "2026-03-02T11:00:00.000000Z",
    )
    assert f"paused by {person()} until 2026-03-02 11:00:00Z: budget" in in_status
    assert (past.code, past.err) == (1, "error: until 2026-03-02 08:00:00Z is in the past\n")


def test_what_is_told_of_a_time_after_the_end_of_a_pause_heeds_the_end(home: Home) -> None:
    words = ("queues", "pause", "nightly", "--reason", "budget", "--until", "2026-03-04T00:00Z")
    home.done(*words)

    within, after = (
        home.json("explain", "nightly", f"2026-03-0{day} 02:00")["answers"][0]["verdict"]
        for day in (3, 5)
    )

    assert (within, after) == ("will_wait", "will_fire")
    assert home.json("preview", "nightly", "--days", "1")["run_count"] == 0
    assert home.json("preview", "nightly", "--days", "7")["run_count"] == 7


def test_a_schedule_is_switched_off_and_on(home: Home) -> None:
    off = home.done("schedules", "disable", "nightly")
    disabled = home.done("schedules", "show", "nightly", "--json").json["enabled"]
    home.done("schedules", "enable", "nightly")

    assert off.out == "schedule nightly is disabled\n"
    assert disabled is False
    assert home.done("schedules", "show", "nightly", "--json").json["enabled"] is True


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["runs", "show", "9"], "no run has the id 9"),
        (["runs", "retry", "9"], "no run has the id 9"),
        (["runs", "cancel", "9"], "no run has the id 9"),
        (["schedules", "show", "no"], "no schedule is called 'no'"),
        (["schedules", "disable", "no"], "no schedule is called 'no'"),
        (["next", "no"], "no schedule is called 'no'"),
        (["accounts", "pause", "no", "--reason", "x"], "no account is called 'no'"),
        (["accounts", "resume", "no"], "no account is called 'no'"),
        (
            ["trigger", "no", "--batch", "pages"],
            "no collector is called 'no': name it in [collectors], or let its account"
            " accept_unknown_collectors",
        ),
        (["trigger", "news", "--batch", "no"], "no batch is called 'no'"),
    ],
    ids=spoken,
)
def test_what_is_not_there_is_named(home: Home, words: list[str], problem: str) -> None:
    answer = home.call(*words)

    assert (answer.code, answer.out, answer.err) == (1, "", f"error: {problem}\n")


def lost(home: Home, **columns: object) -> int:
    run_id = home.make_run(**LOST, **columns)
    home.sql(
        "INSERT INTO attempts (run_id, number, daemon, request, outcome, claimed_at)"
        f" VALUES ({run_id}, 1, 'd', 'POST /', 'lost', '2026-03-02 09:00:00.000000')"
    )
    return run_id


@pytest.mark.parametrize(
    ("act", "became"),
    [("cancel", "cancelled"), ("resend", "queued"), ("abandon", "failed")],
)
def test_what_a_filter_chooses_is_shown_counted_and_done_after_a_word(
    home: Home, act: str, became: str
) -> None:
    make = home.make_run if act == "cancel" else lambda **columns: lost(home, **columns)
    chosen, other, ended = make(queue="nightly"), make(), home.make_run(**FAILED, queue="nightly")
    by_filter = ("runs", act, "--queue", "nightly")
    unsure = home.call(*by_filter)
    looked = home.done(*by_filter, "--dry-run").out
    asked = home.call(*by_filter, "--all-matching")
    before = states(home)
    said = home.done(*by_filter, "--all-matching", "--yes")

    after = states(home)

    assert (unsure.code, "--all-matching" in unsure.err) == (2, True)
    assert str(chosen) in looked.split()
    assert str(other) not in looked.split()
    assert "1 runs would be " in looked
    assert (asked.code, "--yes" in asked.err) == (1, True)
    assert before[chosen] == before[other]
    assert after == {chosen: became, other: before[other], ended: "failed"}
    assert said.out.startswith(f"run {chosen} is ")


def test_without_a_filter_all_are_meant_that_the_act_is_for(home: Home) -> None:
    first, ended, second = home.make_run(), home.make_run(**FAILED), home.make_run()

    home.done("runs", "cancel", "--all-matching", "--yes")

    assert states(home) == {first: "cancelled", ended: "failed", second: "cancelled"}


def test_what_the_act_is_not_for_is_counted_and_left_alone(home: Home) -> None:
    home.make_run(**FAILED)

    answer = home.done("runs", "cancel", "--state", "failed", "--all-matching", "--yes")

    assert answer.err == "left out: 1 in a state that cancel is not for\nno run to cancel\n"
