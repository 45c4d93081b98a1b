"""The example file: valid as it stands, valid with every key in it, and complete."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.config import Config, load_config
from scheduler.config.shape import is_named, table_at
from scheduler.config.table import TomlTable

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
COMMENTED_KEY = re.compile(r"^#(?=[a-z_\-]+ = )", re.MULTILINE)
COMMENTED_TABLE = re.compile(r"^#(?=\[)", re.MULTILINE)


def text_with_every_key() -> str:
    return COMMENTED_TABLE.sub("", COMMENTED_KEY.sub("", EXAMPLE.read_text(encoding="utf-8")))


@pytest.fixture
def complete(tmp_path: Path) -> Config:
    (tmp_path / "inputs").symlink_to(ROOT / "inputs")
    path = tmp_path / "config.toml"
    path.write_text(text_with_every_key(), encoding="utf-8")
    return load_config(path, {}).config


def commented_keys() -> list[tuple[tuple[str, ...], str]]:
    """List the commented keys of tables that are not commented out themselves."""
    place: tuple[str, ...] | None = None
    found = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"(#?)\[([\w.-]+)\]", line):
            place = None if header[1] else tuple(header[2].split("."))
        elif place is not None and COMMENTED_KEY.match(line):
            found.append((place, line[1:].split(" = ")[0]))
    return found


def test_the_example_loads_without_a_warning() -> None:
    loaded = load_config(EXAMPLE, {})

    assert loaded.warnings == ()
    assert list(loaded.config.schedules) == [
        "nightly-products",
        "front-pages",
        "monthly-catalogue",
        "launch-day",
    ]
    assert loaded.config.batches["bestsellers"].file == str(ROOT / "inputs/bestsellers.csv")


def test_the_example_as_the_demo_runs_it_loads() -> None:
    demo = {
        f"DCA_SCHEDULER__SCHEDULES__{name}__EVERY": "5s"
        for name in ("NIGHTLY_PRODUCTS", "FRONT_PAGES", "MONTHLY_CATALOGUE", "LAUNCH_DAY")
    }
    demo["DCA_SCHEDULER__ACCOUNTS__MAIN__BASE_URL"] = "http://127.0.0.1:8080"

    config = load_config(EXAMPLE, demo).config

    assert {schedule.every for schedule in config.schedules.values()} == {"5s"}
    assert config.accounts["main"].base_url == "http://127.0.0.1:8080"


def test_the_example_with_every_key_uncommented_is_valid(complete: Config) -> None:
    assert complete.schedules["by-hand"].manual


def test_every_commented_key_shows_the_default_if_there_is_one(complete: Config) -> None:
    defaults = Config()
    compared = 0
    for place, key in commented_keys():
        table: Any = complete
        for part in place:
            table = table[part] if isinstance(table, dict) else getattr(table, part)
        if isinstance(table, TomlTable):
            default = (
                type(table).model_fields[key].default
                if is_named(place[0])
                else getattr(getattr(defaults, place[0]), key)
            )
            if default not in (None, "", str(Path.cwd())):
                assert (place, key, getattr(table, key)) == (place, key, default)
                compared += 1

    assert compared > 25
    assert complete.daemon.lease == timedelta(seconds=60)


def test_every_key_of_the_model_is_in_the_example() -> None:
    document = tomllib.loads(text_with_every_key())
    missing = []
    for section in Config.model_fields:
        model = table_at((section, "any") if is_named(section) else (section,))
        tables = document[section].values() if is_named(section) else [document[section]]
        if model is not None:
            shown = {key for table in tables for key in table}
            missing += [f"{section}.{key}" for key in model.model_fields if key not in shown]

    assert missing == []
    assert document["secrets"]
