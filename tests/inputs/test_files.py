"""Files as a whole: their suffix, their encoding, and those that are none."""

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scheduler.inputs import read_inputs
from tests.inputs.make import make_file, problem_of

NOBODY = 65534
TEXT = "url,name\nhttps://x.org/ü,Zoë 😀\n"
INPUTS = [{"url": "https://x.org/ü", "name": "Zoë 😀"}]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody who may not read every file: root may."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        pytest.param(TEXT.encode(), "a.csv", id="UTF-8"),
        pytest.param(codecs.BOM_UTF8 + TEXT.encode(), "a.csv", id="UTF-8 with a mark"),
        pytest.param(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "a.csv", id="UTF-16 LE"),
        pytest.param(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "a.csv", id="UTF-16 BE"),
        pytest.param(TEXT.encode(), "a.CSV", id="suffix in capitals"),
        pytest.param(
            codecs.BOM_UTF8 + '{"url": "https://x.org/ü", "name": "Zoë 😀"}'.encode(),
            "a.json",
            id="JSON with a mark",
        ),
    ],
)
def test_every_unicode_encoding_with_a_sign_of_it_is_read(
    tmp_path: Path, raw: bytes, name: str
) -> None:
    assert read_inputs(make_file(tmp_path, name, raw)) == INPUTS


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        pytest.param(
            "url\nx\nZoë\n".encode("cp1252"),
            "a.csv:3: not text in UTF-8: save the file as UTF-8",
            id="cp1252 is not guessed",
        ),
        pytest.param(
            codecs.BOM_UTF8 + b"u\n\xff",
            "a.csv:2: not text in UTF-8: save the file as UTF-8",
            id="a mark, then no UTF-8",
        ),
        pytest.param(
            codecs.BOM_UTF16_LE + "Ċ\nx\n".encode("utf-16-le") + b"\x00",
            "a.csv:3: not text in UTF-16: save the file as UTF-8",
            id="half a UTF-16 character",
        ),
        pytest.param(
            b"url\nx\ny\0z\n",
            "a.csv:3: holds a NUL byte: save the file as text in UTF-8",
            id="NUL",
        ),
        pytest.param(
            "url\n".encode("utf-16-le"),
            "a.csv:1: holds a NUL byte: save the file as text in UTF-8",
            id="UTF-16 without a mark",
        ),
        pytest.param(
            "url\nx\n".encode("utf-32"),
            "a.csv:1: holds a NUL byte: save the file as text in UTF-8",
            id="UTF-32",
        ),
        pytest.param(
            b"PK\x03\x04\x14\x00\x06",
            "a.csv:1: holds a NUL byte: save the file as text in UTF-8",
            id="a spreadsheet's own file",
        ),
    ],
)
def test_what_is_not_surely_text_is_refused(tmp_path: Path, raw: bytes, problem: str) -> None:
    assert problem_of(make_file(tmp_path, "a.csv", raw)) == problem


def test_a_text_file_is_a_url_a_line(tmp_path: Path) -> None:
    text = "# first\r\nhttps://x.org/1#top\n\n  https://x.org/2  \n # more\n"

    inputs = read_inputs(make_file(tmp_path, "a.txt", text))

    assert inputs == [{"url": "https://x.org/1#top"}, {"url": "https://x.org/2"}]


def test_a_text_file_of_comments_holds_no_inputs(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.txt", "# nothing yet\n\n")

    assert problem_of(path) == "a.txt: holds no inputs: write at least one"


@pytest.mark.parametrize("name", ["a.xlsx", "a", ".csv", "a.csv.gz"])
def test_other_kinds_of_files_are_refused(tmp_path: Path, name: str) -> None:
    path = make_file(tmp_path, name, "url\nx\n")

    assert problem_of(path) == f"{name}: must end in one of .csv .json .jsonl .ndjson .txt"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "a.csv") == "a.csv: there is no such file: is its path right?"


@pytest.mark.parametrize("path", ["~/a.csv", "$HOME/a.csv", "~/in/*.csv", "${HOME}/a.csv"])
def test_what_only_a_shell_expands_is_named(tmp_path: Path, path: str) -> None:
    assert problem_of(tmp_path / path).endswith("~ and $NAME are not expanded")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()

    problem = problem_of(tmp_path / "a.csv")

    assert problem == "a.csv: is a folder: name the file with the inputs in it"


def test_a_file_below_a_file_is_named(tmp_path: Path) -> None:
    make_file(tmp_path, "folder", "x")

    assert problem_of(tmp_path / "folder" / "a.csv") == "a.csv: not a directory"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")

    problem = problem_of(tmp_path / "a.csv")

    assert problem == "a.csv: is not a regular file: save its content in one"


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.csv", "url\nx\n")
    path.chmod(0)

    with as_nobody():
        problem = problem_of(path)

    assert problem == "a.csv: this user may not read it: change its permissions"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("x" * 300 + ".csv", "x" * 300 + ".csv: file name too long", id="long"),
        pytest.param("a\0b.csv", r"is no path that a file can have", id="NUL"),
        pytest.param("a\ud800.csv", r"is no path that a file can have", id="half a character"),
    ],
)
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    assert problem_of(tmp_path / name).endswith(problem)
