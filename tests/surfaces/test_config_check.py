"""`config check`: what a right file names, and cannot be read here and now."""

import os
from pathlib import Path

import pytest

from scheduler.actions.config_check import missing_files, unset_variables
from scheduler.config import load_config
from tests.surfaces.rig import CONFIG, Home

TOKEN = '{ env = "DCA_API_TOKEN" }'


@pytest.fixture
def sound(empty_home: Home) -> Home:
    """Return a home whose secrets are all there."""
    empty_home.environ.update(DCA_API_TOKEN="t", S="s")
    return empty_home


def warnings(home: Home, config: str) -> list[str]:
    home.config.write_text(config)
    told: list[str] = home.done("config", "check", "--json").json["warnings"]
    assert home.done("config", "check").out.splitlines()[1:] == [f"warning: {one}" for one in told]
    return told


@pytest.mark.parametrize(
    ("token", "warning"),
    [
        (TOKEN, None),
        ('{ env = "NO_TOKEN" }', "accounts.main.token: the environment variable NO_TOKEN is not"),
        ('{ env = "TWO" }', "accounts.main.token: it holds a space"),
        ('{ file = "/nowhere/token" }', "accounts.main.token: /nowhere/token cannot be read"),
        ('{ credential = "token" }', None),
    ],
)
def test_a_token_that_cannot_be_read_is_a_warning(
    sound: Home, token: str, warning: str | None
) -> None:
    sound.environ["TWO"] = "one two"

    told = warnings(sound, CONFIG.replace(TOKEN, token))

    assert [one[: len(warning or "")] for one in told] == ([warning] if warning else [])


def test_a_secret_that_is_not_there_is_a_warning(sound: Home) -> None:
    del sound.environ["S"]

    [told] = warnings(sound, CONFIG)

    assert told.startswith("secrets.s: the environment variable S is not set")


def test_a_batch_file_that_is_not_there_is_told_without_reading_any(tmp_path: Path) -> None:
    """A daemon says so at its start; the file may be written just before it is due."""
    (tmp_path / "a.csv").write_text("no inputs at all")
    file = tmp_path / "config.toml"
    file.write_text('[batches.there]\nfile = "*.csv"\n[batches.absent]\nfile = "[ab]/absent.csv"\n')

    told = list(missing_files(load_config(file, {}).config))

    assert told == [f"batches.absent.file: there is no file {tmp_path}/[ab]/absent.csv now"]


def test_a_variable_that_is_not_set_is_told_without_reading_any_file(tmp_path: Path) -> None:
    """A daemon says so at its start: its environment stays as it is, and a file may come."""
    file = tmp_path / "config.toml"
    file.write_text('accounts.a.token = { env = "T" }\naccounts.b.token = { file = "/no/such" }\n')

    told = list(unset_variables(load_config(file, {}).config, {}))

    assert told == ["accounts.a.token: the environment variable T is not set: set it to the secret"]


def test_a_file_without_a_guard_of_its_size_is_told(sound: Home) -> None:
    (sound.folder / "a.csv").write_text("url\nhttps://example.com\n")

    (told,) = warnings(sound, f'{CONFIG}\n[batches.a]\nfile = "a.csv"')

    assert "max_change_percent" in told


def test_what_is_doubtful_in_a_batch_is_told_wherever_it_is_looked_at(sound: Home) -> None:
    (sound.folder / "a.txt").write_text("https://example.com,de\n")
    batch = '\n[batches.a]\nfile = "a.txt"\nmax_change_percent = 9'
    (checked,) = warnings(sound, CONFIG + batch)
    planned = sound.call("plan").err
    sound.done("db", "upgrade")
    sound.done("apply")

    shown = sound.done("batches", "show", "a").err
    tried = sound.done("trigger", "products", "--batch", "a", "--dry-run").err

    assert all("columns go into a .csv" in text for text in (checked, shown, tried))
    assert "columns go into a .csv" in planned + sound.call("plan").err


def test_a_row_reads_no_file_outside_the_folders_of_the_configuration(sound: Home) -> None:
    outside = sound.folder.parent / "outside.csv"
    outside.write_text("url\nSECRET\n")
    sound.done("db", "upgrade")
    sound.done("apply")
    sound.sql("UPDATE batches SET file = ?, inputs = NULL", str(outside))

    shown = sound.call("batches", "show", "pages")
    tried = sound.call("trigger", "products", "--batch", "pages", "--dry-run")
    sound.sql("UPDATE batches SET file = ?", str(sound.folder / "a.csv"))
    (sound.folder / "a.csv").symlink_to(outside)
    linked = sound.call("batches", "show", "pages")

    for answer in (shown, tried, linked):
        assert (answer.code, "set inputs_root" in answer.err) == (1, True)
        assert "SECRET" not in answer.out + answer.err


def test_a_batch_that_cannot_be_read_or_is_not_there_is_a_problem(sound: Home) -> None:
    (sound.folder / "bad.csv").write_text("url\nhttps://example.com\na,b\n")
    (sound.folder / "good.csv").write_text("url\nhttps://example.com\n")
    more = '\n[batches.{0}]\nfile = "{0}.csv"\nrequired = ["url"]\nmax_change_percent = 9'

    sound.config.write_text(CONFIG + "".join(map(more.format, ("bad", "good", "gone"))))
    checked, in_words = sound.call("config", "check", "--json"), sound.call("config", "check")
    told = checked.json["problems"]

    assert (checked.code, in_words.code, checked.json["warnings"]) == (1, 1, [])
    assert in_words.out.startswith("not ok: ")
    assert in_words.out.splitlines()[1:] == [f"problem: {one}" for one in told]
    assert [one.partition(":")[0] for one in told] == ["batches.bad.file", "batches.gone.file"]
    assert f"{sound.folder}/bad.csv:3" in told[0]


ICS = (
    "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:1\nDTSTAMP:20260101T000000Z\n"
    "{}\nEND:VEVENT\nEND:VCALENDAR\n"
)


def test_a_calendar_that_nobody_renewed_is_a_warning(sound: Home) -> None:
    """Its last day has passed, so that it excludes nothing any more."""
    (sound.folder / "none.ics").write_text("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
    cancelled = ICS.format("DTSTART;VALUE=DATE:20271224\nRRULE:FREQ=DAILY\nSTATUS:CANCELLED")
    (sound.folder / "off.ics").write_text(cancelled)
    more = (
        '[calendars.old]\ndays = ["2025-12-25"]\n[calendars.new]\ndays = ["12-25"]\n'
        '[calendars.none]\nics = "none.ics"\n'
        '[calendars.off]\nics = "off.ics"\n'
    )

    told = warnings(sound, CONFIG + more)

    assert told == [
        "calendar old excludes nothing: its last day has passed",
        "calendar none excludes nothing: it has no events that take place",
        "calendar off excludes nothing: it has no events that take place",
    ]


def test_a_file_that_is_too_old_for_its_schedule_is_a_warning(sound: Home) -> None:
    file = sound.config.parent / "urls.csv"
    file.write_text("url\nhttps://example.com/1\n")
    os.utime(file, (0, 1_700_000_000))
    text = (
        CONFIG
        + f"""
[batches.exported]
file = "{file}"
max_change_percent = 50

[schedules.aged]
collector = "products"
batch = "exported"
every = "1h"
batch_max_age = "24h"
"""
    )

    (told,) = warnings(sound, text)

    assert told.startswith(f"schedules.aged.batch_max_age: {file} was last written at 2023-11-14")
