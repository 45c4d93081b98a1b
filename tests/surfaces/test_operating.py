"""In an incident: what can be done with a wrong file, and what a command says of what holds up."""

import re

import pytest

from scheduler.cli.exit_codes import ExitCode
from scheduler.cli.session import person
from tests.surfaces.rig import CONFIG, LIVES, LOST, Home, spoken

WRONG = CONFIG.replace('cron = "0 2 * * *"', 'cron = "0 25 * * *"')


@pytest.mark.parametrize(
    "words",
    [
        ["freeze", "all", "--reason", "incident"],
        ["schedules", "pause", "hourly", "--reason", "incident"],
        ["schedules", "list"],
        ["runs", "cancel", "1"],
        ["status"],
        ["queues", "list"],
    ],
    ids=spoken,
)
def test_a_wrong_file_hinders_nobody_to_stop_or_to_look(home: Home, words: list[str]) -> None:
    home.make_run()
    home.config.write_text(WRONG)

    answer = home.call(*words)

    assert answer.code == ExitCode.DONE
    assert answer.err == (
        f"warning: {home.config} has 1 problem (see dca-scheduler config check):"
        " nothing but [database] is used here\n"
    )


def test_a_file_that_is_no_toml_hinders_nobody_who_names_the_database(home: Home) -> None:
    home.config.write_text(CONFIG + "[schedules.torn")
    home.environ["DCA_SCHEDULER__DATABASE__URL"] = "sqlite:///scheduler.db"

    answer = home.call("schedules", "pause", "hourly", "--reason", "incident")

    assert answer.code == ExitCode.DONE
    assert answer.err.startswith(f"warning: {home.config} has 1 problem ")
    assert home.call("config", "check").code == ExitCode.CONFIGURATION


def test_a_file_that_is_no_toml_says_how_to_do_without_it(home: Home) -> None:
    home.config.write_text(CONFIG + "[schedules.torn")

    answer = home.call("status")

    torn, way_out = answer.err.splitlines()
    assert answer.code == ExitCode.CONFIGURATION
    assert torn.startswith(f"error: {home.config}: ")
    assert way_out == (
        f"error: {home.config}: set DCA_SCHEDULER__DATABASE__URL"
        " to look, pause and cancel without this file"
    )


@pytest.mark.parametrize(
    "words", [["plan"], ["apply"], ["trigger", "news", "--batch", "pages"]], ids=spoken
)
def test_what_needs_the_whole_file_refuses_a_wrong_one(home: Home, words: list[str]) -> None:
    home.config.write_text(WRONG)

    answer = home.call(*words)

    assert answer.code == ExitCode.CONFIGURATION
    assert "schedules.nightly: cron '0 25 * * *'" in answer.err


def test_a_wrong_database_table_is_refused_by_every_command(home: Home) -> None:
    home.config.write_text(CONFIG.replace('"sqlite:///scheduler.db"', "7"))

    answer = home.call("status")

    assert answer.code == ExitCode.CONFIGURATION
    assert "database.url" in answer.err


def test_a_failed_check_is_json_too(home: Home) -> None:
    home.config.write_text(WRONG)

    answer = home.call("config", "check", "--json")

    assert answer.code == ExitCode.CONFIGURATION
    [problem] = answer.json["problems"]
    assert problem.startswith("schedules.nightly: cron '0 25 * * *'")
    assert answer.json["path"] == str(home.config)


def test_without_a_file_a_check_says_where_it_looked(home: Home) -> None:
    said = home.call_bare("config", "check").out

    assert "$DCA_SCHEDULER_CONFIG, ./config.toml" in said


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["freeze", "collector:product", "--reason", "x"],
            "error: no collector is called 'product'; did you mean products?\n",
        ),
        (
            ["queues", "pause", "nightli", "--reason", "x"],
            "error: no schedule, run or rule names a queue 'nightli'; did you mean nightly?\n",
        ),
        (
            ["schedules", "pause", "hourli", "--reason", "x"],
            "error: no schedule is called 'hourli'; did you mean hourly?\n",
        ),
    ],
    ids=spoken,
)
def test_a_misspelt_name_stops_nothing_and_is_told(
    home: Home, words: list[str], complaint: str
) -> None:
    answer = home.call(*words)

    assert (answer.code, answer.err) == (ExitCode.REFUSED, complaint)
    assert home.sql("SELECT 1 FROM freezes UNION SELECT 1 FROM queues WHERE paused_at > 0") == []


