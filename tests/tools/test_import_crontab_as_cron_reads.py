"""`import crontab` reads tabs, users, quotes, folders and conditions as cron and the shell do."""

import tomllib
from typing import Any

import pytest

from scheduler.tools.crontab_import import Imported, import_crontab

API = "https://api.brightdata.com/dca/trigger"
AUTH = '-H "Authorization: Bearer CANARY-TOKEN"'
JSON = "-H 'Content-Type: application/json'"
CURL = f"""curl {AUTH} {JSON} -d '[{{"url":"https://example.com/1"}}]' "{API}?collector=c_a" """
FILE = f'curl {AUTH} {JSON} -d @a.json "{API}?collector=c_a"'


def imported(text: str, **options: Any) -> Imported:
    return import_crontab(text, timezone="UTC", **options)


def tables(found: Imported, section: str) -> list[dict[str, Any]]:
    return list(tomllib.loads(found.text).get(section, {}).values())


def said(found: Imported) -> str:
    return "\n".join(found.warnings)


@pytest.mark.parametrize(
    ("command", "condition"),
    [
        ("""[ "$(date '+\\%u')" = "1" ] && {}""", "[ … ]"),
        ("[[ -f /x && -f /y ]] && {}", "[ … ]"),
        ("test $(date +\\%d) -le 7 && {}", "test"),
        ("/usr/bin/test -f /x && {}", "test"),
        ("if [ -f /x ]; then {}; fi", "if [ … ]"),
        ("if ! test -f /x; then true; else {}; fi", "if test"),
        ("while read line; do {}; done", "while read"),
        ("for i in 1 2 3; do {}; done", "for"),
        ("expr $(date +\\%d) \\< 8 >/dev/null || {}", "expr"),
        ('grep -q "$(date +\\%F)" holidays || {}', "grep"),
        ("pgrep -f loader || {}", "pgrep"),
        ("false && {}", "false"),
        ("true || {}", "true"),
        ("make && cd /srv && {}", "make"),
        ("(test -f /x) && {}", "test"),
        ("test -f /x && (cd /srv; {})", "test"),
        ("test -f /x && {{ date; {}; }}", "test"),
        ("test -f /x || exit 0; {}", "test"),
        ("set -e; make; {}", "make"),
        ('[ "$(date -d tomorrow +\\%d)" = "01" ] && {}', "[ … ]"),
        ("sh -c 'test -f /x' && {}", "sh"),
        ("which curl && {}", "which"),
        ("curl https://health.example.org && {}", "curl"),
        ("flock -n /tmp/x {}", "flock -n"),
        ("flock --nonblock /tmp/x {}", "flock -n"),
        ("flock -w 10 /tmp/x {}", "flock -n"),
        ("run-one {}", "run-one"),
        ("cat urls | xargs {}", "xargs"),
        ("f() {{ {}; }}; f", "function f"),
        ("f () {{ {}; }}; [ -f /x ] && f", "function f"),
        ("f() ( {} ); f", "function f"),
        ("function go {{ {}; }}; go", "function go"),
        ("function go() {{ {}; }}; go", "function go"),
        ("f() {{ if test -f /x; then {}; fi; }}; f", "function f"),
        ("f() {{ date; }}; f && {}", "f"),
        ("exit 0; {}", "exit"),
        ("date; exit; {}", "exit"),
        ("until {}; do sleep 1; done", "until curl"),
    ],
)
def test_what_decides_on_a_call_disables_it_and_is_named(command: str, condition: str) -> None:
    found = imported(f"0 6 1-7 * * {command.format(CURL)}\n")

    (schedule,) = tables(found, "schedules")
    assert schedule["enabled"] is False
    assert f"line 1: `{condition}` decides whether the call is made" in said(found)
    assert f"asks `{condition}`" in found.text


