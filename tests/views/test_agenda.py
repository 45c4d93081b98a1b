"""What will run in the hours to come, what will not and why, by the hour, and as a calendar."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from scheduler.domain.timetable import DstMark
from scheduler.storage.database import Connection, Database
from scheduler.tools.calendar.agenda import Agenda, read_agenda, read_agenda_and_load, why_then
from scheduler.tools.calendar.agenda_ics import agenda_ics
from scheduler.tools.calendar.desk import Desk
from scheduler.tools.calendar.hours import Load, walk_day
from tests.make import NINE, make_schedule
from tests.storage.rows import insert_schedule

HOUR = timedelta(hours=1)
SPRING = datetime(2026, 3, 27, 9, tzinfo=UTC)


def agenda_of(db: Database, *schedules: Mapping[str, object], now: datetime = NINE) -> Agenda:
    with db.writing() as conn:
        conn.exec_driver_sql("DELETE FROM schedules")
        for columns in schedules:
            insert_schedule(conn, **columns)
        return read_agenda(conn, now=now)


def load_of_a_week(conn: Connection, now: datetime) -> Load:
    return read_agenda_and_load(conn, hours=24, load_hours=168, now=now)[1]


def test_entries_are_in_order_and_say_why_then(db: Database) -> None:
    agenda = agenda_of(
        db,
        {"name": "b", "cron": "0 12 * * *", "jitter": "5m"},
        {"name": "a", "cron": "0 11 * * 1-5"},
    )

    assert [(entry.schedule, entry.due_at) for entry in agenda.entries] == [
        ("a", NINE + 2 * HOUR),
        ("b", NINE + 3 * HOUR),
    ]
    assert agenda.entries[0].why == "at 11:00 on Monday to Friday, UTC"
    assert agenda.entries[1].why == "at 12:00, UTC; up to 5m later (jitter)"
    assert agenda.entries[1].due_at <= agenda.entries[1].starts_at <= NINE + 3.1 * HOUR


def test_what_is_due_very_often_is_one_entry_with_a_number(db: Database) -> None:
    (entry,) = agenda_of(db, {"cron": "*/5 * * * *"}).entries

    assert entry.count == 288
    assert (entry.due_at, entry.until) == (NINE + timedelta(minutes=5), NINE + 24 * HOUR)


def test_max_runs_ends_an_agenda(db: Database) -> None:
    few = agenda_of(db, {"name": "few", "cron": "0 * * * *", "max_runs": 3}).entries

    assert [entry.due_at for entry in few] == [NINE + HOUR, NINE + 2 * HOUR, NINE + 3 * HOUR]


def test_what_is_stopped_stands_apart_and_so_does_what_never_fires(db: Database) -> None:
    paused = {"paused_at": NINE, "paused_by": "anna", "paused_reason": "vendor is down"}
    agenda = agenda_of(
        db,
        {"name": "paused", "cron": "0 11 * * *", **paused},
        {"name": "off", "cron": "0 11 * * *", "enabled": False},
        {"name": "by-hand", "cron": None, "manual": True},
        {
            "name": "over",
            "cron": "0 11 * * *",
            "valid_until": "2026-01-01T00:00:00",
            "planned_at": NINE,
        },
    )

    assert agenda.entries == ()
    assert [one.schedule for one in agenda.held] == ["off", "paused"]
    assert "anna" in agenda.held[1].why
    assert [one.schedule for one in agenda.never] == ["by-hand", "over"]


def test_a_pause_that_ends_within_the_day_lets_the_rest_through(db: Database) -> None:
    until = NINE + 2 * HOUR
    paused = {"paused_at": NINE, "paused_by": "anna", "paused_reason": "x", "paused_until": until}
    agenda = agenda_of(db, {"name": "paused", "cron": "30 10,12 * * *", **paused})

    assert [entry.due_at for entry in agenda.entries] == [NINE + 3.5 * HOUR]


def test_clock_changes_are_marked(db: Database) -> None:
    evening = datetime(2026, 3, 28, 20, tzinfo=UTC)
    (entry,) = agenda_of(
        db, {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, now=evening
    ).entries

    assert entry.dst is DstMark.SHIFTED
    assert entry.due_at == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_the_load_has_every_hour_and_counts_what_fires(db: Database) -> None:
    agenda_of(
        db,
        {"name": "often", "cron": "*/30 * * * *"},
        {"name": "daily", "cron": "0 12 * * *"},
        {"name": "off", "cron": "* * * * *", "enabled": False},
    )
    with db.reading() as conn:
        load = load_of_a_week(conn, NINE + timedelta(minutes=10))

    assert load.start == NINE
    assert len(load.hours) == 169
    assert {hour.count for hour in load.hours if hour.start.hour == 12} == {3}
    assert {hour.count for hour in load.hours if hour.start.hour == 13} == {2}
    assert load.uncounted == ()


def test_of_very_many_that_must_be_looked_at_the_rest_is_counted_the_next_time(
    db: Database,
) -> None:
    agenda_of(db, *({"name": f"each-{n}", "cron": "* * * * *; 0 1 * * *"} for n in range(2)))
    walk_day.cache_clear()
    with db.reading() as conn:
        first = load_of_a_week(conn, NINE)
        second = load_of_a_week(conn, NINE)

    assert first.uncounted == ("each-1",)
    assert second.uncounted == ()


def test_the_load_counts_what_becomes_of_each_kind_of_timetable(db: Database) -> None:
    stop = {"paused_at": NINE, "paused_by": "anna", "paused_reason": "x"}
    rows: list[dict[str, Any]] = [
        {"cron": "*/7 1-5 * * *", "timezone": "Asia/Kathmandu"},
        {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},  # the clock changes on the 29th
        {"cron": "0 */4 * * *; 30 12 * * *"},
        {"cron": None, "every": "47m"},
        {"cron": None, "at": "2026-03-28T12:00:00Z"},
        {"cron": None, "calendar_interval": "day at 06:00"},
        {"cron": "0 * * * *", "max_runs": 30},
        {"cron": "15 * * * *", "valid_until": "2026-03-29T00:00:00Z"},
        {"cron": "20 * * * *", **stop, "paused_until": SPRING + 50 * HOUR},
        {"cron": None, "every": "30m", **stop, "paused_until": SPRING + 2 * HOUR, "max_runs": 9},
    ]
    for row in rows:
        agenda_of(db, {"name": "one", **row})
        with db.reading() as conn:
            load = load_of_a_week(conn, SPRING)
            desk = Desk.read(conn, start=SPRING, end=SPRING + 168 * HOUR)
        (firing,) = desk.firings()
        assert firing.timetable is not None
        begin = firing.start - (firing.start - SPRING) % HOUR - timedelta(seconds=1)
        times = firing.timetable.occurrences(begin, SPRING + 168 * HOUR - timedelta(seconds=1))
        counted = Counter((at - SPRING) // HOUR for at in islice(times, firing.left))
        assert {n: hour.count for n, hour in enumerate(load.hours) if hour.count} == counted, row


def test_the_first_of_very_many_entries_are_in_order_and_the_rest_is_told(db: Database) -> None:
    often = [{"name": f"o{n:02}", "cron": f"{n} * * * *"} for n in range(50)]
    agenda = agenda_of(db, *often, {"name": "o99", "cron": "59 * * * *; 0 0 1 1 *"})

    assert not agenda.is_whole
    assert len(agenda.entries) == 1000
    places = [(entry.due_at, entry.schedule) for entry in agenda.entries]
    assert places == sorted(places)
    assert places[:2] == [
        (NINE + timedelta(minutes=1), "o01"),
        (NINE + timedelta(minutes=2), "o02"),
    ]


def test_why_then_names_what_is_left_out() -> None:
    schedule = make_schedule(cron="0 6 * * *", exclude="holidays,freeze", spread="1h")

    assert why_then(schedule) == "at 06:00, UTC; up to 1h later (spread); not on holidays, freeze"


def test_a_calendar_is_folded_escaped_and_keeps_the_ids_of_its_events(db: Database) -> None:
    agenda = agenda_of(db, {"cron": "0 12 * * *", "name": "nightly;x", "exclude": None})

    text = agenda_ics(agenda, host="example.org")

    assert text.startswith("BEGIN:VCALENDAR\r\n")
    assert text.endswith("END:VCALENDAR\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert "UID:nightly\\;x-20260302T120000Z@example.org" in text
    assert "DTSTART:20260302T120000Z" in text
    assert text == agenda_ics(agenda, host="example.org")


def test_the_calendar_can_be_read(db: Database) -> None:
    from icalendar import Calendar

    agenda = agenda_of(db, *({"name": f"n-{n}", "cron": f"{n} 12 * * *"} for n in range(5)))

    read = Calendar.from_ical(agenda_ics(agenda, host="example.org"))

    starts = [event.decoded("DTSTART") for event in read.walk("VEVENT")]
    assert starts == [entry.starts_at for entry in agenda.entries]
