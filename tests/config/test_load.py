"""A sound configuration: what is read, what is resolved, what is warned of."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.config import Config, calendar_text, json_schema, load_config
from scheduler.domain.errors import ConfigError
from scheduler.domain.records import CatchUp, QueueOrder
from scheduler.domain.request import Behaviour
from tests.config.make import SOUND, load, problems, write


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    loaded = load_config(None, {})

    assert loaded.path is None
    assert loaded.config == Config()
    assert loaded.config.daemon.lease == timedelta(seconds=60)
    assert loaded.config.unconfirmed.lookup_after[-1] == timedelta(minutes=10)
    assert loaded.config.defaults.catch_up is CatchUp.LATEST


def test_texts_of_definitions_stay_as_written(tmp_path: Path) -> None:
    keys = "deadline = '90m'\nvalid_until = 2026-12-01T02:00:00+01:00\nvalid_from = 2026-01-01"
    schedule = load(tmp_path, f"{SOUND}\n{keys}").schedules["nightly"]

    assert schedule.deadline == "90m"
    assert schedule.valid_from == "2026-01-01T00:00:00"
    assert schedule.valid_until == "2026-12-01T02:00:00+01:00"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("at = 2026-12-01T02:00:00", "2026-12-01T02:00:00"),
        ("at = 2026-12-01 02:00:00", "2026-12-01T02:00:00"),
        ("at = '2026-12-01T02:00'", "2026-12-01T02:00:00"),
        ("at = 2026-12-01T02:00:00Z", "2026-12-01T02:00:00+00:00"),
        ("at = '2026-12-01T02:00:00+02:00'", "2026-12-01T02:00:00+02:00"),
    ],
)
def test_a_moment_keeps_an_offset_only_if_one_was_written(
    tmp_path: Path, written: str, kept: str
) -> None:
    assert load(tmp_path, SOUND.replace('cron = "0 2 * * *"', written)).schedules["nightly"].at == (
        kept
    )


def test_several_cron_expressions_become_one_text(tmp_path: Path) -> None:
    text = SOUND.replace('"0 2 * * *"', '["0 2 * * *", "30 14 * * sat"]')

    assert load(tmp_path, text).schedules["nightly"].cron == "0 2 * * *; 30 14 * * sat"


@pytest.mark.parametrize(
    ("keys", "behaviour"),
    [
        ("", Behaviour.QUEUE_NEXT),
        ("queue_next = true", Behaviour.QUEUE_NEXT),
        ("queue = 'q'", Behaviour.QUEUE),
        ("queue = 'q'\nqueue_next = false", Behaviour.QUEUE),
        ("confirm_cancel = true", Behaviour.CONFIRM_CANCEL),
    ],
)
def test_a_schedule_has_one_behaviour(tmp_path: Path, keys: str, behaviour: Behaviour) -> None:
    assert load(tmp_path, f"{SOUND}\n{keys}").schedules["nightly"].behaviour is behaviour


def test_the_only_account_is_filled_into_collectors(tmp_path: Path) -> None:
    assert load(tmp_path, SOUND).collectors["products"].account == "main"


def test_paths_start_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "pages.csv").write_text("url\n")
    text = "[database]\nurl = 'sqlite:///data.db?timeout=5'\n[batches.b]\nfile = 'pages.csv'\n"
    write(folder, text + "[secrets]\ns3 = { file = 's3.key' }")
    monkeypatch.chdir(tmp_path)

    config = load_config(Path("etc/config.toml"), {}).config

    assert config.database.url == f"sqlite:///{folder}/data.db?timeout=5"
    assert config.batches["b"].file == str(folder / "pages.csv")
    assert str(config.secrets["s3"]) == f"file:{folder}/s3.key"


@pytest.mark.parametrize(
    "url", ["postgresql://u@h/d", "postgresql+psycopg://u@h/d", "sqlite:////var/lib/x.db"]
)
def test_other_database_urls_stay_as_written(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f"[database]\nurl = '{url}'").database.url == url


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "x.db", "sqlite://a/b"]
)
def test_a_database_url_without_a_file_is_refused(tmp_path: Path, url: str) -> None:
    [found] = problems(tmp_path, f"[database]\nurl = '{url}'")

    assert found.startswith("database.url: must")


def test_the_databases_password_is_not_in_the_configurations_repr(tmp_path: Path) -> None:
    assert "CANARY" not in repr(load(tmp_path, "[database]\nurl = 'postgresql://u:CANARY@h/d'"))


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://api.example.com", True),
        ("https://example.com/dca-proxy/", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("ftp://example.com", False),
        ("https://", False),
        ("https://example.com:port", False),
        ("https://user@example.com", False),
        ("https://example.com/?a=b", False),
        ("https://example.com/#a", False),
        ("https://exa mple.com", False),
    ],
)
def test_an_account_is_reached_by_https_or_on_this_machine(
    tmp_path: Path, url: str, is_good: bool
) -> None:
    text = f"[accounts.a]\ntoken = {{ env = 'T' }}\nbase_url = '{url}'"

    if is_good:
        assert load(tmp_path, text).accounts["a"].base_url == url.rstrip("/")
    else:
        assert problems(tmp_path, text)[0].startswith("accounts.a.base_url: must")


def test_a_secret_that_a_schedule_names_must_be_defined(tmp_path: Path) -> None:
    keys = "notify = { type = 'webhook', token = '${secret:hook}' }\n"

    config = load(tmp_path, f"{SOUND}\n{keys}\n[secrets]\nhook = {{ env = 'HOOK' }}")

    assert config.schedules["nightly"].notify == {"type": "webhook", "token": "${secret:hook}"}


def test_an_icalendar_file_excludes_what_it_lists(tmp_path: Path) -> None:
    (tmp_path / "bad.ics").write_text("hello")

    [found] = problems(tmp_path, SOUND + "\n[calendars.h]\nics = 'bad.ics'")

    assert (
        found == f"calendars.h: {tmp_path}/bad.ics is not iCalendar text: no BEGIN:VCALENDAR in it"
    )


ICS = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:J\xe4hrlich\r\n{}END:VEVENT\r\nEND:VCALENDAR\r\n"


def test_a_line_of_an_icalendar_file_may_be_folded_within_a_character(tmp_path: Path) -> None:
    text = ICS.format("DTSTART:20261201\r\n").encode()
    (tmp_path / "folded.ics").write_bytes(text.replace(b"\xc3\xa4", b"\xc3\r\n \xa4"))

    config = load(tmp_path, "[calendars.h]\nics = 'folded.ics'")

    assert "SUMMARY:J\xe4hrlich\r\n" in calendar_text(config.calendars["h"])


def test_a_calendar_is_read_in_the_zones_of_schedules_that_exclude_it_only(tmp_path: Path) -> None:
    """Its weekly event of Berlin is one also where another schedule is in Tokyo."""
    weekly = "DTSTART;TZID=Europe/Berlin:20261201T080000\r\nDURATION:PT2H\r\nRRULE:FREQ=WEEKLY\r\n"
    (tmp_path / "weekly.ics").write_text(ICS.format(weekly), encoding="utf-8")

    config = load(
        tmp_path,
        SOUND + "\n[calendars.m]\nics = 'weekly.ics'\n"
        "[schedules.b]\ncollector='products'\nbatch='pages'\nevery='1h'\n"
        "timezone='Europe/Berlin'\nexclude=['m']\n"
        "[schedules.t]\ncollector='products'\nbatch='pages'\nevery='1h'\ntimezone='Asia/Tokyo'",
    )

    assert set(config.schedules) >= {"b", "t"}


def test_what_is_seldom_meant_is_warned_of(tmp_path: Path) -> None:
    more = "".join(
        f"[schedules.s{n}]\ncollector='products'\nbatch='pages'\ncron='0 {n} 31 * *'\n"
        for n in (1, 2)
    )

    warnings = load_config(write(tmp_path, SOUND + more), {}).warnings

    assert [warning[:48] for warning in warnings] == [
        "schedules.s1: cron '0 1 31 * *': months without ",
        "schedules.s2: cron '0 2 31 * *': months without ",
        "schedules: 3 of 3 schedules fire at minute 0 (ni",
    ]


def test_a_queue_is_strict_unless_said(tmp_path: Path) -> None:
    queues = load(tmp_path, "[queues.a]\n[queues.b]\norder = 'relaxed'").queues

    assert [queue.order for queue in queues.values()] == [QueueOrder.STRICT, QueueOrder.RELAXED]


def test_ten_thousand_schedules_load_in_seconds(tmp_path: Path) -> None:
    schedule = "collector = 'products'\nbatch = 'pages'\ncron = '5 2 * * *'\nexclude = ['h']\n"
    schedules = "".join(f"[schedules.s{n}]\n{schedule}" for n in range(10_000))
    path = write(tmp_path, f"{SOUND}\n[calendars.h]\ndays = ['sat-sun']\n{schedules}")

    start = time.perf_counter()
    loaded = load_config(path, {})

    assert len(loaded.config.schedules) == 10_001
    assert time.perf_counter() - start < 20  # 2 s on an idle core


def test_the_schema_for_editors_knows_every_table() -> None:
    schema = json_schema()

    assert list(schema["properties"]) == list(Config.model_fields)
    lease = schema["$defs"]["DaemonSettings"]["properties"]["lease"]
    assert (lease["type"], lease["default"]) == ("string", "60s")
    assert lease["description"]


def test_importing_the_configuration_loads_neither_database_nor_http() -> None:
    code = (
        "import sys, scheduler.config;"
        "print([m for m in ('sqlalchemy', 'httpx', 'aiohttp', 'structlog') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "text",
    [
        "n = " + "9" * 100_000,
        ".".join(["a"] * 2_000) + " = 1",
        "[daemon]\nn = " + "[" * 50_000,
        'sql = "' + "x" * 64 * 1024 * 1024 + '"',
    ],
    ids=["long number", "long key", "deep", "large"],
)
def test_a_file_that_no_reader_was_made_for_is_a_problem_like_any_other(
    tmp_path: Path, text: str
) -> None:
    """A start must end with the code that keeps a daemon down; a reload must be refused."""
    (tmp_path / "config.toml").write_text(text)

    with pytest.raises(ConfigError):
        load_config(tmp_path / "config.toml", {})


def test_a_bare_at_in_the_databases_password_is_a_problem_that_shows_none(tmp_path: Path) -> None:
    url = "postgresql://crawl:Tr0ub@dour-S3cret@db.internal/crawl"
    (tmp_path / "config.toml").write_text(f'[database]\nurl = "{url}"\n')

    with pytest.raises(ConfigError, match="write @ as %40") as refused:
        load_config(tmp_path / "config.toml", {})
    assert "S3cret" not in str(refused.value) and "Tr0ub" not in str(refused.value)
