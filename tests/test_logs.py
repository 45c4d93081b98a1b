"""Log lines: one for each event, on the given stream, with no secret and no escape in it."""

import io
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from scheduler.logs import configure_logging, redact, redact_text, render_many

CANARY = "CANARY5f0c"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_found() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    configure_logging(stream=stream)
    return stream


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_time_in_utc(lines: io.StringIO) -> None:
    structlog.get_logger().info("run_dispatched", run_id=7, state="collecting", name="two\nlines")

    [line] = read(lines)
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {
        "event": "run_dispatched",
        "level": "info",
        "run_id": 7,
        "state": "collecting",
        "name": "two\nlines",
    }


MANY: list[tuple[int, str, dict[str, object]]] = [
    (logging.INFO, "run_queued", {"run_id": 1, "schedule": "one", "detail": "ä\nb\x1b[1m"}),
    (logging.DEBUG, "run_dispatching", {"run_id": 1}),
    (logging.WARNING, "run_failed", {"run_id": 2, "detail": f"https://u:{CANARY}@h/?token=x"}),
    (logging.ERROR, "run_failed", {"run_id": 3, "schedule": f"token={CANARY}"}),
]


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("level", ["debug", "info", "error"])
def test_many_events_are_written_as_one_after_another(level: str, format: str) -> None:
    one_by_one, together = io.StringIO(), io.StringIO()
    configure_logging(level, format, one_by_one)
    for number, event, fields in MANY:
        structlog.get_logger().log(number, event, **fields)
    configure_logging(level, format, together)
    render_many(MANY, doubtful=("schedule", "detail"))()

    a_time = re.compile(r"20\d\d-\d\d-\d\dT[\d:.]+Z")
    expected, written = (a_time.sub("", stream.getvalue()) for stream in (one_by_one, together))
    assert written == expected != ""
    assert CANARY not in written


def test_the_standard_library_takes_the_same_way(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("lost %s of %d", "one", 3)

    [line] = read(lines)
    assert (line["event"], line["level"], line["logger"]) == (
        "lost one of 3",
        "warning",
        "some.library",
    )


@pytest.mark.parametrize("name", ["httpx", "httpcore.connection", "aiohttp.access"])
def test_libraries_that_tell_of_every_request_are_heard_from_warning_on(
    lines: io.StringIO, name: str
) -> None:
    logging.getLogger(name).info("HTTP Request: POST …")
    logging.getLogger(name).warning("slow")

    assert [line["event"] for line in read(lines)] == ["slow"]


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    configure_logging("error", "json", stream)

    for logger in (structlog.get_logger(), logging.getLogger("x"), logging.getLogger("httpx")):
        logger.warning("unheard")
        logger.error("heard")

    assert [line["event"] for line in read(stream)] == ["heard"] * 3


def test_setting_up_again_writes_each_line_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging(stream=first)
    configure_logging(stream=second)

    structlog.get_logger().info("once")

    assert (first.getvalue(), len(read(second))) == ("", 1)


@pytest.mark.parametrize(
    ("format", "stream", "is_json", "has_colors"),
    [
        ("auto", Terminal, False, True),
        ("auto", io.StringIO, True, False),
        ("json", Terminal, True, False),
        ("console", io.StringIO, False, False),
    ],
)
@pytest.mark.parametrize("no_color", ["", "1"])
def test_the_form_follows_the_stream_unless_it_is_set(
    monkeypatch: pytest.MonkeyPatch,
    format: str,
    stream: type[io.StringIO],
    is_json: bool,
    has_colors: bool,
    no_color: str,
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    written = stream()
    configure_logging("info", format, written)

    structlog.get_logger().info("run_dispatched", state="failed")

    text = written.getvalue()
    assert text.startswith("{") is is_json
    assert ("\x1b[" in text) is (has_colors and not no_color)
    assert "run_dispatched" in text


SECRETS: list[dict[str, Any]] = [
    {"token": CANARY},
    {"api_key": CANARY},
    {"apiKey": CANARY},
    {"Authorization": f"Bearer {CANARY}"},
    {"headers": {"authorization": f"Basic {CANARY}"}},
    {"headers": [{"x-auth": CANARY}]},
    {"deliver": {"credentials": {"secret_key": [CANARY, CANARY]}}},
    {"db_password": 12345},
    {"detail": f"sent Authorization: Bearer {CANARY}"},
    {"detail": f"bearer {CANARY}"},
    {"detail": f"{{'Authorization': 'Token {CANARY}'}}"},
    {"detail": f'{{"secret_access_key": "{CANARY}", "a": 1}}'},
    {"url": f"postgresql://user:{CANARY}@host/db"},
    {"url": f"postgresql://user:p@{CANARY}@host/db"},
    {"url": f"https://{CANARY}@host/"},
    {"url": f"https://host/a?b=1&api_token={CANARY}&c=2"},
    {"url": f"https://host/a?X-Amz-Signature={CANARY}"},
    {"url": f"https://account.blob/x?sv=1&sig={CANARY}"},
    {"query": f"/dca/trigger?collector=c_1&deliver=%7B%22key%22%3A%22{CANARY}%22%7D"},
    {"query": f"?notify={CANARY}&name=x"},
    {"detail": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----"},
    {"detail": f"-----BEGIN PRIVATE KEY-----\n{CANARY}"},
    {"error": RuntimeError(f"401 for https://u:{CANARY}@host")},
    {"body": CANARY.encode()},
    {"values": {f"Bearer {CANARY}"}},
    {"nested": [[[[[[[[[[f"Bearer {CANARY}"]]]]]]]]]]},
    {f"Bearer {CANARY}": 1},
]


@pytest.mark.parametrize("fields", SECRETS, ids=str)
@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_is_logged(fields: dict[str, Any], format: str) -> None:
    stream = io.StringIO()
    configure_logging("info", format, stream)

    structlog.get_logger().info("run_dispatched", run_id=7, **fields)

    assert "run_dispatched" in stream.getvalue()
    assert CANARY not in stream.getvalue()
    assert "12345" not in stream.getvalue()


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_of_a_library_or_of_a_traceback_is_logged(format: str) -> None:
    stream = io.StringIO()
    configure_logging("info", format, stream)
    local_secret = f"{CANARY}{CANARY}"

    logging.getLogger("lib").warning("GET %s", f"https://h/?token={CANARY}")
    logging.getLogger("lib").warning("headers %s", {"Authorization": f"Bearer {CANARY}"})
    try:
        raise RuntimeError(f"https://u:{local_secret}@host/ refused")
    except RuntimeError:
        structlog.get_logger().exception("step_failed")
        logging.getLogger("lib").exception("failed")

    assert stream.getvalue().count("RuntimeError: https://[redacted]@host/ refused") == 2
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "accounts.main.token: this key is missing",
        "https://api.brightdata.com/dca/trigger?collector=c_1&queue_next=1&name=a",
        "env:DCA_API_TOKEN",
        "2026-12-01T02:00:00+01:00",
        "nobody@example.com",
        "no secret is called S3: name in the configuration where it is kept",
    ],
)
def test_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


TEXTS = st.lists(
    st.one_of(
        st.text(st.characters(codec="ascii"), max_size=4),
        st.sampled_from(
            ["Token", "api-key", "secret", "BEARER ", "Authorization", "=", ": ", "?", "&",
             "sig", "x-auth", "://", "@", '"', "AKIA0123456789ABCDEF", "\u017fas", "to\u212aen",
             "-----BEGIN PRIVATE KEY-----"]
        ),
    ),
    max_size=8,
).map("".join)  # fmt: skip


@given(TEXTS)
def test_the_quick_look_lets_no_text_pass_that_a_pattern_would_change(text: str) -> None:
    assert redact_text(text) == redact_text(f"token {text}").removeprefix("token ")


@given(st.dictionaries(TEXTS, st.one_of(TEXTS, st.lists(TEXTS), st.binary(max_size=3))))
def test_the_quick_look_at_a_line_lets_none_pass_that_would_change(event: dict[str, Any]) -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)

    structlog.get_logger().bind(**event).info("x")

    [line] = read(stream)
    line.pop("timestamp")
    assert line == dict(redact(None, "info", event | {"event": "x", "level": "info"}))


