"""What is wrong, who knows of it, and who was told, from the terminal."""

from datetime import timedelta

import pytest

from scheduler.domain.notices import AlertKind, NewNotice, NoticeChange, Observed
from scheduler.storage import alerts, notices
from scheduler.storage.database import Database
from tests.surfaces.rig import FAILED, LIVES, NINE, Home

CHANNELS = """
[channels.ops]
type = "command"
command = ["/bin/true"]

[notices.all]
channels = ["ops"]
"""


@pytest.fixture
def told(home: Home) -> Home:
    """Return a home in which two things are wrong, and one of them was told."""
    home.config.write_text(home.config.read_text() + CHANNELS)
    with Database(f"sqlite:///{home.database}") as db, db.writing() as conn:
        for name in ("nightly", "hourly"):
            seen = Observed(
                kind=AlertKind.FAILING,
                subject=f"schedules.{name}",
                since=NINE,
                schedule=name,
                detail="refused: no such page",
            )
            alert = alerts.insert_alert(conn, seen)
        notice = NewNotice(
            channel="ops",
            kind="failing",
            change=NoticeChange.OPENED,
            subject=alert.subject,
            event={"kind": "failing", "detail": alert.detail},
            alert_id=alert.id,
        )
        notices.insert_notices(conn, [notice], now=NINE - timedelta(minutes=20))
    return home


def test_what_is_wrong_is_listed(told: Home) -> None:
    answer = told.done("alerts", "list", "--json")

    assert [one["subject"] for one in answer.items] == ["schedules.hourly", "schedules.nightly"]
    assert answer.items[0]["is_acked"] is False
    assert "refused: no such page" in told.done("alerts", "list").out


def test_who_acknowledges_is_told_and_audited(told: Home) -> None:
    answer = told.done("ack", "night*", "--reason", "vendor is told", "--for", "8h")
    listed = told.done("alerts", "list", "--json").items
    (change, *_) = told.done("changes", "list", "--json").items

    assert answer.out == "acknowledged until 2026-03-02 17:00:00Z: schedules.nightly\n"
    assert [one["is_acked"] for one in listed] == [False, True]
    assert listed[1]["acked_reason"] == "vendor is told"
    assert (change["action"], change["subject"]) == ("ack", "schedules.nightly")


def test_nothing_to_acknowledge_is_an_error(told: Home) -> None:
    answer = told.call("ack", "weekly")

    assert answer.code == 1
    assert "no open alert is 'weekly'" in answer.err


def test_what_was_told_is_listed_with_its_delivery(told: Home) -> None:
    (notice,) = told.done("notices", "list", "--json").items

    assert (notice["channel"], notice["state"]) == ("ops", "waiting")
    assert notice["detail"] == "refused: no such page"
    assert told.done("notices", "list", "--channel", "none").err == "nothing was told\n"


def test_a_channel_that_does_not_get_through_needs_a_person(told: Home) -> None:
    told.sql(LIVES)

    answer = told.call("doctor", "--json")

    assert answer.code == 1
    assert (
        "channel ops does not get through, 1 waiting"
        " (dca-scheduler notices list --channel ops)" in answer.json["complaints"]
    )


def test_a_test_message_waits_for_the_daemon(told: Home) -> None:
    answer = told.call("notify", "test", "ops", "--wait", "1")
    unknown = told.call("notify", "test", "op")

    assert answer.code == 1
    assert "no daemon has tried" in answer.out
    assert unknown.code == 1
    assert "did you mean ops?" in unknown.err


def test_a_schedule_without_a_good_result_for_too_long_needs_a_person(home: Home) -> None:
    home.sql(LIVES)
    home.sql("UPDATE schedules SET fresh_within = '36h', created_at = '2026-03-01 00:00:00'")
    fresh = home.call("doctor", "--json").json["complaints"]
    home.sql("UPDATE schedules SET created_at = '2026-02-28 00:00:00' WHERE name = 'nightly'")

    answer = home.call("doctor", "--json")

    assert fresh == []
    assert answer.code == 1
    assert answer.json["complaints"] == [
        "schedule nightly is stale since 2026-03-01 12:00:00Z:"
        " last good result: never, and fresh_within = 36h"
    ]
    assert answer.json["complaints"][0] in home.done("status").out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ('type = "webhook"', "a channel of type webhook needs url"),
        (
            'type = "webhook"\nurl = "http://h.example/"',
            "url begins with http: what is told would travel unencrypted",
        ),
        ('type = "command"\ncommand = ["page"]', "must begin with the program's absolute path"),
        (
            'type = "command"\ncommand = ["/x"]\nsecret = { env = "S" }',
            "secret does not go with type command",
        ),
        ('type = "webhook"\nurl = "https://u:s3cr3t@h.example/"', "without a user or a password"),
        ('type = "webhook"\nurl = "https://h.example"\nsecret = "s3cr3t"', "must not be written"),
    ],
)
def test_a_wrong_channel_is_a_sentence(home: Home, words: str, problem: str) -> None:
    home.config.write_text(home.config.read_text() + f"\n[channels.ops]\n{words}\n")

    answer = home.call("config", "check")

    assert answer.code != 0
    assert problem in answer.err + answer.out
    assert "s3cr3t" not in answer.err + answer.out


def test_names_of_channels_that_lead_nowhere_are_told(home: Home) -> None:
    home.config.write_text(
        home.config.read_text().replace('queue = "nightly"', 'queue = "nightly"\non_end = "load"')
        + '\n[notices.all]\nchannels = ["ops"]\nkinds = ["fail"]\n'
    )

    said = home.call("config", "check")

    assert "schedules.nightly.on_end: there is no [channels.load]" in said.err + said.out
    assert "notices.all.channels[0]: there is no [channels.ops]" in said.err + said.out
    assert "'fail' is no kind of notice" in said.err + said.out


def test_a_receiver_outside_of_the_hosts_is_refused(home: Home) -> None:
    home.config.write_text(
        home.config.read_text()
        + '\n[limits]\nhosts = ["https://api.brightdata.com"]\n'
        + '[channels.ops]\ntype = "webhook"\nurl = "https://h.example/x"\n'
    )

    said = home.call("config", "check")

    assert "channels.ops.url: its host is not among [limits] hosts" in said.err + said.out


def test_the_audit_says_where_what_came_is_not_what_was_due(home: Home) -> None:
    home.make_run(**FAILED, schedule="nightly", due_at="2026-03-02 01:00:00.000000", detail="no")
    home.sql("UPDATE schedules SET created_at = '2026-03-02 08:30:00', edited_at = NULL")

    answer = home.call("audit", "--since", "7d")
    none = home.call("audit", "--since", "2h")

    assert answer.code == 1
    assert "nightly" in answer.out
    assert "refused: no" in answer.out
    assert answer.out.splitlines()[-1] == (
        "1 of 2 schedules as expected from 2026-02-23 09:00:00Z to 2026-03-02 09:00:00Z:"
        " 0 of 1 occurrences ended well"
    )
    assert (none.code, none.out.splitlines()[0].startswith("2 of 2 schedules")) == (0, True)
