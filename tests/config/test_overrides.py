"""Values from the environment stand above the file, for every key."""

from pathlib import Path
from typing import Any

import pytest

from scheduler.config import load_config
from scheduler.config.overrides import strays
from tests.config.make import SOUND, load, problems

NIGHTLY = "DCA_SCHEDULER__SCHEDULES__NIGHTLY__"


@pytest.mark.parametrize(
    ("variable", "text", "section", "name", "key", "expected"),
    [
        (
            "DCA_SCHEDULER__ACCOUNTS__MAIN__MAX_IN_FLIGHT",
            "8",
            "accounts",
            "main",
            "max_in_flight",
            8,
        ),
        (
            "dca_scheduler__accounts__main__max_in_flight",
            "8",
            "accounts",
            "main",
            "max_in_flight",
            8,
        ),
        (f"{NIGHTLY}ENABLED", "false", "schedules", "nightly", "enabled", False),
        (f"{NIGHTLY}QUEUE", "5", "schedules", "nightly", "queue", "5"),
        (f"{NIGHTLY}QUEUE", "true", "schedules", "nightly", "queue", "true"),
        (f"{NIGHTLY}QUEUE", '"in quotes"', "schedules", "nightly", "queue", "in quotes"),
        (f"{NIGHTLY}QUEUE", "a b", "schedules", "nightly", "queue", "a b"),
        (f"{NIGHTLY}NAME", "1979-05-27", "schedules", "nightly", "name", "1979-05-27"),
        (f"{NIGHTLY}CRON", "5 4 * * *", "schedules", "nightly", "cron", "5 4 * * *"),
        (
            f"{NIGHTLY}CRON",
            '["@daily", "@hourly"]',
            "schedules",
            "nightly",
            "cron",
            "@daily; @hourly",
        ),
        (
            f"{NIGHTLY}AT",
            "2026-12-01T02:00:00",
            "schedules",
            "nightly",
            "at",
            "2026-12-01T02:00:00",
        ),
        (f"{NIGHTLY}CATCH_UP", "all", "schedules", "nightly", "catch_up", "all"),
        (f"{NIGHTLY}NOTIFY__TYPE", "email", "schedules", "nightly", "notify", {"type": "email"}),
        (
            f"{NIGHTLY}NOTIFY",
            '{ type = "email" }',
            "schedules",
            "nightly",
            "notify",
            {"type": "email"},
        ),
    ],
)
def test_a_value_is_read_as_toml_and_as_text_where_text_is_wanted(
    tmp_path: Path, variable: str, text: str, section: str, name: str, key: str, expected: Any
) -> None:
    config = load(tmp_path, SOUND, {variable: text})

    assert getattr(getattr(config, section)[name], key) == expected


def test_a_table_that_the_file_lacks_is_made_in_lower_case() -> None:
    environ = {
        "DCA_SCHEDULER__ACCOUNTS__MY_MAIN__TOKEN": '{ env = "X" }',
        "DCA_SCHEDULER__LOG__LEVEL": "debug",
    }

    config = load_config(None, environ).config

    assert str(config.accounts["my_main"].token) == "env:X"
    assert config.log.level == "debug"


def test_a_token_can_be_moved_to_another_place(tmp_path: Path) -> None:
    config = load(tmp_path, SOUND, {"DCA_SCHEDULER__ACCOUNTS__MAIN__TOKEN__FILE": "/run/token"})

    assert str(config.accounts["main"].token) == "file:/run/token"


@pytest.mark.parametrize("name", ["nightly-products", "Nightly_Products", "nightly products"])
def test_a_name_is_found_whatever_its_spelling_in_the_file(tmp_path: Path, name: str) -> None:
    text = SOUND.replace("nightly", f'"{name}"')

    config = load(tmp_path, text, {"DCA_SCHEDULER__SCHEDULES__NIGHTLY_PRODUCTS__EVERY": "5s"})

    assert {key: each.every for key, each in config.schedules.items()} == {name: "5s"}


def test_a_name_with_two_underscores_is_found(tmp_path: Path) -> None:
    text = SOUND.replace("nightly", "nightly__eu")

    config = load(tmp_path, text, {"DCA_SCHEDULER__SCHEDULES__NIGHTLY__EU__PRIORITY": "3"})

    assert config.schedules["nightly__eu"].priority == 3