@pytest.mark.parametrize("part", ["a", "token", "token ", "://", "'token'", "authorization "])
def test_a_long_text_is_searched_in_a_moment(part: str) -> None:
    start = time.perf_counter()
    redact_text(part * (300_000 // len(part)))

    assert time.perf_counter() - start < 5


def test_what_is_no_secret_stays_in_a_url_that_holds_one() -> None:
    url = "https://h/a?collector=c_1&token=x&queue=q"

    assert redact_text(url) == "https://h/a?collector=c_1&token=[redacted]&queue=q"


@pytest.mark.parametrize(
    ("evil", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\nrun_dispatched forged", "a\\nrun_dispatched forged"),
        ("a\r\x07\x9b", "a\\r\\x07\\x9b"),
        ("a\u202eb", "a\\u202eb"),
        ("a\ud800", "a\\ud800"),
    ],
)
def test_no_value_steers_the_terminal(evil: str, shown: str) -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)

    structlog.get_logger().info("event", value=evil, nested={"key": [evil]})
    logging.getLogger("lib").warning(evil)

    assert evil not in stream.getvalue()
    assert stream.getvalue().count("\n") == 2
    assert shown in stream.getvalue()


def test_a_traceback_keeps_its_lines_on_the_console_but_no_escapes() -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)

    try:
        raise RuntimeError("\x1b[2J")
    except RuntimeError:
        structlog.get_logger().exception("step_failed")

    assert "\nTraceback (most recent call last):\n" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_value_that_holds_itself_is_logged_as_far_as_it_goes(lines: io.StringIO) -> None:
    itself: list[Any] = []
    itself.append(itself)

    structlog.get_logger().info("event", value=itself, keys={(1, 2): "of another kind"})

    [line] = read(lines)
    assert (line["event"], line["keys"]) == ("event", {"(1, 2)": "of another kind"})


def test_a_closed_stream_does_not_kill_the_program() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    stream.close()

    structlog.get_logger().error("unheard")
    configure_logging(stream=stream)
    logging.getLogger("lib").error("unheard")


def test_a_program_without_standard_error_goes_on() -> None:
    code = (
        "import structlog; from scheduler.logs import configure_logging;"
        "configure_logging(); structlog.get_logger().info('unheard'); print('alive')"
    )

    done = subprocess.run(
        ["sh", "-c", f'{sys.executable} -c "$1" 2>&-', "sh", code],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    assert done.stdout == "alive\n"


def test_standard_error_is_the_stream_unless_one_is_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging()

    structlog.get_logger().info("run_dispatched")

    captured = capsys.readouterr()
    assert (captured.out, json.loads(captured.err)["event"]) == ("", "run_dispatched")
