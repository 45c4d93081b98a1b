"""What is wrong with a configuration: all of it at once, each led by its place, no secret shown."""

from pathlib import Path

import pytest

from scheduler.config import load_config
from scheduler.domain.errors import ConfigError
from tests.config.make import SOUND, problems, write

ONE_OF = '{ env = "NAME" }, { file = "PATH" } or { credential = "NAME" }'


def test_every_problem_is_listed_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
        [log]
        level = "infoo"
        [daemon]
        lease = "20s"
        [accounts.main]
        token = { env = "T" }
        max_in_flght = 5
        [collectors.products]
        id = "c_1"
        max_running = "many"
        [batches.pages]
        file = "absent.xls"
        [schedules.nightly]
        collector = "product"
        batch = "pages"
        cron = "0 2 * *"
        queue = "a"
        confirm_cancel = true
        priority = 1.5
    """

    assert problems(tmp_path, text) == [
        "log.level: must be debug, info, warning or error; did you mean info?",
        "daemon.lease: must be at least 40s, 10s longer than request_timeout:"
        " a lease that ends during a request gives its run away",
        "accounts.main.max_in_flght: unknown key; did you mean max_in_flight?",
        "collectors.products.max_running: must be a whole number, not text",
        "batches.pages.file: must end in one of .csv .json .jsonl .ndjson .txt",
        "schedules.nightly.priority: must be a whole number, not a number with a fraction",
        "schedules.nightly: queue and confirm_cancel exclude each other: keep one of them",
        "schedules.nightly.collector: there is no [collectors.product]; did you mean products?",
        "schedules.nightly: cron '0 2 * *' has 4 fields:"
        " write five fields: minute hour day-of-month month day-of-week",
    ]


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ("[logg]\nlevel = 1", "logg: unknown table; did you mean log?"),
        (
            "[follow]\npoll_intial = 1",
            "follow.poll_intial: unknown key; did you mean poll_initial?",
        ),
        (
            "[database]\nzzz = 1",
            "database.zzz: unknown key; there is url, auto_migrate",
        ),
        ("[log]\nlevel = 5", "log.level: must be debug, info, warning or error"),
        ("[daemon]\npoll_interval = 2", "daemon.poll_interval: must be a duration"),
        ("[daemon]\npoll_interval = '2 s s'", "daemon.poll_interval: '2 s s' is not a duration"),
        ("[database]\nauto_migrate = 1", "database.auto_migrate: must be true or false, not a"),
        ("[unconfirmed]\nlookup_after = []", "unconfirmed.lookup_after: must not be empty"),
        ("[unconfirmed]\nlookup_after = ['5s', '5s']", "unconfirmed.lookup_after: must grow"),
        (
            "[unconfirmed]\nlookup_after = '5s'",
            "unconfirmed.lookup_after: must be an array, not text",
        ),
        (
            "[unconfirmed]\nlookup_after = ['5s', 6]",
            "unconfirmed.lookup_after[1]: must be a duration",
        ),
        ("[follow]\npoll_initial = '1h'", "follow.poll_max: 5m is shorter than poll_initial"),
        ("[defaults]\nbackoff_initial = '1h'", "defaults.backoff_max: 15m is shorter than"),
        ("[defaults]\ntimezone = 'Europe/Berln'", "defaults.timezone: unknown time zone"),
        ("[defaults]\ncatch_up = 'lates'", "defaults.catch_up: must be latest, all or none; did"),
        ("[defaults]\nmax_attempts = 0", "defaults.max_attempts: must be at least 1"),
        ("[accounts.b]", "accounts.b.token: this key is missing: Where the API token is kept"),
        ("[accounts.b]\ntoken = {}", f"accounts.b.token: must be exactly one of {ONE_OF}"),
        (
            "[accounts.b]\ntoken = { env = 'A', file = 'b' }",
            f"accounts.b.token: must be exactly one of {ONE_OF}",
        ),
        (
            "[accounts.b]\ntoken = { env = 'A' }\nrequests_per_second = nan",
            "accounts.b.requests_per_second: must be a finite number",
        ),
        (
            "[accounts.b]\ntoken = { env = 'A' }\nrequests_per_second = 0",
            "accounts.b.requests_per_second: must be more than 0",
        ),
        ("[accounts]\nb = 5", "accounts.b: must be a table, not a whole number"),
        ("[calendars.h]", "calendars.h: must have days or ics, or both"),
        ("[calendars.h]\ndays = ['someday']", "calendars.h: calendar 'h': 'someday' is not a date"),
        ("[calendars.h]\nics = 'no.ics'", "calendars.h.ics: there is no file"),
        ("[queues.q]\norder = 'loose'", "queues.q.order: must be strict or relaxed"),
        ("[collectors.b]\nid = 'm_1'", "collectors.b.id: 'm_1' is not a collector's id"),
        ("[collectors.b]\nid = 'c_1'\naccount = 'x'", "collectors.b.account: there is no [acc"),
        ("[collectors.b]\nid = 'c_1'\nversion = 'live'", "collectors.b.version: version 'live'"),
        ("[collectors.b]\nid = 'c_1'\nname = '{x}'", "collectors.b.name: '{x}': {x} is unknown"),
        (
            "[collectors.b]\nid = 'c_1'\nnotify = 'email'",
            "collectors.b.notify: must be a table, not text",
        ),
        (
            "[collectors.b]\nid = 'c_1'\ndeliver = { key = '${secret:S3}' }",
            "collectors.b.deliver: there is no secret S3 in [secrets]",
        ),
        (
            "[collectors.b]\nid = 'c_1'\nbackoff_initial = '1h'",
            "collectors.b: its backoff_max, 15m",
        ),
        (
            "[batches.b]",
            "batches.b: must have exactly one of file and inputs; this one has neither",
        ),
        (
            "[batches.b]\nfile = 'a.xml'",
            "batches.b.file: must end in one of .csv .json .jsonl .ndjson .txt",
        ),
        ("[batches.b]\ninputs = []", "batches.b.inputs: must hold at least one input"),
        ("[batches.b]\ninputs = ['u']", "batches.b.inputs: must be an array of tables"),
        (
            "[batches.b]\ninputs = [{ a = [{ day = 2026-01-01 }] }]",
            "batches.b.inputs: [0].a[0].day is a date or a time, which JSON does not know",
        ),
        ('[batches."b c"]', 'batches."b c": must have exactly one of'),
        ('[batches." b"]\ninputs = [{}]', 'batches." b": a name must be printable text'),
    ],
)
def test_a_problem_is_one_sentence_led_by_its_place(
    tmp_path: Path, added: str, problem: str
) -> None:
    text = SOUND.replace("[collectors.products]", "[collectors.products]\naccount = 'main'")

    [found] = problems(tmp_path, f"{text}\n{added}")

    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("every = '5s'", "schedules.nightly: a timetable is exactly one of cron, every"),
        ("anchor = 2026-01-01", "schedules.nightly: anchor goes with every or calendar_interval"),
        ("valid_until = 2026-01-01", "schedules.nightly.valid_until: must be a date and a time"),
        ("valid_until = 'x'", "schedules.nightly.valid_until: must be a date and a time"),
        ("timezone = 'Mars'", "schedules.nightly.timezone: unknown time zone 'Mars'"),
        ("dst_gap = 'drop'", "schedules.nightly.dst_gap: must be shift or skip"),
        ("queue = ''", "schedules.nightly.queue: queue '' must be one line of text"),
        ("queue_next = false", "schedules.nightly: queue_next = false needs queue or confirm_c"),
        ("queue = 'a'\nqueue_next = true", "schedules.nightly: queue and queue_next exclude each"),
        ("exclude = ['x']", "schedules.nightly.exclude[0]: there is no [calendars.x]"),
        ("exclude = 'x'", "schedules.nightly.exclude: must be an array, not text"),
        ("jitter = '5'", "schedules.nightly.jitter: '5' is not a duration"),
        ("backoff_max = '1s'", "schedules.nightly: its backoff_max, 1s is shorter than back"),
        ("backoff_initial = '2h'\nbackoff_max = '1h'", "schedules.nightly: backoff_max 1h is sho"),
    ],
)
def test_a_problem_of_a_schedule_names_the_schedule(
    tmp_path: Path, keys: str, problem: str
) -> None:
    [found] = problems(tmp_path, f"{SOUND}\n{keys}")

    assert found.startswith(problem)


def test_a_schedule_without_a_timetable_is_told_what_there_is(tmp_path: Path) -> None:
    [found] = problems(tmp_path, SOUND.replace('cron = "0 2 * * *"', ""))

    assert found.startswith("schedules.nightly: a timetable is exactly one of cron, every")
    assert found.endswith("this one has none of them")


def test_a_collector_must_name_its_account_when_there_are_two(tmp_path: Path) -> None:
    text = SOUND + "[accounts.other]\ntoken = { env = 'T' }"

    assert problems(tmp_path, text) == [
        "collectors.products.account: is missing: name one of main, other"
    ]


def test_a_collector_without_any_account_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, '[collectors.a]\nid = "c_1"') == [
        "collectors.a.account: there is no [accounts.NAME] that it could use: write one"
    ]


def test_what_is_broken_itself_is_not_called_missing_too(tmp_path: Path) -> None:
    text = SOUND.replace('id = "c_products"', "id = 5")

    assert problems(tmp_path, text) == [
        "collectors.products.id: must be text in quotes, not a whole number"
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[log]\nlevel = \n", "line 2, column 9: invalid value"),
        (b"[log\n", "line 1, column 5: expected ']'"),
        (b"[log]\n[log]\n", "line 2, column 5: cannot declare"),
        (b"a = 1\n# \xff\n", "line 2: the file is not UTF-8 text"),
        (b"a = " + b"[" * 50_000, "the file is nested too deeply"),
    ],
    ids=["no value", "open header", "twice", "not UTF-8", "too deep"],
)
def test_a_file_that_is_not_toml_is_refused_with_its_line(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load_config(path, {})

    assert caught.value.source == str(path)
    assert [found[: len(problem)] for found in caught.value.problems] == [problem]


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[log]\nlevel = 'debug'\n")

    assert load_config(path, {}).config.log.level == "debug"


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        load_config(tmp_path, {})


CANARY = "CANARY-5f0c"


@pytest.mark.parametrize(
    "added",
    [
        f"[accounts.b]\ntoken = '{CANARY}'",
        f"[accounts.b]\ntoken = ['{CANARY}']",
        f"[accounts.b]\ntoken = {{ env = '{CANARY}' }}",
        f"[accounts.b]\ntoken = {{ credential = '/{CANARY}' }}",
        f"[accounts.b]\ntoken = {{ value = '{CANARY}' }}",
        f"[accounts.b]\ntoken = {{ env = 'A' }}\nbase_url = 'https://u:{CANARY}@example.com'",
        f"[accounts.b]\ntoken = {{ env = 'A' }}\nbase_url = 'https://example.com?k={CANARY}'",
        f"[accounts.b]\ntoken = {{ env = 'A' }}\ntokn = '{CANARY}'",
        f"[secrets]\ns3 = '{CANARY}'",
        f"[database]\nurl = 'mysql://u:{CANARY}@h/d'",
        f"[database]\nurl = 'postgres://u:{CANARY}@h/d'",
        f"[collectors.b]\nid = 'c_1'\ndeliver = {{ type = 's3', secret_key = '{CANARY}' }}",
        f"[collectors.b]\nid = 'c_1'\nnotify = '{CANARY}'",
        f"[batches.b]\ninputs = '{CANARY}'",
        f"[accounts.b]\ntoken = {CANARY}",
    ],
)
def test_no_problem_shows_what_may_be_a_secret(tmp_path: Path, added: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, f"{SOUND}\n{added}"), {})

    assert CANARY not in repr(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_one_wrong_key_hides_no_other_of_its_table(tmp_path: Path) -> None:
    wrong = """cron = "99 * * * *"
every = "1h"
timezone = "Nowhere/X"
deadline = "x"
"""
    text = (
        SOUND.replace('cron = "0 2 * * *"', wrong)
        + """
[calendars.closed]
days = ["13-45"]
ics = "missing.ics"
"""
    )

    found = problems(tmp_path, text)

    expected = ("deadline: ", "timezone: ", "has cron and every", "cron '99 * * * *'")
    assert all(any(part in one for one in found) for part in expected), found
    assert any(one.startswith("calendars.closed.ics: ") for one in found), found
    assert any("13-45" in one for one in found), found


def test_a_wrong_kind_of_timetable_is_told_once(tmp_path: Path) -> None:
    """Without the wrong key there would be no timetable at all: that is no problem of its own."""
    [problem] = problems(tmp_path, SOUND.replace('cron = "0 2 * * *"', 'every = "often"'))

    assert problem.startswith("schedules.nightly.every: ")
