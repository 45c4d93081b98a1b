"""What is said of what is wrong, and how long a message waits before it is tried again."""

import re
from datetime import timedelta
from pathlib import Path

from scheduler.domain.notices import MOST_LINES, AlertKind, pause_after, text_of, title_of

PAGE = Path(__file__).parents[2] / "docs" / "notices.md"


def event(kind: str, change: str, schedule: str = "nightly", **more: object) -> dict[str, object]:
    return {"kind": kind, "change": change, "schedule": schedule, **more}


def test_every_kind_is_on_the_page() -> None:
    table = PAGE.read_text().partition("## What is told")[2].partition("## Rules")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert named == {*(kind.value for kind in AlertKind), "succeeded"}


def test_a_message_of_one_thing_says_it_and_one_of_many_counts() -> None:
    one = event("needs_attention", "opened", detail="several candidates")
    over = event("failing", "recovered", "weekly", since="2026-03-02", count=3, detail="refused")

    assert title_of([one]) == "nightly needs attention"
    assert title_of([one, one, over]) == "2 needs attention, 1 recovered (failing)"
    assert text_of([one, over]) == (
        "nightly needs attention: several candidates\n"
        "weekly recovered (failing): since 2026-03-02, 3 in all"
    )


def test_a_long_message_says_how_much_more_there_is() -> None:
    lines = text_of([event("failing", "still")] * (MOST_LINES + 2)).splitlines()

    assert len(lines) == MOST_LINES + 1
    assert lines[0] == "nightly still failing"
    assert lines[-1] == "… and 2 more"


def test_pauses_double_up_to_ten_minutes_and_sixty_are_nine_hours() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 60)]

    assert pauses[:3] == [timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=20)]
    assert max(pauses) == timedelta(minutes=10)
    assert timedelta(hours=8) < sum(pauses, timedelta()) < timedelta(hours=10)
