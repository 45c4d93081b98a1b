"""One daemon a SQLite file, by whatever path, and whatever becomes of the lock's own file."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.daemon.instance_lock import instance_lock
from scheduler.domain.errors import AlreadyRunning, DatabaseError

ME = "the daemon with pid 42 on lab"


def by_a_link(file: Path) -> Path:
    link = file.with_name("link.db")
    link.symlink_to(file)
    return link


def by_a_second_name(file: Path) -> Path:
    other = file.with_name("other.db")
    other.hardlink_to(file)
    return other


def without_its_lock_file(file: Path) -> Path:
    file.with_name(f"{file.name}.lock").unlink()
    return file


@pytest.mark.parametrize("way", [lambda file: file, by_a_link, by_a_second_name,
                                 without_its_lock_file])  # fmt: skip
def test_a_second_daemon_is_refused_by_whatever_way_it_comes(
    tmp_path: Path, way: Callable[[Path], Path]
) -> None:
    file = tmp_path / "q.db"
    with (
        instance_lock(file, me=ME),
        pytest.raises(AlreadyRunning, match="is used by"),
        instance_lock(way(file), me="another"),
    ):
        raise AssertionError("two hold it")


def test_who_comes_after_the_first_has_gone_is_let_in(tmp_path: Path) -> None:
    for _ in range(2):
        with instance_lock(tmp_path / "q.db", me=ME):
            assert ME in (tmp_path / "q.db.lock").read_text()


def test_a_new_database_is_for_its_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with instance_lock(tmp_path / "q.db", me=ME):
            assert (tmp_path / "q.db").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_a_link_in_place_of_the_lock_is_refused_and_what_it_names_stays(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("precious")
    (tmp_path / "q.db.lock").symlink_to(tmp_path / "precious.txt")

    with (
        pytest.raises(DatabaseError, match="it is a link"),
        instance_lock(tmp_path / "q.db", me=ME),
    ):
        raise AssertionError("it was followed")

    assert (tmp_path / "precious.txt").read_text() == "precious"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(DatabaseError, match="does its folder exist"),
        instance_lock(tmp_path / "gone" / "q.db", me=ME),
    ):
        raise AssertionError("there is nothing to hold")


@pytest.mark.parametrize(
    ("call", "number", "said"),
    [
        ("open", errno.EROFS, "q.db.lock: Read-only file system: who works on"),
        ("open", errno.EDQUOT, "q.db.lock: Disk quota exceeded: who works on"),
        ("pwrite", errno.ENOSPC, "q.db.lock: No space left on device: who works on"),
    ],
)
def test_a_disk_that_takes_nothing_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, said: str
) -> None:
    (tmp_path / "q.db.lock").touch()

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(DatabaseError, match=said), instance_lock(tmp_path / "q.db", me=ME):
        raise AssertionError("it was held")