@pytest.mark.parametrize(
    "command",
    [
        "{}",
        "f() {{ date; }}; {}",
        "(date); {}",
        "cd /srv && {}",
        "cd /srv || exit 1; {}",
        "export A=1 && {}",
        "sleep 5 && {}",
        "make; {}",
        "(test -f /x && make); {}",
        "if test -f /x; then make; fi; {}",
        "sh -c 'test -f /x || exit 1'; {}",
        "{} && echo done || echo failed",
        "nice -n 5 {}",
        "flock /tmp/x {}",
        "timeout 60 sudo -u x {}",
        "{}; exit 0",
    ],
)
def test_what_decides_nothing_leaves_it_enabled(command: str) -> None:
    (schedule,) = tables(imported(f"0 6 * * * {command.format(CURL)}\n"), "schedules")

    assert "enabled" not in schedule


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f"0 9 * * *\tscraper\tcd /srv/in && {FILE}\n", {}),
        (f"0 9 * * *\tscraper\tcd /srv/in && {FILE}\n", {"has_users": True}),
        (f"17 *\t* * *\troot\tcd / && make\n0 9 * * *\tscraper\tcd /srv/in && {FILE}\n", {}),
        (f"0 1 * * * root which zfs\n0 9 * * * scraper cd /srv/in && {FILE}\n", {}),
        (f"0 9 * * * cd /srv && cd in && {FILE}\n", {}),
        (f"0 9 * * * (cd /srv/in; {FILE})\n", {}),
        (f"0 9 * * * cd /srv/in; (cd /tmp && make); {FILE}\n", {}),
        (f"0 9 * * * cd /srv/in; sh -c 'cd /tmp; make'; {FILE}\n", {}),
        (f"0 9 * * * cd /srv/in; {{ {FILE}; }}\n", {}),
        (f"0 9 * * * cd /srv/in && cd /tmp && cd - && {FILE}\n", {}),
        (f"0 9 * * * cd -P -- /srv/in && {FILE}\n", {}),
        (f"0 9 * * * pushd /srv/in && {FILE}\n", {}),
        (f"0 9 * * * cd /srv/in && make | tee log; {FILE}\n", {}),
        (f"0 9 * * * env -C /srv/in {FILE}\n", {}),
        (f"0 9 * * * cd /srv; sudo --chdir=in {FILE}\n", {}),
    ],
)
def test_a_file_is_in_the_folder_where_the_shell_is(text: str, options: dict[str, Any]) -> None:
    found = imported(text, **options)

    assert [batch["file"] for batch in tables(found, "batches")] == ["/srv/in/a.json"]


@pytest.mark.parametrize(
    "before",
    [
        "(cd /srv/in && make);",
        "cd /srv/in & ",
        "cd /srv/in && make & ",
        "cd /srv/in | true;",
        "true | cd /srv/in;",
        "cd /srv/in; cd;",
        "cd /srv/in; cd -;",
    ],
)
def test_the_folder_of_a_subshell_ends_with_it(before: str) -> None:
    found = imported(f"0 9 * * * {before} {FILE}\n")

    assert [batch["file"] for batch in tables(found, "batches")] == ["a.json"]


def test_a_call_of_several_addresses_is_told_and_none_is_dropped() -> None:
    found = imported(f'0 9 * * * {FILE} "{API}?collector=c_b"\n')

    assert tables(found, "schedules") == []
    assert "one call triggers several collectors" in said(found)


@pytest.mark.parametrize("first", ["php /opt/x.php", "make -C /srv all", "docker run x"])
def test_a_crontab_of_a_user_has_no_column_of_users(first: str) -> None:
    found = imported(f"0 1 * * * {first}\n0 9 * * * {CURL}\n")

    assert found.schedules == ("c_a",)
    assert "read as users" not in said(found)


