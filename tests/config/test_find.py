"""Which file is read."""

import os
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


@pytest.mark.parametrize(
    ("mode", "is_mine", "why"),
    [
        (0o666, True, "every user may write it"),
        (0o644, False, "it belongs to user "),
        (0o644, True, ""),
    ],
    ids=["anybody's", "somebody else's", "mine"],
)
def test_a_file_that_another_may_have_put_there_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, is_mine: bool, why: str
) -> None:
    file = tmp_path / "config.toml"
    file.touch()
    file.chmod(mode)
    if not is_mine and os.geteuid() == 0:
        os.chown(file, 4711, -1)
    elif not is_mine:
        monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)

    if why:
        with pytest.raises(ConfigError, match=f"{why}.*: name it with -c if it is meant"):
            find_config(None, {}, places=[file])
    else:
        assert find_config(None, {}, places=[file]) == file
    assert find_config(file, {}) == file
