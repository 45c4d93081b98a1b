"""Which file is read."""

from pathlib import Path

import pytest

from scheduler.config import find_config
from scheduler.domain.errors import ConfigError


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    files = [tmp_path / name for name in ("explicit", "variable", "here", "etc")]
    for file in files:
        file.touch()
    return files


@pytest.mark.parametrize("nearest", [0, 1, 2, 3])
def test_the_nearest_file_is_taken(places: list[Path], nearest: int) -> None:
    explicit, variable, *usual = places
    environ = {"DCA_SCHEDULER_CONFIG": str(variable) if nearest <= 1 else ""}
    for missing in usual[: max(0, nearest - 2)]:
        missing.unlink()

    found = find_config(explicit if nearest == 0 else None, environ, places=usual)

    assert found == places[nearest]


def test_without_any_file_there_is_none(tmp_path: Path) -> None:
    assert find_config(None, {}, places=[tmp_path / "config.toml"]) is None


def test_a_named_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"

    with pytest.raises(ConfigError, match=r"absent\.toml: there is no such file$"):
        find_config(absent, {})
    with pytest.raises(ConfigError, match=r"which \$DCA_SCHEDULER_CONFIG names"):
        find_config(None, {"DCA_SCHEDULER_CONFIG": str(absent)})


def test_the_current_folder_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").touch()
    monkeypatch.chdir(tmp_path)

    assert find_config(None, {}) == Path("config.toml")
