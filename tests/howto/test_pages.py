"""Every page of docs/howto says what happens: its console blocks are run word by word."""

from pathlib import Path

import pytest

from tests.howto.harness import Page, commands_of, first_missing

PAGES = Path(__file__).parents[2] / "docs" / "howto"
WITH_A_SERVER = ("postgresql.md", "two-daemons.md")
ALONE = sorted(page.name for page in PAGES.glob("*.md") if page.name not in WITH_A_SERVER)


@pytest.mark.parametrize("page", ALONE)
def test_a_page_says_what_happens(page: str, tmp_path: Path) -> None:
    Page(file=PAGES / page, folder=tmp_path).run()


@pytest.mark.parametrize("page", WITH_A_SERVER)
@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_a_page_of_postgresql_says_what_happens(
    page: str, tmp_path: Path, empty_database_url: str
) -> None:
    replaced = {"postgresql://dca@db.example.com/dca": empty_database_url}

    Page(file=PAGES / page, folder=tmp_path, replaced=replaced).run()


def test_a_page_that_is_wrong_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo one two\none …\n$ false\n```\n")
    with pytest.raises(AssertionError, match="exit code 1"):
        Page(file=page, folder=tmp_path / "a").run()
    page.write_text("```console\n$ echo one\ntwo\n```\n")
    with pytest.raises(AssertionError, match="not printed: 'two'"):
        Page(file=page, folder=tmp_path / "b").run()


def test_what_is_printed_is_found_in_order() -> None:
    (command,) = commands_of("$ x\na…c\nz\n")

    assert first_missing(command.prints, ["abc", "y", "z"]) is None
    assert first_missing(command.prints, ["z", "abc"]) == "z"