@pytest.mark.parametrize("reason", ["", " \t", "\u200b\u00a0"], ids=["none", "blanks", "unseen"])
@pytest.mark.parametrize(
    "words",
    [
        "schedules pause hourly --reason",
        "schedules override hourly priority=7 --for 1h --reason",
        "queues pause nightly --reason",
        "accounts pause main --reason",
        "freeze all --reason",
        "runs cancel 1 --why",
        "runs cancel 1 2 --why",
        "runs resend 3 --why",
        "runs abandon 3 --why",
        "runs adopt 3 j_1 --why",
    ],
)
def test_a_reason_that_nobody_can_read_is_refused(home: Home, words: str, reason: str) -> None:
    for columns in ({}, {}, LOST):
        home.make_run(**columns)
    before = home.sql("SELECT count(*) FROM changes")
    answer = home.call(*words.split(), reason)

    assert answer.code == ExitCode.REFUSED
    assert answer.err == (
        "error: the reason must be text, and not empty: say why, for whoever looks next\n"
    )
    assert home.sql("SELECT count(*) FROM changes") == before


@pytest.mark.parametrize("scope", ["label:", "label: ", "collector: ", "", "label:,"])
def test_a_scope_that_names_nothing_is_not_frozen(home: Home, scope: str) -> None:
    refused = home.call("freeze", scope, "--reason", "x")

    assert "write all, collector:NAME or label:NAME" in refused.err
    assert home.sql("SELECT 1 FROM freezes") == []


def test_a_freeze_says_how_many_schedules_it_stops(home: Home) -> None:
    answer = home.call("freeze", "collector:news", "--reason", "x")
    home.sql("DELETE FROM schedules WHERE name = 'nightly'")
    nobody = home.call("freeze", "collector:products", "--reason", "x")

    assert (answer.out, answer.err) == ("collector:news is frozen: 1 schedule\n", "")
    assert nobody.out == "collector:products is frozen: 0 schedules\n"
    assert nobody.err == "warning: collector:products is no schedule's now\n"


def test_a_queue_that_only_a_run_is_in_can_be_paused(home: Home) -> None:
    home.done("trigger", "news", "--batch", "pages", "--queue", "by hand")

    assert home.call("queues", "pause", "by hand", "--reason", "x").code == ExitCode.DONE


HELD = {
    "a freeze": ["freeze", "collector:news"],
    "a paused account": ["accounts", "pause", "main"],
    "a paused queue": ["queues", "pause", "nightly"],
}


@pytest.mark.parametrize("stop", HELD.values(), ids=HELD)
def test_a_trigger_that_is_held_up_says_by_what(home: Home, stop: list[str]) -> None:
    home.done(*stop, "--reason", "incident 7")

    said = home.call("trigger", "news", "--batch", "pages", "--queue", "nightly").err

    assert said.startswith("the run waits: ") and "incident 7" in said.splitlines()[0]


def test_firing_a_paused_schedule_says_that_it_waits(home: Home) -> None:
    home.done("schedules", "pause", "hourly", "--reason", "moving", "--for", "2h")

    answer = home.call("schedules", "fire", "hourly")

    assert answer.code == ExitCode.DONE
    assert answer.err == (
        f"it waits: schedule hourly is paused by {person()} until 2026-03-02 11:00:00Z: moving\n"
        "(--past-pauses sends it in spite of a pause or a freeze)\n"
    )


@pytest.mark.parametrize(("words", "lines"), [("next hourly", 1), ("schedules fire hourly", 2)])
def test_no_terminal_obeys_the_reason_of_a_pause(home: Home, words: str, lines: int) -> None:
    home.done(
        "schedules", "pause", "hourly", "--reason", "\x1b]52;c;RVZJTA==\x07\nok: \u202eall is fine"
    )

    told = home.call(*words.split()).err

    assert told.count("\n") == lines
    assert told.replace("\n", "").isprintable()


def test_next_tells_of_a_pause(home: Home) -> None:
    home.done("schedules", "pause", "hourly", "--reason", "moving")
    home.done("schedules", "disable", "nightly")

    assert home.call("next", "hourly").err == (
        f"what comes due is skipped: paused by {person()}: moving\n"
    )
    assert home.call("next", "nightly").err == "it does not fire: it is disabled\n"


def test_the_list_shows_what_is_held_up_and_by_what(home: Home) -> None:
    assert "held" not in home.done("schedules", "list").out

    home.done("schedules", "pause", "hourly", "--reason", "x")
    home.done("freeze", "collector:products", "--reason", "x")
    listed = home.done("schedules", "list").out.splitlines()

    assert "why_held" in listed[0]
    assert listed[-2].endswith(f"paused by {person()}: x")
    assert listed[-1].endswith(f"collector:products frozen by {person()}: x")


def test_what_was_lost_is_resent_however_late(home: Home) -> None:
    run_id = home.make_run(**LOST, send_before="2026-03-02 08:00:00.000000")

    home.done("runs", "resend", str(run_id))

    [row] = home.sql("SELECT state, send_before FROM runs WHERE id = ?", run_id)
    assert row == ("queued", None)


