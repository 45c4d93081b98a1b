"""A shell completes commands and names; what is misspelt is told what may be meant."""

import getpass

import pytest

from scheduler.cli.session import person
from tests.surfaces.rig import Home, program, spoken


def completed(home: Home, words: str, *, environ: dict[str, str] | None = None) -> list[str]:
    """Return what bash is offered for the last of *words*."""
    done = program(
        folder=home.folder,
        environ={
            "_DCA_SCHEDULER_COMPLETE": "bash_complete",
            "COMP_WORDS": f"dca-scheduler {words}",
            "COMP_CWORD": str(len(words.split(" "))),
            **(environ or {}),
        },
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("st", ["status"]),
        ("schedules pau", ["pause"]),
        ("schedules pause ", ["hourly", "nightly"]),
        ("explain n", ["nightly"]),
        ("queues pause ", ["nightly"]),
        ("runs list --schedule h", ["hourly"]),
        ("runs list --state fai", ["failed"]),
        ("batches show ", ["pages"]),
        ("trigger p", ["products"]),
        ("accounts pause ", ["main"]),
        ("explain x%", []),
    ],
)
def test_words_and_names_are_completed(home: Home, words: str, offered: list[str]) -> None:
    assert completed(home, words) == offered


def test_without_a_database_no_name_is_offered_and_nothing_is_said(empty_home: Home) -> None:
    assert completed(empty_home, "schedules pause ") == []
    assert not empty_home.database.exists()


def test_names_are_those_of_the_file_that_is_named(home: Home) -> None:
    other = home.config.rename(home.folder / "other.toml")

    assert completed(home, "explain n") == []
    assert completed(home, f"-c {other.name} explain n") == ["nightly"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(home: Home, shell: str) -> None:
    script = home.done("completion", shell).out

    assert "_DCA_SCHEDULER_COMPLETE" in script
    assert f"{shell}_complete" in script


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["statu"], "no such command 'statu'; did you mean status?"),
        (["schedule"], "no such command 'schedule'; did you mean schedules?"),
        (["batch", "list"], "no such command 'batch'; did you mean batches?"),
        (["runs", "lst"], "no such command 'lst'; did you mean list?"),
        (["xyzzy"], "no such command 'xyzzy' (see "),
        (["batches", "show", "page"], "no batch is called 'page'; did you mean pages?"),
    ],
    ids=spoken,
)
def test_what_is_misspelt_is_told_what_may_be_meant(
    home: Home, words: list[str], complaint: str
) -> None:
    assert complaint in home.call(*words).err.lower()


def test_an_option_is_suggested_only_if_it_is_alike(home: Home) -> None:
    assert "--state" in home.call("runs", "list", "--stat", "x").err
    assert "--json" not in home.call("status", "--reason", "x").err


def test_the_audit_names_who_became_root(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "bob")
    monkeypatch.setenv("LOGNAME", "somebody-else")

    home.done("schedules", "pause", "hourly", "--reason", "x")

    me = person()
    assert me.endswith(" (sudo by bob)") and not me.startswith("somebody-else")
    assert home.items("changes", "list", "--by", "bob")[0]["by"] == me


@pytest.mark.parametrize("forged", ["", "a\nb", "x" * 65])
def test_no_variable_makes_up_who_asks(monkeypatch: pytest.MonkeyPatch, forged: str) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    honest = person()
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("SUDO_USER", forged)

    assert person() == honest
    assert getpass.getuser() == "somebody-else"


def test_a_daemon_without_a_file_is_refused(home: Home) -> None:
    home.config.unlink()
    home.database.unlink()

    done = program("run", folder=home.folder)

    assert done.returncode == 78
    assert done.stderr.endswith("say --no-config if that is meant\n")
    assert not home.database.exists()
