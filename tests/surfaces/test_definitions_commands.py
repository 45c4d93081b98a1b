"""`plan`, `apply --prune`, `drift`, `export`, `changes`, and temporary overrides."""

import pytest

from scheduler.cli.session import person
from tests.surfaces.rig import CONFIG, Home

HEAD, _, HOURLY = CONFIG.partition("[schedules.hourly]")
LATER = HEAD.replace('"0 2 * * *"', '"0 3 * * *"')


def test_a_plan_without_changes_ends_with_0(home: Home) -> None:
    said = home.done("plan").out

    assert said == "0 created, 0 updated, 0 deleted, 7 unchanged\n"


def test_a_plan_is_a_diff_of_definitions_and_of_what_is_due(home: Home) -> None:
    home.config.write_text(LATER)

    answer = home.call("plan")

    # On March 29th the clock jumps from 2:00 to 3:00: both mean the same moment.
    assert answer.code == 2
    assert answer.out.splitlines() == [
        "~ schedules.nightly",
        "    cron: 0 2 * * * -> 0 3 * * *",
        "! schedules.hourly is not in the file any more: paused (--prune deletes it)",
        "due in the next 30 days:",
        "    hourly: -720 runs, 0 moved; next 2026-03-02 10:00:00Z -> never",
        "    nightly: +0 runs, 29 moved; next 2026-03-03 01:00:00Z -> 2026-03-03 02:00:00Z",
        "    in sum -720 runs, 29 moved; none fires because of this",
        "    -1,440 page loads a month",
        "0 created, 1 updated, 0 deleted, 1 paused, 5 unchanged",
    ]
    assert home.call("plan").out == answer.out
    assert answer.err == ""


def test_a_plan_says_what_a_canary_is(home: Home) -> None:
    home.config.write_text(CONFIG.replace("[batches.pages]", '[batches.pages]\ncanary = "2%"'))

    said = home.call("plan").out

    assert "    canary = 2%: so many inputs first, the others once these have ended well\n" in said


def test_a_plan_in_json_holds_the_same(home: Home) -> None:
    home.config.write_text(LATER)

    plan = home.call("plan", "--prune", "--json").json

    assert [one for one in plan["changes"] if one["verb"] != "unchanged"] == [
        {
            "table": "schedules",
            "name": "nightly",
            "verb": "updated",
            "columns": {"cron": ["0 2 * * *", "0 3 * * *"]},
        },
        {"table": "schedules", "name": "hourly", "verb": "deleted", "columns": {}},
    ]
    assert (plan["due_runs"], plan["due_moved"], plan["fires_at_once"]) == (-720, 29, [])


def test_a_plan_has_no_sum_of_what_was_counted_up_to_a_bound(home: Home) -> None:
    home.config.write_text(CONFIG.replace('every = "1h"', 'every = "1s"'))
    home.done("apply")
    home.config.write_text(CONFIG.replace('every = "1h"', 'every = "2s"'))

    lines, plan = home.call("plan").out.splitlines(), home.call("plan", "--json").json

    assert "(counted up to 2026-03-02 " in lines[-4]
    assert lines[-3] == "    there is no sum: not all was counted; none fires because of this"
    assert lines[-2].endswith(" page loads a month")
    assert (plan["due_runs"], plan["due_moved"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "spoil", "code"),
    [
        (["plan", "--bogus"], False, 64),
        (["drift", "extra"], False, 64),
        (["plan"], True, 78),
        (["drift"], True, 78),
    ],
)
def test_no_error_looks_like_a_difference(
    home: Home, words: list[str], spoil: bool, code: int
) -> None:
    if spoil:
        home.config.write_text(CONFIG.replace('"0 2 * * *"', '"0 25 * * *"'))

    answer = home.call(*words)

    assert answer.code == code
    assert answer.err.startswith("error: ")


def test_pruning_asks_and_names_the_waiting_runs(home: Home) -> None:
    run_id = home.make_run(schedule="hourly")
    home.config.write_text(HEAD)

    refused = home.call("apply", "--prune")
    agreed = home.done("apply", "--prune", "--yes")

    assert (refused.code, refused.out) == (1, "")
    assert "- schedules.hourly" in refused.err
    assert refused.err.endswith(
        "error: 1 definitions are deleted, and 1 waiting runs skipped: say --yes if that is meant\n"
    )
    assert f"    run {run_id} of hourly, due " in refused.err
    assert agreed.out.splitlines() == [
        "deleted schedules.hourly",
        "0 created, 0 updated, 1 deleted, 6 unchanged",
    ]
    assert home.sql("SELECT name FROM schedules") == [("nightly",)]
    run = home.run(run_id)
    assert (run["state"], run["reason"]) == ("skipped", "flushed")


