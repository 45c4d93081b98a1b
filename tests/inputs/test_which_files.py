"""Which files a pattern names, and which of them may be read: links, changes, secrets."""

import os
from pathlib import Path

import pytest

from scheduler.config import load_config
from scheduler.domain.errors import ConfigError, InputsError
from scheduler.inputs import ChangedMeanwhile, InputFiles, find_files, iter_inputs, read_inputs
from tests.inputs.make import make_file, url_lines


def names(pattern: Path) -> list[str]:
    """Return the files of a pattern as they stand below `top`."""
    return [str(path).partition("/top/")[2] for path in find_files(str(pattern))]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "top"
    (folder / "parts").mkdir(parents=True)
    make_file(folder / "parts", "part-1.csv", "url\nx\n")
    return folder


@pytest.mark.parametrize("pattern", ["**/part-1.csv", "**/*.csv", "*/part-1.csv"])
def test_a_file_that_links_lead_to_comes_once(top: Path, pattern: str) -> None:
    (top / "current").symlink_to("parts")
    (top / "parts" / "zz.csv").symlink_to("part-1.csv")

    found = names(top / pattern)

    assert len(found) == 1
    assert read_inputs(find_files(str(top / pattern))[0]) == [{"url": "x"}]


def test_a_search_below_folders_follows_no_link_in_a_circle(top: Path) -> None:
    (top / "parts" / "up").symlink_to("..")

    assert names(top / "**" / "*.csv") == ["parts/part-1.csv"]


def test_a_folder_with_brackets_in_its_name_is_that_folder(top: Path) -> None:
    folder = top / "Q4 [final] 2026"
    folder.mkdir()
    make_file(folder, "a.csv", "url\nx\n")

    assert names(folder / "*.csv") == ["Q4 [final] 2026/a.csv"]


def test_a_link_to_nothing_is_a_missing_file(top: Path) -> None:
    (top / "parts" / "part-3.csv").symlink_to("gone.csv")

    with pytest.raises(InputsError, match=r"part-3\.csv: is a link to nothing"):
        find_files(str(top / "parts" / "part-*.csv"))


def test_the_name_of_a_file_holds_no_due_time(top: Path) -> None:
    with pytest.raises(InputsError, match=r"cannot hold \{due_at"):
        find_files(str(top / "urls-{due_at:%Y%m%d}.csv"))
    (top / "config.toml").write_text('[batches.a]\nfile = "urls-{due_at:%Y%m%d}.csv"\n')
    with pytest.raises(ConfigError, match=r"cannot hold \{due_at"):
        load_config(top / "config.toml", {})


def test_a_search_of_too_much_ends(top: Path) -> None:
    for number in range(20):
        make_file(top / "parts", f"{number}.csv", "")

    with pytest.raises(InputsError, match="name a folder nearer"):
        find_files(str(top / "**" / "*.csv"), most_entries=20)


def test_a_file_that_is_written_over_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.csv", "url\n" + url_lines(*map(str, range(50_000))))
    inputs = iter_inputs(file)
    next(inputs)
    file.write_text("url\n" + url_lines(*map(str, range(40_000))))

    with pytest.raises(ChangedMeanwhile, match="is changed while it is read"):
        list(inputs)


def test_a_file_that_another_takes_the_place_of_is_read_to_its_own_end(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.csv", "url\n" + "x\n" * 50_000)
    inputs = iter_inputs(file)
    next(inputs)
    make_file(tmp_path, "new.csv", "url\ny\n").replace(file)

    assert len(list(inputs)) == 49_999


def test_only_files_below_the_roots_are_read_wherever_links_lead(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    secret = make_file(outside, "a.csv", "url\nx\n")
    (inside / "link.csv").symlink_to(secret)
    make_file(inside, "b.csv", "url\nx\n")
    (inside / "fine.csv").symlink_to("b.csv")
    files = InputFiles(roots=(inside,))

    assert read_inputs(inside / "fine.csv", files=files) == [{"url": "x"}]
    for path in (inside / "link.csv", secret, inside / ".." / "out" / "a.csv"):
        with pytest.raises(InputsError, match="set inputs_root"):
            read_inputs(path, files=files)


def test_the_kind_of_a_file_is_that_of_its_real_name(tmp_path: Path) -> None:
    make_file(tmp_path, "token", "abc")
    (tmp_path / "a.txt").symlink_to("token")

    with pytest.raises(InputsError, match="is a link to token, which must end in one of"):
        read_inputs(tmp_path / "a.txt")


def test_a_secret_is_never_read_by_whatever_name(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    token = make_file(tmp_path, "token.csv", "url\nSECRET\n")
    make_file(folder, "a.csv", "url\nSECRET\n")
    os.link(token, tmp_path / "hard.csv")
    (tmp_path / "soft.csv").symlink_to(token)
    files = InputFiles(secrets=(folder, token))

    for path in (token, tmp_path / "hard.csv", tmp_path / "soft.csv", folder / "a.csv"):
        with pytest.raises(InputsError, match="holds a secret"):
            read_inputs(path, files=files)
