"""`apply` does what `plan` shows, all or nothing, and leaves what is the operator's alone."""

import re

import pytest

from scheduler.actions.apply import apply_definitions
from scheduler.actions.comparing import WRITTEN, Verb
from scheduler.domain.errors import AccountTaken, Conflict
from scheduler.storage import audit
from tests.definitions.rig import FILE, HOURLY, Desk
from tests.make import NINE

WITHOUT_HOURLY = FILE.replace(HOURLY, "")
LATER = FILE.replace('"0 2 * * *"', '"0 3 * * *"')


def test_applying_does_exactly_what_was_planned(desk: Desk) -> None:
    desk.apply()
    edited = LATER.replace(HOURLY, "").replace('deadline = "2h"', 'deadline = "90m"')

    planned = desk.plan(edited, prune=True)
    written = desk.apply(edited, prune=True)

    assert written == [change for change in planned.changes if change.verb in WRITTEN]
    assert [(change.subject, change.verb, dict(change.columns)) for change in written] == [
        ("collectors.products", Verb.UPDATED, {"deadline": ("2h", "90m")}),
        ("schedules.nightly", Verb.UPDATED, {"cron": ("0 2 * * *", "0 3 * * *")}),
        ("schedules.hourly", Verb.DELETED, {}),
    ]


def test_applying_twice_changes_nothing(desk: Desk) -> None:
    desk.apply()

    assert desk.apply() == []
    assert desk.plan().is_empty


def test_planning_writes_nothing(desk: Desk) -> None:
    assert not desk.plan().is_empty

    assert desk.names("schedules") == []


def test_labels_and_required_fields_stand_in_rows_as_sql_finds_them(desk: Desk) -> None:
    desk.apply(FILE.replace("[batches.pages]", "[batches.pages]\nrequired = ['url', 'sku']"))

    assert desk.sql("SELECT name FROM schedules WHERE labels LIKE '%,shop,%'") == [("nightly",)]
    assert desk.sql("SELECT required FROM batches") == [("url,sku",)]


def test_what_is_not_in_the_file_is_left_alone_without_prune(desk: Desk) -> None:
    desk.apply()

    assert desk.apply(WITHOUT_HOURLY) == []
    assert desk.names("schedules") == ["hourly", "nightly"]


def test_pruning_deletes_only_what_came_from_a_file(desk: Desk) -> None:
    desk.apply()
    desk.sql(
        "INSERT INTO schedules (name, collector, batch, manual)"
        " VALUES ('mine', 'products', 'pages', TRUE)"
    )

    desk.apply(WITHOUT_HOURLY, prune=True)

    assert desk.names("schedules") == ["mine", "nightly"]


def test_the_waiting_runs_of_a_pruned_schedule_are_skipped_and_kept(desk: Desk) -> None:
    desk.apply()
    waiting = desk.wait("hourly")

    planned = desk.plan(WITHOUT_HOURLY, prune=True)
    desk.apply(WITHOUT_HOURLY, prune=True)

    assert [run.id for run in planned.waiting] == [waiting]
    assert desk.sql("SELECT id, schedule, state, reason, detail FROM runs") == [
        (
            waiting,
            "hourly",
            "skipped",
            "flushed",
            "its schedule was deleted by ann: it is not in the file any more",
        )
    ]


@pytest.mark.parametrize(
    ("statement", "gone", "problem"),
    [
        (
            "INSERT INTO schedules (name, collector, batch, manual)"
            " VALUES ('mine', 'products', 'spare', TRUE)",
            "batches",
            "batches.spare is named by schedules.mine",
        ),
        (
            "INSERT INTO schedules (name, collector, batch, manual, exclude)"
            " VALUES ('mine', 'products', 'pages', TRUE, 'christmas, spare')",
            "calendars",
            "calendars.spare is named by schedules.mine",
        ),
        (
            "UPDATE queues SET paused_at = CURRENT_TIMESTAMP, paused_by = 'bob',"
            " paused_reason = 'x' WHERE name = 'spare'",
            "queues",
            "queues.spare is paused: resume it first",
        ),
        (
            "INSERT INTO overrides (schedule, field, value, made_at, made_by, reason, until)"
            " VALUES ('nightly', 'batch', 'spare', '2026-03-01', 'bob', 'x', '2099-01-01')",
            "batches",
            "batches.spare is named by an override of schedules.nightly",
        ),
    ],
    ids=["batch", "calendar", "paused queue", "override"],
)
def test_what_others_still_need_is_not_pruned(
    desk: Desk, statement: str, gone: str, problem: str
) -> None:
    more = {
        "batches": "[batches.spare]\ninputs = [{ url = 'https://example.com/2' }]",
        "calendars": "[calendars.spare]\ndays = ['sun']",
        "queues": "[queues.spare]\nmax_depth = 3",
    }[gone]
    desk.apply(f"{FILE}\n{more}")
    desk.sql(statement)

    with pytest.raises(Conflict, match=problem):
        desk.apply(WITHOUT_HOURLY, prune=True)

    assert "hourly" in desk.names("schedules")
    assert "spare" in desk.names(gone)


def test_an_account_with_history_is_not_pruned(desk: Desk) -> None:
    other = FILE.replace("[accounts.main]", "[accounts.other]")
    desk.apply()
    desk.wait("hourly")

    with pytest.raises(Conflict, match=r"accounts\.main has runs"):
        desk.apply(other, prune=True)

    assert desk.names("accounts") == ["main"]