def test_pruning_nothing_asks_nothing(home: Home) -> None:
    assert home.done("apply", "--prune").out == "0 created, 0 updated, 7 unchanged\n"


def test_drift_tells_who_changed_what(home: Home) -> None:
    home.done("schedules", "disable", "hourly")
    home.sql("UPDATE collectors SET deadline = '9h' WHERE name = 'products'")

    answer = home.call("drift")

    assert answer.code == 2
    by_sql, by_command = answer.out.splitlines()
    told = "collectors.products deadline: in the database 9h, in the file 2h; sql (update) at "
    assert by_sql.startswith(told)
    assert [by_command] == [
        "schedules.hourly enabled: in the database no, in the file yes;"
        f" {person()} (disable) at 2026-03-02 09:00:00Z",
    ]
    home.done("apply")
    assert home.done("drift").out == ""


def test_an_export_of_what_was_applied_is_the_file(home: Home) -> None:
    assert home.done("export").out == CONFIG


def test_an_export_takes_in_what_was_changed_and_applies_again(home: Home) -> None:
    home.sql("UPDATE schedules SET cron = '0 5 * * *' WHERE name = 'nightly'")
    target = home.folder / "new.toml"

    home.done("export", "-o", str(target))
    again = home.call("export", "-o", str(target))

    assert target.read_text() == CONFIG.replace('"0 2 * * *"', '"0 5 * * *"')
    assert home.call_bare("-c", str(target), "plan").code == 0
    assert (again.code, "is there already" in again.err) == (1, True)


def test_each_door_leaves_its_mark_in_the_audit(home: Home) -> None:
    waiting, failed = home.make_run(), home.make_run()
    home.set_run(failed, state="failed", reason="refused", ended_at="2026-03-02 09:30:00.000000")
    for words in (
        ["schedules", "disable", "hourly"],
        ["schedules", "pause", "nightly", "--reason", "x"],
        ["schedules", "resume", "nightly", "--yes"],
        ["freeze", "all", "--reason", "x"],
        ["thaw", "all", "--yes"],
        ["queues", "pause", "nightly", "--reason", "x"],
        ["queues", "resume", "nightly"],
        ["accounts", "pause", "main", "--reason", "x"],
        ["accounts", "resume", "main", "--yes"],
        ["runs", "cancel", str(waiting)],
        ["runs", "retry", str(failed)],
    ):
        home.done(*words)

    found = home.done("changes", "list", "--limit", "11", "--json").items

    assert [(one["action"], one["subject"]) for one in reversed(found)] == [
        ("disable", "schedules.hourly"),
        ("pause", "schedules.nightly"),
        ("resume", "schedules.nightly"),
        ("freeze", "freezes.all"),
        ("thaw", "freezes.all"),
        ("pause", "queues.nightly"),
        ("resume", "queues.nightly"),
        ("pause", "accounts.main"),
        ("resume", "accounts.main"),
        ("cancel", f"runs.{waiting}"),
        ("retry", f"runs.{failed}"),
    ]
    assert {one["by"] for one in found} == {person()}


def test_settling_a_lost_run_is_in_the_audit(home: Home) -> None:
    lost = home.make_run()
    home.set_run(
        lost,
        state="unconfirmed",
        reason="answer_lost",
        next_lookup_at="2026-03-02 09:30:00.000000",
        fence=1,
    )
    home.sql(
        "INSERT INTO attempts (run_id, number, daemon, request, outcome, claimed_at)"
        " VALUES (?, 1, 'd', 'POST', 'lost', '2026-03-02 09:00:00.000000')",
        lost,
    )
    home.done("runs", "adopt", str(lost), "j_1")

    page = home.done("changes", "list", "--subject", f"runs.{lost}", "--json").json
    found, asked = page["items"]

    assert (found["action"], found["columns"]) == (
        "adopt",
        {"state": ["unconfirmed", "collecting"], "collection_id": [None, "j_1"]},
    )
    assert (asked["action"], asked["by"]) == ("trigger", person())


