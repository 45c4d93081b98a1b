"""`batches`: import a file, show what it would send, compare it with what was sent."""

import json
from pathlib import Path

import pytest

from tests.surfaces.rig import ENDED, Home

RUN: dict[str, object] = {
    "state": "succeeded",
    "reason": "done",
    "collection_id": "j_1",
    "ended_at": ENDED,
}


def make_file(home: Home, name: str, text: str) -> str:
    path: Path = home.folder / name
    path.write_text(text)
    return str(path)


def stored_inputs(home: Home, name: str) -> list[object]:
    [(origin, file, inputs)] = home.sql(
        "SELECT origin, file, inputs FROM batches WHERE name = ?", name
    )
    assert (origin, file) == ("database", None)
    return list(json.loads(inputs))


def test_a_file_becomes_a_batch_of_the_database(home: Home) -> None:
    file = make_file(home, "shops.csv", "url;n\nhttps://x.org/1;a\nhttps://x.org/{due_at};b\n")

    answer = home.done("batches", "import", "shops", file, "--send-as", "csv")
    Path(file).unlink()

    assert answer.out == "batch shops: 2 inputs\n"
    assert stored_inputs(home, "shops") == [
        {"url": "https://x.org/1", "n": "a"}, {"url": "https://x.org/{due_at}", "n": "b"},
    ]  # fmt: skip
    assert home.done("batches", "show", "shops", "--json").json["send_as"] == "csv"
    [(by, action)] = home.sql("SELECT by, action FROM changes WHERE subject = 'batches.shops'")
    assert (bool(by), action) == (True, "import")


def test_a_batch_of_the_database_is_replaced_only_when_that_is_said(home: Home) -> None:
    first, second = make_file(home, "1.csv", "url\na\n"), make_file(home, "2.csv", "url\nb\n")
    home.done("batches", "import", "shops", first)
    home.sql("UPDATE batches SET dedupe = 1 WHERE name = 'shops'")

    refused = home.call("batches", "import", "shops", second)
    home.done("batches", "import", "shops", second, "--replace")

    assert (refused.code, "say --replace" in refused.err) == (1, True)
    assert stored_inputs(home, "shops") == [{"url": "b"}]
    assert home.sql("SELECT dedupe FROM batches WHERE name = 'shops'") == [(1,)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pages", "url\na\n", "batch 'pages' belongs to the configuration file"),
        ("shops", "url\n", "holds no inputs"),
        (" shops", "url\na\n", "is no name"),
    ],
)
def test_what_cannot_be_a_batch_is_refused(home: Home, name: str, text: str, said: str) -> None:
    answer = home.call("batches", "import", name, make_file(home, "a.csv", text), "--replace")

    assert (answer.code, said in answer.err) == (1, True), answer.err
    assert home.sql("SELECT count(*) FROM batches") == [(1,)]


def test_a_batch_is_shown_as_it_would_be_sent_now(home: Home) -> None:
    file = make_file(home, "a.csv", "url\nx\nx\ny/{due_at:%H}\nz\n")
    home.done("batches", "import", "shops", file)
    home.sql("UPDATE batches SET dedupe = 1, max_inputs_per_trigger = 2 WHERE name = 'shops'")

    shown = home.done("batches", "show", "shops", "--limit", "2", "--json").json
    text = home.done("batches", "show", "shops", "--limit", "1").out

    assert (shown["input_count"], shown["duplicates_dropped"], shown["trigger_count"]) == (3, 1, 2)
    assert shown["first"] == [{"url": "x"}, {"url": "y/09"}]
    assert len(shown["fingerprint"]) == 64
    assert text.splitlines()[-1] == '{"url": "x"}'


def test_a_single_bodys_fingerprint_is_that_of_the_run_that_sends_it(home: Home) -> None:
    run_id = home.make_run()

    shown = home.done("batches", "show", "pages", "--json").json

    assert home.sql("SELECT body FROM runs WHERE id = ?", run_id) == [(shown["fingerprint"],)]
    assert shown["duplicates_dropped"] is None