@pytest.mark.parametrize(
    ("quoted", "url"),
    [
        ("""'[{"url":"https://x.org/$USD?p=$HOME"}]'""", "https://x.org/$USD?p=$HOME"),
        ("""'[{"url":"https://x.org/`id`"}]'""", "https://x.org/`id`"),
        ("""'[{"url":"https://x.org/$(date +\\%F)"}]'""", "https://x.org/$(date +%F)"),
        ('''"[{\\"url\\":\\"https://x.org/$USD\\"}]"''', "https://x.org/1"),
        ('''"[{\\"url\\":\\"https://x.org/\\$USD\\"}]"''', "https://x.org/$USD"),
        ('''"[{\\"url\\":\\"https://x.org/${USD}\\"}]"''', "https://x.org/1"),
        (
            '''"[{\\"url\\":\\"https://x.org/$(date +\\%F)\\"}]"''',
            "https://x.org/{due_at:%Y-%m-%d}",
        ),
        ("""'[{"url":"https://x.org/it'"'"'s"}]'""", "https://x.org/it's"),
        ("""'[{"url":"https://x.org/#a;b&c|d(e)"}]'""", "https://x.org/#a;b&c|d(e)"),
    ],
)
def test_quotes_protect_what_they_protect_in_the_shell(quoted: str, url: str) -> None:
    line = f"0 6 * * * curl {AUTH} {JSON} -d {quoted} '{API}?collector=c_a'"

    found = imported(f"USD=1\nHOME=/srv\n{line}\n")

    assert [batch["inputs"] for batch in tables(found, "batches")] == [[{"url": url}]]


@pytest.mark.parametrize(
    "command",
    [
        "flock /tmp/x.lock -c '{}'",
        "su - scraper -c '{}'",
        "su -c '{}' scraper",
        "runuser -u scraper -- sh -c '{}'",
        "sudo -u scraper bash -lc '{}'",
        "({})",
        "nohup {} &",
    ],
)
def test_a_command_within_a_command_is_read(command: str) -> None:
    inner = FILE.replace("'", '"')

    found = imported(f"0 6 * * * {command.format(inner)}\n")

    assert found.schedules == ("c_a",), said(found)


@pytest.mark.parametrize("between", ["&&", ";", " && ", " & "])
def test_two_calls_in_parentheses_are_two(between: str) -> None:
    other = CURL.replace("c_a", "c_b").strip()

    found = imported(f"0 6 * * * ({CURL.strip()}){between}({other})\n")

    assert found.schedules == ("c_a", "c_b")


@pytest.mark.parametrize(
    "first",
    [
        f"CRON_TZ=America/New_York 0 6 * * * {CURL}",
        f"TZ='America/New_York 0 6 * * * {CURL}'",
        f"TOKEN=CANARY-TOKEN 0 6 * * * {CURL}",
        f"TOKEN=CANARY-TOKEN @daily {CURL}",
        "TZ=x 0 6 * * * /opt/backup.sh CANARY",
        f'TZ="CANARY {API}"',
        "CRON_TZ=CANARY TOKEN",
    ],
)
def test_a_job_behind_a_variable_is_told_and_shows_no_secret(first: str) -> None:
    second = CURL.replace("c_a", "c_def")

    found = imported(f"{first}\n0 7 * * * {second}\n")

    assert found.schedules == ("c_def",)
    assert "line 1: " in said(found)
    assert "not imported" in said(found)
    assert "CANARY" not in said(found) + found.text


def test_a_line_of_many_spaces_is_read_in_no_time() -> None:
    found = imported(f"0 6 * * * $(date {' ' * 60_000} {CURL}\n")

    assert "cannot be imported" in said(found)


@pytest.mark.parametrize("value", ["${Q:-x}", "$1", "$(make)", "`make`", "$((1+1))", "$?"])
def test_what_only_a_shell_can_fill_in_is_not_sent_as_it_stands(value: str) -> None:
    line = f'curl {AUTH} {JSON} -d \'[{{"a":1}}]\' "{API}?collector=c_a&name={value}"'

    found = imported(f"0 6 * * * {line}\n")

    assert found.schedules == ()
    assert "which only a shell can make" in said(found)
