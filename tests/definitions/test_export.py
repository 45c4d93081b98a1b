"""`export`: what the database holds as a file that changes nothing when it is applied."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.actions.apply import apply_definitions
from scheduler.actions.comparing import WRITTEN, Change
from scheduler.config import load_config
from scheduler.domain.errors import InvalidInput
from scheduler.storage import definition_tables
from scheduler.storage.database import Connection, Database
from scheduler.tools.definitions.export import export_definitions
from tests.definitions.rig import FILE, HOURLY, Desk
from tests.make import NINE


def test_an_unchanged_file_is_exported_byte_for_byte(desk: Desk) -> None:
    desk.apply()

    assert desk.export(FILE).text == FILE


def test_only_the_keys_that_differ_are_written_anew(desk: Desk) -> None:
    desk.apply()
    desk.sql("UPDATE collectors SET deadline = '3h', version = 'dev'")
    desk.sql("UPDATE schedules SET cron = NULL, every = '5m' WHERE name = 'nightly'")

    exported = desk.export(FILE).text

    assert exported == (
        FILE.replace('"2h"', '"3h"')
        .replace("# it takes one\n", '# it takes one\nversion = "dev"\n')
        .replace('cron = "0 2 * * *"\n', "")
        .replace('"night"]\n', '"night"]\nevery = "5m"\n')
    )


def test_comments_above_a_table_stay_above_it(desk: Desk) -> None:
    desk.apply()
    desk.sql("UPDATE schedules SET priority = 3 WHERE name = 'nightly'")

    assert "priority = 3\n\n# Each hour.\n[schedules.hourly]" in desk.export(FILE).text


def test_what_the_database_does_not_hold_is_left_out(desk: Desk) -> None:
    desk.apply(FILE.replace(HOURLY, ""))

    assert "[schedules.hourly]" not in desk.export(FILE).text


def test_rows_that_a_person_made_are_exported_and_applied_without_a_clash(desk: Desk) -> None:
    desk.apply()
    desk.sql(
        "INSERT INTO schedules (name, collector, batch, after, after_when, labels)"
        " VALUES ('my job', 'products', 'pages', 'nightly', 'succeeded', ',a,b,')"
    )

    exported = desk.export(FILE).text

    assert '[schedules."my job"]' in exported
    assert 'labels = ["a", "b"]' in exported
    assert desk.apply(exported) == []


def test_without_a_file_the_definitions_stand_alone(desk: Desk) -> None:
    hook = 'deliver = { type = "webhook", endpoint = "https://h.example", auth = "${secret:hook}" }'
    secret = '\n[secrets]\nhook = { env = "H" }\n'
    desk.apply(FILE.replace('deadline = "2h"', f'{hook}\ndeadline = "2h"') + secret)

    exported = desk.export().text

    assert desk.apply(exported, prune=True) == []
    assert 'hook = {env = "HOOK"}' in exported


def test_the_files_defaults_hold_for_what_is_exported_on_its_ground(desk: Desk) -> None:
    berlin = f"[defaults]\ntimezone = 'Europe/Berlin'\n{FILE}"
    desk.apply(berlin)
    desk.sql("UPDATE schedules SET timezone = 'UTC' WHERE name = 'nightly'")

    exported = desk.export(berlin).text

    assert exported.count("timezone") == 2
    assert desk.apply(exported) == []


def test_a_calendar_of_an_icalendar_file_becomes_a_file_again(desk: Desk) -> None:
    event = "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261225\nSUMMARY:x\nEND:VEVENT"
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{event}\nEND:VCALENDAR"
    (desk.folder / "days.ics").write_text(text)
    desk.apply(FILE.replace('days = ["12-25"]', 'days = ["12-25"]\nics = "days.ics"'))

    exported = desk.export()
    for name, content in exported.calendars.items():
        (desk.folder / name).write_text(content)

    assert list(exported.calendars) == ["holidays.ics"]
    assert desk.apply(exported.text) == []


@pytest.mark.parametrize(
    "written",
    [
        FILE,
        HOURLY + FILE.replace(HOURLY, ""),
        FILE.replace("[calendars.holidays]", f"{HOURLY}[calendars.holidays]").rpartition(
            "# Each hour."
        )[0],
        FILE.replace(HOURLY, "")
        .replace(
            "# The shop's schedules.",
            'schedules.hourly = { collector = "products", batch = "pages", every = "1h" }',
        )
        .replace("[schedules.nightly]", "[other]")
        .partition("[other]")[0],
        FILE.rstrip("\n"),
        FILE.replace("\n", "\r\n"),
    ],
    ids=["usual", "schedules first", "a table between", "inline", "no last line break", "CRLF"],
)
def test_files_of_any_shape_are_exported_on_their_ground(desk: Desk, written: str) -> None:
    desk.apply(written)
    desk.sql("UPDATE schedules SET priority = 3, cron = NULL, every = '5m'")
    desk.sql("INSERT INTO queues (name, max_depth) VALUES ('new', 3)")
    desk.sql(
        "INSERT INTO schedules (name, collector, batch, manual)"
        " VALUES ('new', 'products', 'pages', TRUE)"
    )
    desk.sql("INSERT INTO calendars (name, rules) VALUES ('new', 'sun')")

    exported = desk.export(written).text

    assert desk.apply(exported, prune=True) == []
    assert exported.count("priority = 3") == len(desk.names("schedules")) - 1


def test_what_toml_cannot_say_is_refused_with_its_place(desk: Desk) -> None:
    desk.apply()
    desk.sql("""UPDATE batches SET inputs = '[{"url": "x", "tags": [null]}]'""")

    with pytest.raises(InvalidInput, match=r"batches\.pages: inputs holds null"):
        desk.export(FILE)


def test_a_calendars_name_leads_out_of_no_folder(desk: Desk) -> None:
    desk.sql(
        "INSERT INTO calendars (name, rules) VALUES ('../../etc/x', :rules)",
        rules="BEGIN:VCALENDAR\nEND:VCALENDAR",
    )

    assert list(desk.export().calendars) == ["______etc_x.ics"]


# --- any database: what is exported changes nothing

TEXTS = st.sampled_from(["a", "ä b", 'q"uote', "back\\slash", "two\nlines", "#hash", "{x}"])
DURATIONS = st.sampled_from(["90s", "1h30m", "2d"])
MAYBE_COUNT = st.none() | st.integers(1, 9)
TRIGGERS: dict[str, st.SearchStrategy[Any]] = {
    "deadline": st.none() | DURATIONS,
    "version": st.sampled_from([None, "dev"]),
    "trigger_name": st.sampled_from([None, "{schedule} {due_at:%Y}"]),
    "notify": st.sampled_from([None, '{"type": "email"}']),
    "max_attempts": MAYBE_COUNT,
    "on_unconfirmed": st.sampled_from([None, "hold", "skip"]),
}
COLUMNS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "accounts": {
        "base_url": st.sampled_from(["https://a.example", "http://127.0.0.1:1"]),
        "token": st.sampled_from(["env:OTHER", "file:/run/token", "credential:dca"]),
        "requests_per_second": st.sampled_from([1.0, 0.5, 20.0]),
    },
    "calendars": {"rules": st.sampled_from(["sun", "12-24\n12-31", "sat 00:00-06:00"])},
    "queues": {
        "queue_order": st.sampled_from(["strict", "relaxed"]),
        "max_depth": MAYBE_COUNT,
    },
    "collectors": {
        **TRIGGERS,
        "no_downloads": st.booleans(),
        "max_running": st.integers(1, 200),
    },
    "batches": {
        "inputs": st.dictionaries(
            TEXTS, TEXTS | st.integers() | st.booleans() | st.lists(TEXTS, max_size=2), min_size=1
        ).map(lambda one: as_json([one, {"url": "x"}])),
        "send_as": st.sampled_from(["json", "csv"]),
        "dedupe": st.booleans(),
        "required": st.sampled_from([None, "url", "url,sku"]),
        "max_change_percent": st.none() | st.integers(0, 100),
    },
    "schedules": {
        **TRIGGERS,
        "no_downloads": st.none() | st.booleans(),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
        "exclude": st.sampled_from([None, "holidays"]),
        "valid_from": st.sampled_from([None, "2026-01-01T00:00:00"]),
        "jitter": st.none() | DURATIONS,
        "queue": st.sampled_from([None, "nightly", "another"]),
        "overlap": st.sampled_from(["queue", "skip", "replace"]),
        "misfire_grace": DURATIONS,
        "catch_up": st.sampled_from(["latest", "all", "none"]),
        "catch_up_max": MAYBE_COUNT,
        "catch_up_pace": st.none() | DURATIONS,
        "max_runs": MAYBE_COUNT,
        "labels": st.sampled_from([None, ",a,", ",a,b,"]),
        "enabled": st.booleans(),
    },
}
TIMETABLES = st.sampled_from(
    [
        {"cron": "0 5 * * *; 30 14 * * sat"},
        {"every": "15m", "anchor": "2026-01-01T00:05:00+00:00"},
        {"at": "2027-12-01T02:00:00"},
        {"calendar_interval": "month on last at 03:30"},
        {"manual": True},
    ]
)
NO_TIMETABLE = dict.fromkeys(("cron", "every", "at", "calendar_interval", "anchor"))
EDITS = st.sampled_from(
    [(table, column) for table in COLUMNS for column in COLUMNS[table]]
).flatmap(lambda place: st.tuples(st.just(place), COLUMNS[place[0]][place[1]]))


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(edits=st.lists(EDITS, max_size=12), timetable=TIMETABLES, knows_file=st.booleans())
def test_applying_what_was_exported_changes_nothing(
    sqlite_url: str,
    folder: Path,
    edits: list[tuple[tuple[str, str], object]],
    timetable: dict[str, object],
    knows_file: bool,
) -> None:
    with Database(sqlite_url) as db, db.writing() as conn:
        apply(conn, folder, FILE)
        for (table, column), value in edits:
            for name in definition_tables.list_rows(conn, table):
                definition_tables.update_row(conn, table, name, {column: value})
        definition_tables.update_row(
            conn, "schedules", "hourly", {"manual": False, **NO_TIMETABLE, **timetable}
        )

        config = load_config(folder / "config.toml", {}).config if knows_file else None
        exported = export_definitions(conn, known=FILE if knows_file else None, config=config)
        written = apply(conn, folder, exported.text)
        conn.rollback()

    assert written == []


def apply(conn: Connection, folder: Path, text: str) -> list[Change]:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    config = load_config(path, {}).config
    changes = apply_definitions(conn, config, by="ann", now=NINE, prune=True, confirmed=True)
    return [change for change in changes if change.verb in WRITTEN]
