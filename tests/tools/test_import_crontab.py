"""Crontabs become definitions that `config check` takes; what does not is said, line by line."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.config import load_config
from scheduler.tools.crontab_import import Imported, import_crontab
from tests.surfaces.rig import Home

API = "https://api.brightdata.com/dca/trigger"
AUTH = '-H "Authorization: Bearer CANARY-TOKEN"'
JSON = "-H 'Content-Type: application/json'"
CSV = "-H 'Content-Type: text/csv'"
BODY = """-d '[{"url":"https://example.com/1"}]'"""
INPUTS = [{"url": "https://example.com/1"}]


def imported(command: str, *, when: str = "0 2 * * *", above: str = "") -> Imported:
    return import_crontab(f"{above}\n{when} {command}\n", timezone="UTC")


def document(found: Imported) -> dict[str, Any]:
    return tomllib.loads(found.text)


def only(found: Imported, section: str) -> dict[str, Any]:
    """Return the one table of a section."""
    (table,) = document(found)[section].values()
    return dict(table)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("queue=nightly", {"queue": "nightly"}),
        ("queue_next=1", {}),
        ("queue_next=1&queue=nightly", {"queue": "nightly"}),
        ("confirm_cancel=1", {"confirm_cancel": True}),
        ("confirm_cancel=0", {}),
        ("deadline=90m&name=All%20shops", {"deadline": "90m", "name": "All shops"}),
        ("name=a{b}", {"name": "a{{b}}"}),
        ("version=dev&no_downloads=1", {"version": "dev", "no_downloads": True}),
        ('notify={"type":"email"}', {"notify": {"type": "email"}}),
    ],
)
def test_the_query_becomes_keys_of_the_schedule(query: str, keys: dict[str, Any]) -> None:
    line = f"curl {AUTH} {JSON} {BODY} '{API}?collector=c_a&{query}'".replace("%", "\\%")

    schedule = only(imported(line), "schedules")

    assert schedule.pop("collector") == "c_a"
    assert schedule.pop("cron") == "0 2 * * *"
    del schedule["batch"], schedule["timezone"]
    assert schedule == keys


@pytest.mark.parametrize(
    ("command", "batch"),
    [
        (f"curl {AUTH} {JSON} {BODY} '{API}?collector=c_a'", {"inputs": INPUTS}),
        (f"/usr/bin/curl -sSXPOST {AUTH} {JSON} {BODY} {API}?collector=c_a", {"inputs": INPUTS}),
        (f"curl {AUTH} {JSON} --data='[{{\"n\":1}}]' {API}?collector=c_a", {"inputs": [{"n": 1}]}),
        (f"curl {AUTH} --json '{{\"n\":1}}' {API}?collector=c_a", {"inputs": [{"n": 1}]}),
        (
            f"curl {AUTH} {CSV} --data-binary $'url' {API}?collector=c_a",
            None,
        ),
        (
            f"curl {AUTH} {CSV} --data-binary @/srv/a.csv {API}?collector=c_a",
            {"file": "/srv/a.csv", "send_as": "csv"},
        ),
        (
            f"cd /srv/in && curl {AUTH} {JSON} -d @../a.json {API}?collector=c_a | logger",
            {"file": "/srv/a.json"},
        ),
        (
            f"curl {AUTH} -F 'data=@/srv/a.csv;type=text/csv' {API}?collector=c_a",
            {"file": "/srv/a.csv", "send_as": "multipart"},
        ),
        (
            f"cat /srv/a.jsonl | curl {AUTH} {JSON} -d @- {API}?collector=c_a",
            {"file": "/srv/a.jsonl"},
        ),
        (
            f"curl {AUTH} {JSON} -d @- {API}?collector=c_a < /srv/a.json >/dev/null 2>&1",
            {"file": "/srv/a.json"},
        ),
        (
            f"echo '[{{\"n\":1}}]' | curl {AUTH} {JSON} -d @- {API}?collector=c_a",
            {"inputs": [{"n": 1}]},
        ),
        (
            f"curl {AUTH} {CSV} --data-binary @- {API}?collector=c_a %url%https://example.com/1",
            {"inputs": INPUTS, "send_as": "csv"},
        ),
        (
            f"wget -qO- --header='Authorization: Bearer CANARY-TOKEN' --header='content-type:"
            f" application/json' --post-data='[{{\"n\":1}}]' '{API}?collector=c_a'",
            {"inputs": [{"n": 1}]},
        ),
        (
            f'bash -lc "curl {AUTH.replace(chr(34), chr(39))} -d @/srv/a.json {API}?collector=c_a"',
            {"file": "/srv/a.json"},
        ),
        (
            f"flock -n /tmp/lock timeout 60 curl {AUTH} -d @/srv/a.json {API}?collector=c_a",
            {"file": "/srv/a.json"},
        ),
        (
            f"cd ~/in; curl {AUTH} -d @a.json {API}?collector=c_a",
            {"file": "~/in/a.json"},
        ),
        (f"curl -G -d collector=c_a {AUTH} {JSON} '{API}'", None),
    ],
)
def test_the_body_becomes_a_batch(command: str, batch: dict[str, Any] | None) -> None:
    found = imported(command)

    if batch is None:
        assert found.schedules == ()
        assert "cannot be imported" in found.warnings[-1]
    else:
        assert only(found, "batches") == batch


def test_a_date_that_the_shell_makes_becomes_the_due_time() -> None:
    line = f'curl {AUTH} {JSON} {BODY} "{API}?collector=c_a&name=all-$(date +\\%F)"'

    found = imported(line)

    assert only(found, "schedules")["name"] == "all-{due_at:%Y-%m-%d}"
    assert found.schedules == ("all",)


def test_another_day_than_today_is_not_imported() -> None:
    line = f'curl {AUTH} {JSON} {BODY} "{API}?collector=c_a&name=$(date -d yesterday +\\%F)"'

    assert imported(line).schedules == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"@reboot curl {BODY} {API}?collector=c_a", "'@reboot' has no time"),
        (f"0~30 * * * * curl {BODY} {API}?collector=c_a", "random time"),
        (f"0 0 2 * * * curl {BODY} {API}?collector=c_a", "6 fields"),
        (f"0 0 31 2 * curl {BODY} {API}?collector=c_a", "can never be true"),
        (f"0 0 * * * curl {BODY} {API}?collector=c_a&queue=x", "& without quotes"),
        (f"0 0 * * * curl {API}?collector=c_a {BODY}%20", "ends the command at the first %"),
        ("MAILTO=ops@example.org", "MAILTO"),
        (f"0 0 L * * curl {JSON} {BODY} {API}?collector=c_a", "does not know L and #"),
        ("0 0 * * * /opt/backup.sh --password CANARY-TOKEN", "'backup.sh' is no trigger"),
        (f"0 0 * * * curl {BODY} {API}", "no collector"),
        (f"0 0 * * * curl -d @list.txt {API}?collector=c_a", "end in .json"),
        (f"0 0 * * * curl -d '[{{\"a\":null}}]' {API}?collector=c_a", "null"),
        (f"0 0 * * * make | curl -d @- {API}?collector=c_a", "comes from a command"),
        (f'0 0 * * * curl -d "$(make)" {API}?collector=c_a', "output of another command"),
        (f"0 0 * * * curl {BODY} -H 'X-A: 1' {API}?collector=c_a", "headers are left out: X-A"),
        (f"0 0 * * * curl -d @$HOME/a.json {API}?collector=c_a", "depends on $HOME"),
        (f"0 0 * * * curl {BODY} '{API}?collector=c_a&queue='$Q", "depends on $Q"),
        (
            f'0 0 * * * curl {JSON} -d "[{{\\"a\\":\\"$X\\"}}]" {API}?collector=c_a',
            "inputs hold $X",
        ),
        ("nonsense", "no job and no variable"),
        (f"0 0 * * * curl {BODY} \\\n  {API}?collector=c_a", "does not join lines"),
    ],
)
def test_what_differs_is_said_with_its_line(line: str, said: str) -> None:
    found = import_crontab(f"# first\n{line}\n", timezone="UTC")

    assert any(one.startswith("line 2: ") and said in one for one in found.warnings), found.warnings
    assert "CANARY" not in found.text + "".join(found.warnings)


@pytest.mark.parametrize(
    ("text", "users"),
    [
        (f"0 2 * * * root curl {AUTH} {JSON} {BODY} {API}?collector=c_a", True),
        (f"0 2 * * * scraper cd /srv && curl {AUTH} -d @a.json {API}?collector=c_a", True),
        (f"0 2 * * * curl {AUTH} {JSON} {BODY} {API}?collector=c_a", False),
        (f"0 2 * * * A=1 curl {AUTH} {JSON} {BODY} {API}?collector=c_a", False),
    ],
)
def test_a_column_of_users_is_found(text: str, users: bool) -> None:
    found = import_crontab(text, timezone="UTC")

    assert found.schedules == ("c_a",)
    assert any("read as users" in one for one in found.warnings) is users


@pytest.mark.parametrize(
    ("above", "option", "zone", "warned"),
    [
        ("CRON_TZ=Europe/Berlin", None, "Europe/Berlin", False),
        ("TZ='Asia/Tokyo'", None, "Asia/Tokyo", False),
        ("", "America/New_York", "America/New_York", False),
        ("", None, None, True),
    ],
)
def test_the_zone_is_the_files_else_the_one_named_else_warned_of(
    above: str, option: str | None, zone: str | None, warned: bool
) -> None:
    text = f"{above}\n0 2 * * * curl {AUTH} {JSON} {BODY} {API}?collector=c_a\n"

    found = import_crontab(text, timezone=option)

    assert only(found, "schedules").get("timezone") == zone
    assert any("zone of its machine" in one for one in found.warnings) is warned


def test_several_tokens_are_several_accounts_and_none_is_written() -> None:
    one = f"0 2 * * * curl {AUTH} {JSON} {BODY} {API}?collector=c_a"
    two = one.replace("CANARY-TOKEN", "CANARY-OTHER")
    three = one.replace(AUTH, "").replace("c_a", "c_b")

    found = import_crontab("\n".join((three, one, two)), timezone="UTC", account="shop")

    told = document(found)
    assert told["accounts"] == {
        "shop": {"token": {"env": "DCA_API_TOKEN"}},
        "shop-2": {"token": {"env": "DCA_API_TOKEN_2"}},
    }
    assert [one["account"] for one in told["collectors"].values()] == ["shop", "shop", "shop-2"]
    assert "CANARY" not in found.text + "".join(found.warnings) + repr(found)


def test_credentials_of_a_delivery_become_references() -> None:
    deliver = '{"type":"s3","bucket":"b","credentials":{"aws-secret-key":"CANARY-KEY"}}'
    line = f"curl {AUTH} {JSON} {BODY} '{API}?collector=c_a&deliver={deliver}'"

    found = imported(line)

    name = "deliver-credentials-aws_secret_key"
    assert document(found)["secrets"] == {name: {"env": name.upper().replace("-", "_")}}
    kept = only(found, "schedules")["deliver"]["credentials"]
    assert kept == {"aws-secret-key": f"${{secret:{name}}}"}
    assert "CANARY" not in found.text + "".join(found.warnings)


@pytest.mark.parametrize(
    "line",
    [
        f"curl -s {AUTH} {JSON} {BODY} {API}?collector=c_a",
        f"0 2 * * * TOKEN=CANARY-TOKEN; export TOKEN; curl {JSON} {BODY} {API}?collector=c_a",
        f"# CANARY\n# token CANARY-TOKEN\n0 2 * * * curl {JSON} {BODY} {API}?collector=c_a",
        f"0 2 * * * curl -u me:CANARY {JSON} {BODY} {API}?collector=c_a",
        f"0 2 * * * curl {JSON} {BODY} https://me:CANARY@api.brightdata.com/dca/trigger?collector=c_a",
        f"0 2 * * * curl --oauth2-bearer CANARY {JSON} {BODY} '{API}?collector=c_a'",
        f"0 2 * * * curl {AUTH} {BODY} '{API}?collector=c_a&token=CANARY&deadline=CANARY",
        f'0 2 * * * curl {JSON} {BODY} \'{API}?collector=c_a&notify={{"endpoint":'
        '"https://e.org/?token=CANARY","type":"webhook"}\'',
    ],
)
def test_no_secret_of_a_line_is_told(line: str) -> None:
    found = import_crontab(line, timezone="UTC")

    assert "CANARY" not in (found.text + "".join(found.warnings)).upper()


PIECES = [
    "curl", "wget", "-d", "-sS", "-H", "'Authorization: Bearer CANARY'", "@a.csv", "|", "&&", "&",
    "'[{\"url\":\"x\"}]'", f"'{API}?collector=c_a'", f"{API}?collector=c_b&queue=x", "%", "\\%",
    "'", '"', "$(date +\\%F)", "`date`", "echo", "cd", "/srv", ">", "2>&1", ";", "#", "sh", "-c",
    "--json", "-F", "data=@a.csv", "root", "A=1", "\\", "$'x'", "(", ")", "{due_at:%H}", "-G",
]  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join),
    st.sampled_from(["0 2 * * * ", "@daily ", "* * * * * root ", "0~5 * * * * ", ""]),
)
def test_whatever_a_line_holds_is_imported_or_told_and_no_secret_shown(
    command: str, when: str
) -> None:
    found = import_crontab(f"{when}{command}", timezone="UTC")

    assert set(tomllib.loads(found.text).get("schedules", {})) == set(found.schedules)
    assert "CANARY" not in found.text + "".join(found.warnings)
    assert found.schedules or found.warnings or not (when and command.strip("# "))


def test_equal_inputs_are_one_batch_and_each_line_is_a_schedule_of_its_own() -> None:
    line = f"0 2 * * * curl {AUTH} {JSON} {BODY} {API}?collector=c_a"

    told = document(import_crontab(f"{line}\n{line}\n", timezone="UTC"))

    assert list(told["batches"]) == ["c_a"]
    assert {name: one["batch"] for name, one in told["schedules"].items()} == {
        "c_a": "c_a",
        "c_a-2": "c_a",
    }


CRONTAB = f"""\
SHELL=/bin/bash
MAILTO=ops@example.org
CRON_TZ=Europe/Berlin
TOKEN=CANARY-TOKEN
HOME=/srv

