"""How commands end: exit codes, one line for what a person caused, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.cli.exit_codes import MEANINGS, ExitCode
from scheduler.daemon.instance_lock import instance_lock
from tests import databases
from tests.surfaces.rig import CONFIG, Home, process_environment, program, spoken


def test_every_problem_of_a_configuration_has_a_line_of_its_own(empty_home: Home) -> None:
    empty_home.config.write_text("[log]\nlevel = 'loud'\n[nothing]\n")

    answer = empty_home.call("config", "check")

    assert answer.code == ExitCode.CONFIGURATION
    lines = answer.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"error: {empty_home.config}: ") for line in lines)


def test_a_right_configuration_is_counted(empty_home: Home) -> None:
    empty_home.environ.update(DCA_API_TOKEN="t", S="s")
    said, told = empty_home.done("config", "check"), empty_home.done("config", "check", "--json")

    assert said.out == (
        f"ok: {empty_home.config}: accounts 1, queues 1, collectors 2, batches 1, schedules 2\n"
    )
    assert told.json["counts"]["schedules"] == 2


def test_a_warning_is_printed(empty_home: Home) -> None:
    empty_home.environ.update(DCA_API_TOKEN="t", S="s")
    text = CONFIG.replace('cron = "0 2 * * *"', 'cron = "0 2 13 * fri"')
    empty_home.config.write_text(text)

    said = empty_home.done("config", "check")

    assert said.out.splitlines()[1].startswith("warning: ")


def test_the_schema_of_the_file_is_printed(empty_home: Home) -> None:
    assert "schedules" in empty_home.done("config", "check", "--schema").json["properties"]


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["nonsense"], 2, "no such command 'nonsense'"),
        (["runs", "nonsense"], 2, "no such command 'nonsense'"),
        (["runs", "list", "--nonsense"], 2, "no such option"),
        (["runs", "list", "--state", "nonsense"], 2, "'nonsense' is not one of"),
        (["runs", "list", "--since", "someday"], 2, "'someday' is not a time"),
        (["runs", "show", "x"], 2, "'x' is neither a run's id nor a collection's"),
        (["runs", "retry"], 2, "one of the two"),
        (["runs", "retry", "1", "--state", "failed"], 2, "one of the two"),
        (["queues", "pause", "nightly"], 2, "missing option '--reason'"),
        (["next"], 2, "name a schedule, or give --cron"),
        (["next", "nightly", "--cron", "* * * * *"], 2, "name a schedule, or give --cron"),
        (["next", "nightly", "--timezone", "UTC"], 2, "--timezone goes with --cron"),
        (["next", "--cron", "1 1"], 1, "write five fields"),
        (["next", "--cron", "* * * * *", "--timezone", "Mars"], 1, "Mars"),
        (["-c", "missing.toml", "runs", "list"], 78, "missing.toml: there is no such file"),
    ],
    ids=spoken,
)
def test_what_a_person_gets_wrong_is_one_line(
    home: Home, words: list[str], code: int, problem: str
) -> None:
    answer = home.call_bare(*words) if "-c" in words else home.call(*words)

    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith("error: ")
    assert problem in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("state", "code", "problem"),
    [
        ("missing", ExitCode.CONFIGURATION, "run `dca-scheduler db upgrade`"),
        ("empty", ExitCode.CONFIGURATION, "scheduler.db is empty: `dca-scheduler run` makes it"),
        ("newer", ExitCode.CONFIGURATION, "newer than this program"),
        ("damaged", ExitCode.CONFIGURATION, "file is not a database"),
        ("a folder", ExitCode.UNAVAILABLE, "unable to open database file"),
    ],
)
@pytest.mark.parametrize("words", [["runs", "list"], ["db", "check"], ["apply"]], ids=spoken)
def test_a_database_that_cannot_be_used_says_the_way_out(
    empty_home: Home, words: list[str], state: str, code: int, problem: str
) -> None:
    match state:
        case "empty":
            empty_home.database.touch()
        case "newer":
            databases.migrated_sqlite(empty_home.folder)
            empty_home.sql("UPDATE alembic_version SET version_num = '9999'")
        case "damaged":
            empty_home.database.write_bytes(b"this is a text file" * 100)
        case "a folder":
            empty_home.database.mkdir()

    answer = empty_home.call(*words)

    assert (answer.code, answer.out) == (code, "")
    assert problem in answer.err
    assert answer.err.count("\n") == 1


def test_reading_makes_no_database(empty_home: Home) -> None:
    empty_home.call("runs", "list")
    current = empty_home.done("db", "current")

    assert current.out == "empty\n"
    assert not empty_home.database.exists()


def test_a_server_that_is_not_there_is_unavailable(empty_home: Home) -> None:
    empty_home.environ["DCA_SCHEDULER__DATABASE__URL"] = "postgresql://u:hidden@127.0.0.1:1/x"

    answer = empty_home.call("runs", "list")

    assert answer.code == ExitCode.UNAVAILABLE
    assert "hidden" not in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_the_configuration_is_named_before_or_after_the_command(home: Home, place: str) -> None:
    option = ("-c", str(home.config))
    words = {
        "before": (*option, "schedules", "list"),
        "between": ("schedules", *option, "list"),
        "after": ("schedules", "list", *option),
    }

    assert home.call_bare(*words[place]).code == 0


def test_the_configuration_is_found_by_its_variable(home: Home) -> None:
    home.environ["DCA_SCHEDULER_CONFIG"] = str(home.config)

    assert home.call_bare("schedules", "list").code == 0


def test_a_reader_who_goes_away_leaves_no_traceback(home: Home) -> None:
    words = [sys.executable, "-P", "-m", "scheduler", "next", "--cron", "* * * * *"]
    with subprocess.Popen(
        [*words, "--count", "10000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=process_environment({}),
        cwd=home.folder,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (ExitCode.BROKEN_PIPE, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_leaves_no_traceback(unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "scheduler", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=process_environment({"PYTHONUNBUFFERED": unbuffered}),
            text=True,
        )

    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr.startswith("error: output: no space left on device: what was asked was done")
    assert "Traceback" not in done.stderr


def in_a_shell(home: Home, line: str) -> subprocess.CompletedProcess[str]:
    """Carry out a line of shell in which D is the program."""
    program = f"{sys.executable} -P -m scheduler"
    return subprocess.run(
        ["bash", "-c", line.replace("D ", f"{program} ")],
        capture_output=True,
        env=process_environment({}),
        cwd=home.folder,
        text=True,
        check=False,
    )


def test_a_run_whose_id_could_not_be_written_is_told_with_a_code_of_its_own(home: Home) -> None:
    """A script that tries again on 1 would send, and pay for, another."""
    done = in_a_shell(home, "D trigger products --batch pages > /dev/full")

    ((run_id,),) = home.sql("SELECT id FROM runs")
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr.splitlines()[-1] == str(run_id)


def test_a_closed_output_is_fine(home: Home) -> None:
    done = in_a_shell(home, "D trigger products --batch pages >&-")

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert home.sql("SELECT count(*) FROM runs") == [(1,)]


def test_a_reader_who_goes_away_does_not_prevent_the_act(home: Home) -> None:
    home.done("freeze", "all", "--reason", "x")

    in_a_shell(home, "D thaw all -y | true")

    assert home.sql("SELECT count(*) FROM freezes") == [(0,)]


def test_an_argument_that_is_not_utf_8_is_usage(home: Home) -> None:
    done = in_a_shell(home, r"D runs list --schedule $'\xe9'")

    assert done.returncode == ExitCode.USAGE
    assert "is not text in UTF-8" in done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_ends_a_wait_with_130(home: Home) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    home.pause = interrupt

    answer = home.call("trigger", "news", "--batch", "pages", "--wait")

    assert answer.code == ExitCode.INTERRUPTED


def test_the_table_of_exit_codes_is_in_the_help(home: Home) -> None:
    said = home.call_bare("--help").out

    assert set(MEANINGS) == set(ExitCode)
    for code, meaning in MEANINGS.items():
        assert f"{code.value:>3}  {meaning}" in said


def test_an_encoding_without_the_characters_is_no_trouble(home: Home) -> None:
    home.done("trigger", "news", "--batch", "pages", "--queue", "für später…")

    done = subprocess.run(
        [sys.executable, "-P", "-m", "scheduler", "runs", "list", "-c", home.config],
        env=process_environment({"PYTHONIOENCODING": "latin-1"}),
        capture_output=True,
    )

    assert done.returncode == 0
    assert r"für später\u2026".encode("latin-1") in done.stdout


def test_a_database_where_nobody_may_write_says_so(empty_home: Home) -> None:
    if os.geteuid() == 0:
        empty_home.environ["DCA_SCHEDULER__DATABASE__URL"] = "sqlite:////proc/scheduler.db"
    else:
        empty_home.folder.chmod(0o500)

    answer = empty_home.call("db", "upgrade")

    empty_home.folder.chmod(0o700)
    assert answer.code == ExitCode.UNAVAILABLE
    assert "may this user write there" in answer.err


def test_a_second_daemon_on_the_file_is_refused_with_the_name_of_the_first(home: Home) -> None:
    with instance_lock(home.database, me="the daemon with pid 42 on lab"):
        answer = home.call("run")

    assert answer.code == ExitCode.ALREADY_RUNNING
    *warned, refused = answer.err.splitlines()
    # Of what the environment does not have: a token, a secret.
    assert all("configuration_warning" in line for line in warned)
    assert refused.startswith(f"error: {home.database} is used by the daemon with pid 42 on lab")


@pytest.mark.parametrize(
    ("text", "code", "problem"),
    [
        ("[log]\nlevel = 'loud'\n", ExitCode.CONFIGURATION, "log.level"),
        ("not toml", ExitCode.CONFIGURATION, "line 1"),
        ("[database]\nauto_migrate = false\n", ExitCode.CONFIGURATION, "db upgrade"),
        ("[database]\nurl = 'sqlite:////proc/x.db'\n", ExitCode.UNAVAILABLE, "/proc/x.db"),
    ],
    ids=["wrong value", "no TOML", "old schema", "unwritable"],
)
def test_a_daemon_that_cannot_start_says_why(
    empty_home: Home, text: str, code: int, problem: str
) -> None:
    empty_home.config.write_text(text)

    done = program("run", folder=empty_home.folder)

    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_error_is_the_document_where_there_is_no_answer(home: Home) -> None:
    nobody = home.call("schedules", "show", "nobody", "--json")
    usage = home.call("runs", "list", "--limit", "none", "--json")
    answered = home.call("doctor", "--json")

    problem = nobody.err.removeprefix("error: ").rstrip()
    assert nobody.json == {"error": {"exit_code": 1, "message": problem, "problems": [problem]}}
    assert (nobody.code, usage.code, usage.json["error"]["exit_code"]) == (1, 2, 2)
    assert (answered.code, "error" in answered.json) == (1, False)


def test_config_check_has_the_same_keys_whether_the_file_is_right(home: Home) -> None:
    right = home.done("config", "check", "--json").json
    home.config.write_text("[nonsense]\n")
    wrong = home.call("config", "check", "--json")

    assert wrong.code == 78
    assert (wrong.json.keys(), bool(wrong.json["problems"])) == (right.keys(), True)