def test_a_batch_that_cannot_be_read_says_why(home: Home) -> None:
    home.sql("INSERT INTO batches (name, file) VALUES ('gone', ?)", str(home.folder / "*.csv"))

    answer = home.call("batches", "show", "gone")

    assert (answer.code, "matches no file" in answer.err) == (1, True)
    assert home.call("batches", "show", "nobody").err == "error: no batch is called 'nobody'\n"


def test_a_batch_is_compared_with_what_was_last_sent(home: Home) -> None:
    home.make_run(schedule="hourly", **RUN)
    same = home.done("batches", "diff", "pages")
    inputs = [{"url": "https://example.com/2"}, {"url": "new"}, {"url": "new"}]
    home.sql("UPDATE batches SET inputs = ? WHERE name = 'pages'", json.dumps(inputs))

    text = home.done("batches", "diff", "pages").out
    found = home.done("batches", "diff", "pages", "--json").json

    assert same.out.splitlines()[1] == "the same inputs"
    assert text.splitlines() == [
        "against run 1, due 2026-03-02 09:00:00Z: 2 inputs then, 3 now",
        "2 added, 1 removed",
        '+ {"url": "new"}',
        '+ {"url": "new"}',
        '- {"url": "https://example.com/1"}',
    ]
    counts = ("old_count", "new_count", "added_count", "removed_count")
    assert [found[name] for name in counts] == [2, 3, 2, 1]


def test_a_batch_is_compared_with_a_run_or_a_file(home: Home) -> None:
    run_id = home.make_run()
    many = make_file(home, "many.csv", "url\n" + "".join(f"{number}\n" for number in range(8)))

    by_run = home.done("batches", "diff", "pages", "--run", str(run_id)).out
    by_file = home.done("batches", "diff", "pages", "--file", many).out

    assert by_run.splitlines()[1] == "the same inputs"
    assert by_file.splitlines()[1:] == [
        "2 added, 8 removed",
        '+ {"url": "https://example.com/1"}',
        '+ {"url": "https://example.com/2"}',
        *(f'- {{"url": "{number}"}}' for number in range(5)),
        "  and 3 more removed",
    ]


def test_what_was_never_sent_cannot_be_compared(home: Home) -> None:
    answer = home.call("batches", "diff", "pages")
    both = home.call("batches", "diff", "pages", "--run", "1", "--file", "x")

    assert (answer.code, answer.err) == (
        1, "error: nothing of batch 'pages' was sent yet: name a --run or a --file\n",
    )  # fmt: skip
    assert both.code == 2


def test_a_due_time_makes_no_difference_to_the_run_that_sent_it(home: Home) -> None:
    file = make_file(home, "a.csv", "url\nx/{due_at:%Y-%m-%dT%H}\n")
    home.done("batches", "import", "shops", file)
    run_id = int(home.done("trigger", "products", "--batch", "shops").out)
    home.sql("INSERT INTO schedules (name, collector, batch, cron, timezone)"
             " VALUES ('s', 'news', 'shops', '0 2 * * *', 'UTC')")  # fmt: skip

    answer = home.done("batches", "diff", "shops", "--run", str(run_id))

    assert answer.out.splitlines()[1] == "the same inputs"


def test_by_hand_a_batch_is_sent_by_its_rules_and_only_in_one_part(home: Home) -> None:
    home.sql("UPDATE batches SET max_inputs_per_trigger = 1 WHERE name = 'pages'")
    split = home.call("trigger", "products", "--batch", "pages")
    home.sql("UPDATE batches SET max_inputs_per_trigger = 2, required = 'n' WHERE name = 'pages'")
    lacking = home.call("trigger", "products", "--batch", "pages")

    assert "only a schedule sends it, in chunks" in split.err
    assert "batch 'pages': input 1: has no 'n'" in lacking.err
    assert home.sql("SELECT count(*) FROM runs") == [(0,)]
