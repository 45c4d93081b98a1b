"""A key of before 0.2.0 is refused with its new name."""

from pathlib import Path

import pytest

from tests.config.make import problems


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("defaults", "first_pause", "backoff_initial"),
        ("defaults", "longest_pause", "backoff_max"),
        ("collectors.shop", "first_pause", "backoff_initial"),
        ("collectors.shop", "max_unsettled", "max_unresolved"),
        ("schedules.nightly", "longest_pause", "backoff_max"),
        ("unconfirmed", "look_after", "lookup_after"),
        ("follow", "first_pause", "poll_initial"),
        ("follow", "longest_pause", "poll_max"),
    ],
)
def test_an_old_key_is_told_its_new_name(tmp_path: Path, table: str, old: str, new: str) -> None:
    told = f"{table}.{old}: unknown key; did you mean {new}?"

    assert told in problems(tmp_path, f"[{table}]\n{old} = 1")


def test_a_key_is_only_renamed_where_it_was_one(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, "[log]\nfirst_pause = 1")

    assert "backoff" not in told
