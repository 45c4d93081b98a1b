"""A run asked for by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.cli.session import person
from tests.surfaces.rig import FAILED, Home, spoken

ACCEPTED: dict[str, object] = {
    "state": "collecting",
    "reason": "accepted",
    "collection_id": "j_1",
    "start_eta": "2026-03-02 09:00:05.000000",
}
SUCCEEDED: dict[str, object] = {
    **ACCEPTED,
    "state": "succeeded",
    "reason": "done",
    "ended_at": "2026-03-02 09:01:00.000000",
}


def as_a_daemon(home: Home, *steps: dict[str, object]) -> Callable[[float], None]:
    """Return a pause in which a daemon changes the run: each time by the next of *steps*."""
    left = list(steps)

    def pause(seconds: float) -> None:
        home.set_run(1, **left.pop(0))

    return pause


def test_the_id_of_the_run_is_printed_and_the_run_waits_for_a_daemon(home: Home) -> None:
    answer = home.done("trigger", "products", "--batch", "pages")

    assert answer.out == "1\n"
    assert answer.err == "no daemon was seen lately: the run waits for one (dca-scheduler run)\n"
    assert home.run(1)["state"] == "queued"


def test_nothing_is_said_about_daemons_while_one_is_seen(home: Home) -> None:
    home.sql(
        "INSERT INTO daemons (id, host, pid, version, started_at, seen_at)"
        " VALUES ('d', 'lab', 42, '1', '2026-03-02 08:00:00', '2026-03-02 08:59:50')"
    )

    assert home.done("trigger", "products", "--batch", "pages").err == ""


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([], "collector=c_products&queue_next=1&deadline=2h"),
        (["--queue-next"], "collector=c_products&queue_next=1&deadline=2h"),
        (["--queue", "a b"], "collector=c_products&queue=a%20b&deadline=2h"),
        (["--confirm-cancel"], "collector=c_products&confirm_cancel=1&deadline=2h"),
        (["--deadline", "1h30m"], "collector=c_products&queue_next=1&deadline=90m"),
        (["--version", "dev"], "collector=c_products&version=dev&queue_next=1&deadline=2h"),
        (["--no-downloads"], "collector=c_products&queue_next=1&no_downloads=1&deadline=2h"),
        (
            ["--name", "x {schedule}"],
            "collector=c_products&name=x%20products&queue_next=1&deadline=2h",
        ),
        (
            ["--notify", '{"type": "email"}'],
            "collector=c_products&queue_next=1&deadline=2h&notify=%7B%22type%22%3A%22email%22%7D",
        ),
        (
            ["--deliver", '{"type": "s3", "secret": "${secret:s}"}'],
            "collector=c_products&queue_next=1&deadline=2h"
            "&deliver=%7B%22type%22%3A%22s3%22%2C%22secret%22%3A%22%24%7Bsecret%3As%7D%22%7D",
        ),
    ],
    ids=spoken,
)
def test_what_is_asked_for_is_in_the_query(home: Home, words: list[str], query: str) -> None:
    home.done("trigger", "products", "--batch", "pages", *words)

    assert home.run(1)["query"] == query


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["--input", "url=https://x.org/?a=b"], '[{"url":"https://x.org/?a=b"}]'),
        (["--input", "keyword=tea", "--input", "country=de"], '[{"keyword":"tea","country":"de"}]'),
        (["--input-json", '{"n": 1}', "--input-json", '{"n": [2]}'], '[{"n":1},{"n":[2]}]'),
        (["--input", "a=b", "--send-as", "csv"], "a\r\nb\r\n"),
        (["--file", "FILE"], '[{"url":"https://x.org/1"},{"url":"https://x.org/2"}]'),
    ],
    ids=["one field", "two fields", "two inputs", "as CSV", "a file"],
)
def test_inputs_come_from_the_command_line_or_a_file(
    home: Home, tmp_path: Path, words: list[str], body: str
) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("https://x.org/1\nhttps://x.org/2\n")

    home.done("trigger", "news", *(word.replace("FILE", str(file)) for word in words))

    assert home.sql("SELECT text FROM bodies") == [(body,)]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "exactly one of a batch, a file and inputs"),
        (["--batch", "pages", "--input", "a=b"], "exactly one of a batch, a file and inputs"),
        (["--input", "url"], "is not KEY=VALUE"),
        (["--input", "a=1", "--input", "a=2"], "names a field twice"),
        (["--input-json", "[1]"], "is not a JSON object"),
        (["--batch", "pages", "--queue", "q", "--confirm-cancel"], "exclude each other"),
        (["--batch", "pages", "--deadline", "soon"], "'soon' is not a duration"),
        (["--batch", "pages", "--version", "beta"], "version 'beta' is unknown"),
        (["--batch", "pages", "--deliver", '{"type": "s3", "secret_key": "abc"}'], "secret"),
        (["--file", "missing.csv"], "missing.csv"),
    ],
    ids=spoken,
)
def test_what_cannot_be_sent_is_refused_and_not_written(
    home: Home, words: list[str], problem: str
) -> None:
    answer = home.call("trigger", "news", *words)

    assert answer.code == 1
    assert problem in answer.err
    assert answer.err.count("\n") == 1
    assert home.sql("SELECT count(*) FROM runs") == [(0,)]


def test_a_dry_run_prints_a_curl_command_and_writes_nothing(home: Home) -> None:
    answer = home.done("trigger", "news", "--input", "url=https://x.org/it's", "--dry-run")

    assert answer.out.splitlines() == [
        "printf 'Authorization: Bearer %s\\n' \"$DCA_API_TOKEN\" | curl --globoff --request POST"
        " 'https://api.brightdata.com/dca/trigger?collector=c_news&queue_next=1' \\",
        "  --header @- \\",
        "  --header 'Content-Type: application/json' \\",
        """  --data-raw '[{"url":"https://x.org/it'"'"'s"}]'""",
    ]
    assert home.sql("SELECT count(*) FROM runs") == [(0,)]
    assert home.sql("SELECT count(*) FROM bodies") == [(0,)]


def test_the_token_variable_is_the_one_of_the_account(home: Home) -> None:
    home.sql("UPDATE accounts SET token = 'env:OTHER_TOKEN'")

    assert (
        '"$OTHER_TOKEN" | curl' in home.done("trigger", "news", "--input", "a=b", "--dry-run").out
    )


@pytest.mark.parametrize(
    "token", ['env:X"; touch PWNED; : "', "env:X`id`", "env:X Y", "file:relative"]
)
def test_a_row_that_names_no_token_makes_no_command(home: Home, token: str) -> None:
    home.sql("UPDATE accounts SET token = ?", token)

    answer = home.call("trigger", "news", "--input", "a=b", "--dry-run")

    assert (answer.code, answer.out) == (1, "")
    assert token.removeprefix("env:") not in answer.err


def test_a_body_too_long_for_a_shell_is_read_from_a_file(home: Home) -> None:
    words = ("trigger", "news", "--input", f"a={'x' * 200_000}", "--dry-run")

    as_text, as_json = home.done(*words), home.done(*words, "--json").json

    assert "--data-binary @body" in as_text.out
    assert "put the one of --json into body" in as_text.err
    assert as_json["body"] == f'[{{"a":"{"x" * 200_000}"}}]'


@pytest.mark.parametrize(
    ("words", "steps", "code", "last"),
    [
        (["--wait"], [{}, ACCEPTED], 0, "collecting (accepted): j_1, starts 2026-03-02 09:00:05Z"),
        (["--wait"], [FAILED], 1, "failed (refused)"),
        (["--wait-for", "accepted"], [SUCCEEDED], 0, "succeeded (done): j_1"),
        (["--wait-for", "ended"], [ACCEPTED, {}, SUCCEEDED], 0, "succeeded (done): j_1"),
        (["--wait-for", "ended"], [{**SUCCEEDED, "state": "partial"}], 1, "partial (done): j_1"),
        (
            ["--wait"],
            [{"state": "needs_attention", "reason": "held"}],
            1,
            "needs_attention (held): see dca-scheduler runs show 1;"
            " then runs adopt, resend or abandon",
        ),
    ],
    ids=["accepted", "refused", "ended before it was seen", "ended", "partial", "needs a person"],
)
def test_waiting_tells_each_change_and_ends_by_what_became_of_it(
    home: Home, words: list[str], steps: list[dict[str, object]], code: int, last: str
) -> None:
    home.pause = as_a_daemon(home, *steps)

    answer = home.call("trigger", "products", "--batch", "pages", *words)

    lines = answer.out.splitlines()
    assert answer.code == code
    assert lines[:2] == ["1", "queued (requested)"]
    assert lines[-1] == last
    told = [line.split(" ")[0] for line in lines[1:]]
    assert told == [state for (state,) in home.sql("SELECT to_state FROM run_events ORDER BY id")]


def test_waiting_in_json_prints_one_document_at_the_end(home: Home) -> None:
    home.pause = as_a_daemon(home, ACCEPTED)

    answer = home.done("trigger", "products", "--batch", "pages", "--wait", "--json")

    assert answer.json["collection_id"] == "j_1"
    assert answer.json["start_eta"] == "2026-03-02T09:00:05.000000Z"
    assert "collecting (accepted)" in answer.err


def test_a_request_that_is_repeated_under_its_key_is_the_same_run(home: Home) -> None:
    words = ("trigger", "news", "--batch", "pages", "--key", "night of the 2nd")

    first, again = home.done(*words), home.done(*words)
    as_json = home.done(*words, "--json").json

    assert (first.out, again.out, as_json["id"]) == ("1\n", "1\n", 1)
    assert again.err.startswith("asked for before under this key: run 1\n")
    assert as_json["request_key"] == "night of the 2nd"
    assert home.sql("SELECT count(*) FROM runs") == [(1,)]
    assert len(home.done("changes", "list", "--subject", "runs.1", "--json").items) == 1


@pytest.mark.parametrize(
    "other",
    [
        ["news", "--input", "url=https://x.org/2"],
        ["news", "--input", "url=https://x.org/1", "--priority", "1"],
        ["products", "--input", "url=https://x.org/1"],
        ["news", "--batch", "pages"],
    ],
    ids=spoken,
)
def test_a_key_that_was_used_for_another_request_is_refused(home: Home, other: list[str]) -> None:
    home.done("trigger", "news", "--input", "url=https://x.org/1", "--key", "k")

    answer = home.call("trigger", *other, "--key", "k")

    assert answer.code == 1
    said = "was used for another request, which is run 1: take a new key for this one"
    assert answer.err == f"error: key 'k' {said}\n"
    assert home.sql("SELECT count(*) FROM runs") == [(1,)]


def test_who_asked_is_on_the_run_and_in_the_audit(home: Home) -> None:
    home.done("trigger", "news", "--batch", "pages")
    home.done("schedules", "fire", "hourly")
    home.set_run(2, **FAILED)
    home.done("runs", "retry", "2")

    changes = home.done("changes", "list", "--limit", "3", "--json").items

    assert [home.run(run_id)["created_by"] for run_id in (1, 2, 3)] == [person()] * 3
    assert {(change["action"], change["by"]) for change in changes} == {
        ("trigger", person()),
        ("fire", person()),
        ("retry", person()),
    }


@pytest.mark.parametrize(
    "words",
    [["trigger", "products", "--batch", "pages"], ["schedules", "fire", "hourly"]],
    ids=spoken,
)
def test_waiting_ends_when_its_time_is_up_and_the_run_goes_on(home: Home, words: list[str]) -> None:
    answer = home.call(*words, "--wait", "--timeout", "1s")

    assert (answer.code, answer.out.splitlines()[-1]) == (124, LAST[words[0]])
    assert answer.err.endswith("error: the time is up: what was asked for goes on without us\n")
    assert home.run(1)["state"] == "queued"


LAST = {
    "trigger": "queued (requested)",
    "schedules": "queued (requested): asked for by " + person(),
}


def test_a_fired_schedule_is_waited_for(home: Home) -> None:
    home.pause = as_a_daemon(home, ACCEPTED, SUCCEEDED)

    answer = home.done("schedules", "fire", "hourly", "--wait-for", "ended")

    assert answer.out.splitlines()[-1].startswith("succeeded (done): j_1")


def test_a_limit_without_waiting_is_wrong_usage(home: Home) -> None:
    answer = home.call("trigger", "news", "--batch", "pages", "--timeout", "1s")

    assert answer.code == 2
    assert "--timeout goes with --wait or --wait-for" in answer.err


def test_what_is_sent_by_hand_has_its_placeholders_filled_in(home: Home) -> None:
    deliver = (
        '{"type":"s3","directory":"{schedule}/{due_at:%Y-%m-%d}","filename":{"template":"{x}"}}'
    )
    words = ("trigger", "news", "--input", "a=b", "--deliver", deliver, "--dry-run", "--json")
    sent = json.loads(home.done(*words).json["params"]["deliver"])

    assert sent["directory"] == "news/2026-03-02"
    assert sent["filename"]["template"] == "{x}"
