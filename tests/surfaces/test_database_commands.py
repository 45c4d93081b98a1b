"""`db` and `apply`."""

import pytest

from tests.surfaces.rig import CONFIG, Home, program, spoken


def test_a_database_is_made_and_found_current(empty_home: Home) -> None:
    made = empty_home.done("db", "upgrade")
    again = empty_home.done("db", "upgrade")
    current = empty_home.done("db", "current")
    checked = empty_home.done("db", "check")

    revision = current.out.strip()
    assert made.out == f"empty -> {revision}\n"
    assert again.out == f"{revision} is the newest already\n"
    assert empty_home.done("db", "current", "--json").json == {"revision": revision}
    assert checked.out == "ok\n"


def test_an_empty_folder_gets_the_default_database(empty_home: Home) -> None:
    empty_home.config.unlink()

    done = program("db", "upgrade", folder=empty_home.folder)

    assert done.returncode == 0, done.stderr
    assert [path.name for path in empty_home.folder.iterdir()] == ["dca-scheduler.db"]


def test_applying_tells_what_changed_and_what_is_paused(home: Home) -> None:
    head, _, _ = CONFIG.partition("[schedules.hourly]")
    home.config.write_text(head.replace('deadline = "2h"', 'deadline = "90m"'))

    said = home.done("apply").out

    assert said.splitlines() == [
        "updated collectors.products",
        "    deadline: 2h -> 90m",
        "paused schedules.hourly: not in the file any more (--prune deletes it)",
        "0 created, 1 updated, 1 paused, 5 unchanged",
    ]
    assert home.sql("SELECT deadline FROM collectors WHERE name = 'products'") == [("90m",)]


def test_a_dry_run_of_applying_writes_nothing(home: Home) -> None:
    home.config.write_text(CONFIG.replace('deadline = "2h"', 'deadline = "90m"'))

    said = home.done("apply", "--dry-run").out

    assert (
        said.splitlines()[-1] == "0 created, 1 updated, 6 unchanged (dry run: nothing was written)"
    )
    assert home.sql("SELECT deadline FROM collectors WHERE name = 'products'") == [("2h",)]


def test_changes_are_told_in_json(home: Home) -> None:
    home.config.write_text(CONFIG.replace('deadline = "2h"', 'deadline = "90m"'))

    changes = home.done("apply", "--json").items

    assert [one for one in changes if one["verb"] != "unchanged"] == [
        {
            "table": "collectors",
            "name": "products",
            "verb": "updated",
            "columns": {"deadline": ["2h", "90m"]},
        }
    ]


def test_a_name_that_somebody_else_owns_is_a_conflict(home: Home) -> None:
    home.sql("UPDATE collectors SET origin = 'database', deadline = '3h' WHERE name = 'news'")

    answer = home.call("apply")

    assert answer.code == 1
    assert answer.err.startswith("error: collectors.news: ")


def test_without_a_file_there_is_nothing_to_apply(home: Home) -> None:
    home.environ["DCA_SCHEDULER__DATABASE__URL"] = f"sqlite:///{home.database}"
    home.config.unlink()

    done = program("apply", folder=home.folder, environ=home.environ)

    assert done.returncode == 1
    assert done.stderr == "error: there is no configuration file to apply: name one with -c\n"


@pytest.mark.parametrize("words", [["apply", "--dry-run"], ["apply"]], ids=spoken)
def test_the_commands_work_on_postgresql(
    empty_home: Home, postgresql_url: str, words: list[str]
) -> None:
    empty_home.environ["DCA_SCHEDULER__DATABASE__URL"] = postgresql_url

    applied = empty_home.done(*words)
    collectors = empty_home.done("collectors", "list", "--json").items
    checked = empty_home.done("db", "check")
    versions = empty_home.call("doctor").out.splitlines()[:5]

    assert [one.split()[0] for one in versions] == [
        *("dca-scheduler", "python", "postgresql", "zone", "configuration")
    ]
    assert versions[2].split()[1][0].isdigit()
    assert applied.out.splitlines()[0] == "created accounts.main"
    assert [one["name"] for one in collectors] == (["news", "products"] if len(words) == 1 else [])
    assert checked.out == "ok\n"


def test_a_shared_database_tells_the_time(empty_home: Home, postgresql_url: str) -> None:
    empty_home.environ["DCA_SCHEDULER__DATABASE__URL"] = postgresql_url
    empty_home.done("apply")
    empty_home.done("trigger", "news", "--batch", "pages")

    [run] = empty_home.done("runs", "list", "--json").items

    # Our own clock stands at nine o'clock of a day long gone.
    assert run["due_at"] > "2026-03-03"