@pytest.mark.parametrize(
    ("keys", "variable", "text", "left"),
    [
        ("", "EVERY", "5s", {"every"}),
        ("queue = 'q'", "CONFIRM_CANCEL", "true", {"cron", "confirm_cancel"}),
        ("confirm_cancel = true", "QUEUE", "q", {"cron", "queue"}),
        ("queue = 'q'", "CONFIRM_CANCEL", "false", {"cron", "queue", "confirm_cancel"}),
    ],
)
def test_one_key_of_a_group_takes_the_place_of_the_others(
    tmp_path: Path, keys: str, variable: str, text: str, left: set[str]
) -> None:
    config = load(tmp_path, f"{SOUND}\n{keys}", {f"{NIGHTLY}{variable}": text})

    assert config.schedules["nightly"].model_fields_set - {"collector", "batch"} == left


def test_an_anchor_goes_with_the_beat_that_it_belongs_to(tmp_path: Path) -> None:
    text = SOUND.replace('cron = "0 2 * * *"', "every = '5s'\nanchor = 2026-01-01")

    config = load(tmp_path, text, {f"{NIGHTLY}CRON": "@daily"})

    assert (config.schedules["nightly"].cron, config.schedules["nightly"].anchor) == (
        "@daily",
        None,
    )


def test_inputs_take_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("url\n")
    text = "[batches.a]\nfile = 'a.csv'"

    config = load(tmp_path, text, {"DCA_SCHEDULER__BATCHES__A__INPUTS": '[{ url = "u" }]'})

    assert (config.batches["a"].file, config.batches["a"].inputs) == (None, [{"url": "u"}])


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("DCA_SCHEDULER__LOGG__LEVEL", "logg: unknown table; did you mean log?"),
        ("DCA_SCHEDULER__LOG__LEVL", "log.levl: unknown key; did you mean level?"),
        ("DCA_SCHEDULER__LOG__LEVEL__X", "log.level: must be debug, info, warning or error"),
        ("DCA_SCHEDULER__LOG", "log: must be a table, not text"),
        ("DCA_SCHEDULER__SCHEDULES__NIGHTLY___X__Y", "schedules.nightly._x: unknown key"),
        (f"{NIGHTLY}EVRY", "schedules.nightly.evry: unknown key; did you mean every?"),
        (f"{NIGHTLY}PRIORITY", "schedules.nightly.priority: must be a whole number, not text"),
        ("DCA_SCHEDULER__ACCOUNTS__MAIN__TOKEN", "accounts.main.token: must not be written out"),
    ],
)
def test_a_problem_that_an_override_made_names_the_variable_but_not_its_value(
    tmp_path: Path, variable: str, problem: str
) -> None:
    [found] = problems(tmp_path, SOUND, {variable: "CANARY"})

    assert found.startswith(problem)
    assert found.endswith(f"(set by {variable})")
    assert "CANARY" not in found


@pytest.mark.parametrize(
    "variable", ["DCA_SCHEDULER__", "DCA_SCHEDULER__ACCOUNTS", "DCA_SCHEDULER__LOG____X"]
)
def test_a_path_that_leads_to_no_value_is_a_problem(tmp_path: Path, variable: str) -> None:
    [found] = problems(tmp_path, SOUND, {variable: "CANARY"})

    assert variable in found
    assert "CANARY" not in found


def test_a_part_that_may_mean_two_names_is_a_problem(tmp_path: Path) -> None:
    text = "[queues.a-b]\n[queues.a_b]"

    assert problems(tmp_path, text, {"DCA_SCHEDULER__QUEUES__A_B__MAX_DEPTH": "5"}) == [
        "DCA_SCHEDULER__QUEUES__A_B__MAX_DEPTH: this may mean a-b or a_b:"
        " rename one of them in the file"
    ]


def test_a_line_break_in_a_value_makes_no_second_key(tmp_path: Path) -> None:
    [found] = problems(tmp_path, SOUND, {f"{NIGHTLY}PRIORITY": "1\nenabled = false"})

    assert found.startswith("schedules.nightly.priority: must be a whole number, not text")


def test_other_variables_are_left_alone() -> None:
    assert load_config(None, {"DCA_SCHEDULER_CONFIG": "x", "DCA_API_TOKEN": "y"}).warnings == ()


def test_a_variable_that_was_meant_to_be_an_override_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(SOUND)

    found = load_config(file, {"DCA_SCHEDULER_LOG_LEVEL": "debug", "DCA_SCHEDULER_CONFIG": "x"})

    assert found.config.log.level == "info"
    assert found.warnings == (
        "DCA_SCHEDULER_LOG_LEVEL means nothing here: the parts of a setting are joined by two"
        " underscores, as in DCA_SCHEDULER__LOG__LEVEL",
    )


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_said_not_to_be_used(variable: str) -> None:
    assert [f"{variable} is set and not used" in one for one in strays({variable: "http://p"})] == [
        True
    ]
    assert list(strays({variable: ""})) == []
