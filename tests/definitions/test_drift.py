"""`drift`: how rows differ from the file since, and by whom."""

from scheduler.actions.schedules import set_enabled
from tests.definitions.rig import FILE, HOURLY, Desk
from tests.make import NINE


def test_nothing_drifts_by_itself(desk: Desk) -> None:
    desk.apply()

    assert desk.drift() == []


def test_what_a_command_changed_is_told_with_who_did_it(desk: Desk) -> None:
    desk.apply()
    with desk.db.writing() as conn:
        set_enabled(conn, "hourly", enabled=False, by="bob", now=NINE)

    [found] = desk.drift()

    assert (found.name, found.column, found.in_file, found.in_database) == (
        "hourly",
        "enabled",
        True,
        False,
    )
    assert found.changed is not None
    assert (found.changed.by, found.changed.action, found.changed.happened_at) == (
        "bob",
        "disable",
        NINE,
    )


def test_what_an_sql_client_changed_is_told_as_its(desk: Desk) -> None:
    desk.apply()
    desk.sql("UPDATE schedules SET cron = '0 5 * * *' WHERE name = 'nightly'")

    [found] = desk.drift()

    assert (found.column, found.in_file, found.in_database) == ("cron", "0 2 * * *", "0 5 * * *")
    assert found.changed is not None
    assert (found.changed.by.partition(" ")[0], found.changed.action) == ("sql", "update")


def test_what_is_on_one_side_only_is_told(desk: Desk) -> None:
    desk.apply(FILE.replace(HOURLY, ""))
    desk.sql("UPDATE schedules SET name = 'moved' WHERE name = 'nightly'")

    found = desk.drift()

    assert [(one.name, one.column, one.in_file, one.in_database) for one in found] == [
        ("nightly", None, True, False),
        ("hourly", None, True, False),
        ("moved", None, False, True),
    ]


def test_what_sql_deleted_is_nobodys_command(desk: Desk) -> None:
    desk.apply()
    desk.sql("DELETE FROM schedules WHERE name = 'hourly'")

    [found] = desk.drift()

    assert (found.name, found.in_database) == ("hourly", False)
    assert found.changed is not None
    assert (found.changed.by.partition(" ")[0], found.changed.action) == ("sql", "delete")


def test_pauses_and_rows_of_the_database_are_no_drift(desk: Desk) -> None:
    desk.apply()
    desk.sql("UPDATE schedules SET paused_at = CURRENT_TIMESTAMP, paused_by = 'bob'")
    desk.sql("UPDATE collectors SET origin = 'database', deadline = '9h'")

    assert desk.drift() == []