# Nightly products
0 2 * * * curl -H "Authorization: Bearer $TOKEN" {JSON} {BODY} "{API}?collector=c_p&queue=n"
*/15 6-20 * * mon-fri cd in && curl -H "Authorization: Bearer $TOKEN" {CSV} -d @a.csv \
"{API}?collector=c_s&confirm_cancel=1&name=x-$(date +\\%F)" >> /var/log/x 2>&1
@daily /opt/backup.sh
5 4 * * sun wget -q {AUTH.replace("-H ", "--header ")} --post-file=/srv/b.json \
--header "Content-Type: application/json" 'http://api.luminati.io/dca/trigger?collector=c_w'
"""


def test_what_is_written_passes_config_check(home: Home) -> None:
    source, target = home.folder / "crontab", home.folder / "imported.toml"
    source.write_text(CRONTAB.replace("/srv", str(home.folder)))
    (home.folder / "in").mkdir()
    (home.folder / "in" / "a.csv").write_text("url\nhttps://example.org\n")
    (home.folder / "b.json").write_text('[{"url": "https://example.org"}]')

    done = home.done("import", "crontab", str(source), "--output", str(target))
    again = home.call("import", "crontab", str(source), "--output", str(target))

    loaded = load_config(target, {})
    assert {
        name: (one.cron, one.timezone, one.queue) for name, one in loaded.config.schedules.items()
    } == {
        "nightly-products": ("0 2 * * *", "Europe/Berlin", "n"),
        "x": ("*/15 6-20 * * mon-fri", "Europe/Berlin", None),
        "c_w": ("5 4 * * sun", "Europe/Berlin", None),
    }
    assert str(loaded.config.batches["x"].file) == f"{home.folder}/in/a.csv"
    assert [one.base_url for one in loaded.config.accounts.values()] == [
        "https://api.brightdata.com",
        "https://api.luminati.io",
    ]
    assert home.call_bare("-c", str(target), "config", "check").code == 0
    assert "CANARY" not in target.read_text() + done.out + done.err
    assert "3 schedules" in done.out
    assert again.code == 1
    assert "is there already" in again.err


def test_the_text_goes_to_standard_output_and_the_warnings_beside_it(
    home: Home, tmp_path: Path
) -> None:
    source = tmp_path / "crontab"
    source.write_text(CRONTAB)

    plain = home.done("import", "crontab", str(source))
    told = home.done("import", "crontab", str(source), "--json").json

    assert plain.out == told["text"]
    assert plain.err.count("warning: ") == len(told["warnings"])
    assert told["schedules"] == ["nightly-products", "x", "c_w"]


def test_home_is_the_one_that_the_crontab_sets() -> None:
    command = f"cd ~/in; curl {AUTH} -d @a.json {API}?collector=c_a"

    set_above, unknown = imported(command, above="HOME=/srv/me"), imported(command)

    assert only(set_above, "batches") == {"file": "/srv/me/in/a.json"}
    assert any("relative to the home" in one for one in unknown.warnings)