def test_changes_are_listed_for_people(home: Home) -> None:
    home.done("schedules", "disable", "hourly")

    said = home.done("changes", "list", "--subject", "schedules.hourly", "--limit", "1").out

    assert said.splitlines()[1].split("  ") == [
        "2026-03-02 09:00:00Z",
        person(),
        "disable",
        "schedules.hourly",
        "enabled: yes -> no",
    ]


def test_an_override_is_made_shown_and_restored(home: Home) -> None:
    made = home.done(
        *("schedules", "override", "hourly", "priority=7", "--for", "2h", "--reason", "trial")
    )
    shown = home.done("schedules", "show", "hourly", "--json").json
    listed = home.done("schedules", "overrides", "hourly", "--json").items
    restored = home.done("schedules", "restore", "hourly", "priority")

    assert made.out == ("schedule hourly: priority is 7 until 2026-03-02 11:00:00Z\n")
    assert shown["priority"] == 0
    assert shown["overrides"] == listed
    assert [(one["field"], one["value"], one["until"]) for one in listed] == [
        ("priority", "7", "2026-03-02T11:00:00.000000Z")
    ]
    assert restored.out == "schedule hourly: priority restored\n"
    assert home.done("schedules", "overrides", "--json").items == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["hourly", "priority", "--for", "2h"], 2),
        (["hourly", "priority=7"], 2),
        (["hourly", "priority=7", "--for", "2h", "--until", "2026-03-03"], 2),
        (["hourly", "priority=high", "--for", "2h"], 1),
        (["hourly", "cron=x", "--for", "2h"], 1),
        (["nowhere", "priority=7", "--for", "2h"], 1),
        (["hourly", "priority=7", "--for", "soon"], 1),
    ],
)
def test_an_override_that_cannot_be_is_refused(home: Home, words: list[str], code: int) -> None:
    answer = home.call("schedules", "override", *words, "--reason", "x")

    assert answer.code == code
    assert home.sql("SELECT * FROM overrides") == []


def test_an_export_holds_no_password_of_the_database_and_is_for_its_user_alone(home: Home) -> None:
    text = home.config.read_text()
    left_out = text.replace("sqlite:///scheduler.db", "postgresql://u:CANARY@db.internal/x")
    home.config.write_text(f"{text}\n# once: {left_out.splitlines()[2]}\n")

    printed = home.done("export")
    home.done("export", "-o", str(home.folder / "new.toml"))

    assert "CANARY" not in printed.out + (home.folder / "new.toml").read_text()
    assert "postgresql://u:***@db.internal/x" in printed.out
    assert "password is left out" in printed.err
    assert (home.folder / "new.toml").stat().st_mode & 0o077 == 0


def test_doctor_names_a_file_of_a_secret_that_others_may_read(home: Home) -> None:
    (home.folder / "token").write_text("t")
    (home.folder / "token").chmod(0o644)
    home.config.write_text(
        home.config.read_text().replace('{ env = "DCA_API_TOKEN" }', '{ file = "token" }')
    )

    assert (
        f"{home.folder / 'token'} holds a secret, and others may read it" in home.call("doctor").out
    )


def test_doctor_names_a_configuration_that_others_may_write(home: Home) -> None:
    home.config.chmod(0o646)

    assert f"{home.config} may be written by every user" in home.call("doctor").out


def test_an_export_says_what_it_leaves_behind(home: Home) -> None:
    assert home.done("export").err == ""
    home.done("schedules", "pause", "nightly", "--reason", "do not launch")
    home.done("queues", "pause", "nightly", "--reason", "x")
    home.done("freeze", "all", "--reason", "x")
    home.make_run()

    assert home.done("export").err == (
        "warning: not in it, for they are no definitions: 1 paused schedule, 1 paused queue,"
        " 1 freeze, 1 open run, and the history\n"
    )


BUDGET = "[budgets.all]\npage_loads = 800\n"


def test_apply_refuses_what_no_budget_allows_unless_told(home: Home) -> None:
    text = home.config.read_text()
    home.config.write_text(text + BUDGET)
    home.done("apply")
    home.config.write_text(text.replace('"0 2 * * *"', '"* * * * *"') + BUDGET)

    told = home.call("plan").out
    refused = home.call("apply")
    home.done("apply", "--accept-growth")

    assert "budget all (soft): a month comes to" in told
    assert refused.code == 1
    assert "of budget all: see dca-scheduler plan; dca-scheduler apply" in refused.err
    assert home.call("plan").code == 0