def test_a_run_that_has_its_result_is_not_paid_for_again_without_being_asked(home: Home) -> None:
    run_id = home.make_run(
        state="succeeded", reason="done", ended_at="2026-03-02 08:30:00.000000", fence=1,
        collection_id="j_1", triggered_at="2026-03-02 08:00:00.000000",
    )  # fmt: skip

    assert home.call("runs", "retry", str(run_id)).code == ExitCode.REFUSED
    assert home.call("runs", "retry", str(run_id), "--yes").code == ExitCode.DONE


def test_a_run_that_never_had_inputs_says_how_to_go_on(home: Home) -> None:
    run_id = home.make_run(
        schedule="hourly", body=None, state="failed", reason="bad_inputs",
        ended_at="2026-03-02 08:30:00.000000", due_at="2026-03-02 08:00:00.000000",
    )  # fmt: skip

    said = home.call("runs", "retry", str(run_id)).err

    assert "dca-scheduler schedules fire hourly" in said
    words = said.partition("dca-scheduler backfill ")[2].split()
    assert home.call("backfill", *words, "--dry-run").code == ExitCode.DONE


def test_status_says_why_an_account_sends_nothing(home: Home) -> None:
    home.make_run(reason="not_sent", fence=1, detail="cannot connect to api.example.com:443")
    home.sql("INSERT INTO brakes (account, trips, open_until) VALUES ('main', 1, ?)",
             "2026-03-02 09:00:16.000000")  # fmt: skip

    why = "sends nothing until 2026-03-02 09:00:16Z (cannot connect to api.example.com:443)"
    assert why in home.call("status").out
    assert f"account main {why}\n" in home.call("doctor").out
    assert "cannot connect" in home.call("accounts", "list").out


def test_a_secret_that_there_is_not_is_told_before_anything_is_written(home: Home) -> None:
    hook = '{"type": "webhook", "auth": "${secret:hook}"}'

    answer = home.call("trigger", "news", "--batch", "pages", "--deliver", hook)

    assert answer.code == ExitCode.REFUSED
    assert answer.err == "error: there is no secret hook in [secrets]\n"
    assert home.sql("SELECT count(*) FROM runs") == [(0,)]


def test_a_dry_run_says_what_must_be_put_in_by_hand(home: Home) -> None:
    home.config.write_text(CONFIG.replace('{ env = "DCA_API_TOKEN" }', '{ file = "/etc/token" }'))
    home.done("apply", "--accept-account-change")
    hook = '{"type": "webhook", "auth": "${secret:s}"}'

    said = home.call(
        "trigger", "news", "--batch", "pages", "--deliver", hook, "--dry-run"
    ).err.splitlines()

    assert said == [
        "put the token, which is kept in file:/etc/token, into $DCA_API_TOKEN",
        "replace ${secret:s} by that secret, percent-encoded",
    ]


@pytest.mark.parametrize(("allowed", "most"), [(32, 8), (3, 3)])
def test_what_may_be_in_flight_is_what_the_429_rule_allows(
    home: Home, allowed: int, most: int
) -> None:
    home.sql("UPDATE accounts SET max_in_flight = ?", allowed)
    assert "account main: no daemon sends, 0 of" in home.done("status").out
    home.sql(LIVES)

    [account] = home.done("accounts", "list", "--json").items

    assert f"account main: sends, 0 of {most} in flight\n" in home.done("status").out
    assert (account["max_in_flight"], account["most_in_flight"]) == (allowed, most)


def test_an_account_that_starts_more_than_it_can_follow_is_told_of(home: Home) -> None:
    run_id = home.make_run(state="collecting", collection_id="j_1")
    home.sql(LIVES)
    home.sql(
        "INSERT INTO collections (id, run_id, account, collector_id, accepted_at, next_poll_at)"
        " SELECT 'j_1', id, account, collector_id, created_at, '2026-03-02 08:58:30'"
        " FROM runs WHERE id = ?",
        run_id,
    )

    said = home.done("status").out

    assert re.search(r"account main: sends, .*; polls what runs 90s late: it starts more", said)
    assert home.done("accounts", "list", "--json").items[0]["poll_due_at"] is not None


def test_thawing_what_concerns_no_schedule_says_that_it_fires_nothing(home: Home) -> None:
    home.sql("DELETE FROM schedules WHERE name = 'nightly'")
    home.done("freeze", "collector:products", "--reason", "x")

    answer = home.done("thaw", "collector:products", "--yes")

    assert "only runs that wait are sent, this fires nothing\n" in answer.err


def test_a_disabled_schedule_of_a_file_is_said_to_come_back(home: Home) -> None:
    answer = home.done("schedules", "disable", "hourly")

    assert answer.out == "schedule hourly is disabled\n"
    assert answer.err.endswith("what lasts is dca-scheduler schedules pause hourly\n")
    assert str(home.config) in answer.err


def test_one_that_no_file_has_stays_as_it_is_switched(home: Home) -> None:
    home.sql("UPDATE schedules SET origin = 'database', defined_in = NULL")

    assert home.done("schedules", "disable", "hourly").err == ""
