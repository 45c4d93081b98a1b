"""docs/database.md names every table and column, once, and no other."""

import re
from pathlib import Path

from scheduler.storage.tables import metadata

PAGE = Path(__file__).parents[2] / "docs" / "database.md"


def columns_on_the_page() -> dict[str, list[str]]:
    sections = re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        section.split("\n", 1)[0]: re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
        for section in sections
    }


def test_the_page_has_every_table_and_column_and_no_other() -> None:
    tables = {name: sorted(table.columns.keys()) for name, table in sorted(metadata.tables.items())}

    assert {name: sorted(names) for name, names in sorted(columns_on_the_page().items())} == tables


def test_every_column_on_the_page_says_what_it_holds() -> None:
    rows = re.findall(r"^\| `\w+` \| *(.*?) *\|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert all(rows)