def test_applying_lifts_no_pause(desk: Desk) -> None:
    desk.apply()
    pause = "paused_at = CURRENT_TIMESTAMP, paused_by = 'bob', paused_reason = 'night off'"
    desk.sql(f"UPDATE schedules SET {pause} WHERE name = 'nightly'")
    desk.sql(f"UPDATE queues SET {pause}")

    desk.apply(LATER.replace("max_depth = 7", "max_depth = 8"))

    for table in ("schedules", "queues"):
        paused = desk.sql(f"SELECT paused_by FROM {table} WHERE name = 'nightly'")
        assert paused == [("bob",)]


def test_a_file_may_hold_a_persons_row_as_it_is_and_no_other(desk: Desk) -> None:
    desk.apply()
    desk.sql("UPDATE schedules SET origin = 'database' WHERE name = 'nightly'")

    assert desk.apply() == []
    with pytest.raises(Conflict, match=r"schedules\.nightly"):
        desk.apply(LATER.replace('"2h"', '"3h"'))

    assert desk.sql("SELECT deadline FROM collectors") == [("2h",)]


def test_a_queue_that_was_only_paused_becomes_the_files_and_stays_paused(desk: Desk) -> None:
    desk.sql(
        "INSERT INTO queues (name, paused_at, paused_by, paused_reason)"
        " VALUES ('nightly', CURRENT_TIMESTAMP, 'bob', 'x')"
    )

    desk.apply()

    found = desk.sql("SELECT max_depth, origin, paused_by FROM queues")
    assert found == [(7, "file", "bob")]
    assert desk.apply() == []


def test_what_the_database_refuses_takes_everything_back(desk: Desk) -> None:
    desk.sql("CREATE UNIQUE INDEX one_schedule_each ON schedules (collector)")

    with pytest.raises(Conflict, match=r"schedules\.hourly cannot be written: "):
        desk.apply()

    assert (desk.names("schedules"), desk.names("collectors")) == ([], [])
    assert desk.sql("SELECT * FROM changes") == []


def test_what_was_agreed_to_is_done_or_nothing(desk: Desk) -> None:
    desk.apply()
    agreed = desk.plan(WITHOUT_HOURLY, prune=True)
    desk.sql("UPDATE collectors SET deadline = '5m'")

    with pytest.raises(Conflict, match="was changed while"), desk.db.writing() as conn:
        config = desk.config(WITHOUT_HOURLY)
        apply_definitions(
            conn, config, by="ann", now=NINE, prune=True, confirmed=True, expected=agreed.changes
        )

    assert desk.names("schedules") == ["hourly", "nightly"]


def test_each_definition_that_is_written_is_in_the_audit(desk: Desk) -> None:
    desk.apply()
    desk.apply(LATER.replace(HOURLY, ""), prune=True)

    with desk.db.reading() as conn:
        newest = audit.list_changes(conn, subject="schedules", limit=2)
        created = audit.list_changes(conn, subject="batches.pages", limit=9)

    assert [(one.by, one.action, one.subject, one.columns()) for one in newest] == [
        ("ann", "prune", "schedules.hourly", {}),
        ("ann", "apply", "schedules.nightly", {"cron": ["0 2 * * *", "0 3 * * *"]}),
    ]
    [columns] = [one.columns() for one in created]
    assert re.fullmatch(r"\(1 inputs, #[0-9a-f]{6}\)", columns["inputs"][1])


def test_no_credential_that_a_row_holds_reaches_the_audit(desk: Desk) -> None:
    desk.apply()
    desk.sql("""UPDATE collectors SET deliver = '{"type": "s3", "secret_key": "CANARY-1234"}'""")

    desk.apply()

    assert "CANARY" not in str(desk.sql("SELECT * FROM changes"))
    assert desk.sql("SELECT deliver FROM collectors") == [(None,)]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ('token = { env = "DCA_API_TOKEN" }', 'token = { env = "STAGING_TOKEN" }'),
        ("[accounts.main]", '[accounts.main]\nbase_url = "https://staging.example"'),
    ],
)
def test_another_environment_cannot_take_an_account_over(desk: Desk, here: str, there: str) -> None:
    """Production's runs and token would go to staging's upstream."""
    desk.apply()
    before = desk.sql("SELECT base_url, token FROM accounts")
    staging = FILE.replace(here, there).replace('every = "1h"', 'every = "2h"')

    with pytest.raises(AccountTaken, match=r"accounts\.main\.\w+ is .*--accept-account-change"):
        desk.apply(staging)

    assert desk.sql("SELECT base_url, token FROM accounts") == before
    assert desk.sql("SELECT every FROM schedules WHERE name = 'hourly'") == [("1h",)]


def test_an_account_may_be_changed_when_that_is_asked_for(desk: Desk) -> None:
    desk.apply()
    changed = FILE.replace("DCA_API_TOKEN", "NEW_TOKEN")

    with desk.db.writing() as conn:
        config = desk.config(changed)
        apply_definitions(conn, config, by="ann", now=NINE, accept_account_change=True)

    assert desk.sql("SELECT token FROM accounts") == [("env:NEW_TOKEN",)]
    assert desk.apply(changed) == []
