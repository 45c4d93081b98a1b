"""Names with fields in them: what is filled in, and what a template may never ask for."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import check_name_template, render_due_at, render_name

BERLIN = ZoneInfo("Europe/Berlin")
# The next day, and summer time, in Berlin.
LATE = datetime(2026, 6, 30, 22, 30, 5, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{schedule}", "nightly"),
        ("{schedule} {due_at:%Y-%m-%d}", "nightly 2026-07-01"),
        ("{due_at}", "2026-07-01T00:30:05+02:00"),
        ("{due_at:%H:%M:%S %z %Z}", "00:30:05 +0200 CEST"),
        ("{due_at:%Y年%m月}", "2026年07月"),
        ("{due_at:%G-W%V-%u %j %f %%}", "2026-W27-3 182 250000 %"),
        ("{due_at:%a %A %b %B %d %I %p %U %w %W %y}", "Wed Wednesday Jul July 01 12 AM 26 3 26 26"),
        ("{due_at:now}", "now"),
        ("{{schedule}} {{}}", "{schedule} {}"),
        ("100 % {schedule}", "100 % nightly"),
        ("{schedule}{schedule}", "nightlynightly"),
    ],
)
def test_a_name_is_filled_in_as_seen_in_the_zone(template: str, name: str) -> None:
    assert render_name(template, schedule="nightly", due_at=LATE, zone=BERLIN) == name
    check_name_template(template)


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    name = render_name("{schedule}", schedule="{due_at} %Y", due_at=LATE, zone=BERLIN)

    assert name == "{due_at} %Y"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{", "; write {{ for a brace itself"),
        ("}", "; write {{ for a brace itself"),
        ("{schedule", "; write {{ for a brace itself"),
        ("{}", "{} is unknown: there is {schedule}, {due_at}; write {{ for a brace itself"),
        ("{0}", "{0} is unknown"),
        ("{nope}", "{nope} is unknown"),
        ("{ schedule }", "{ schedule } is unknown"),
        ("{schedule.__class__}", "{schedule.__class__} is unknown"),
        ("{due_at.tzinfo}", "{due_at.tzinfo} is unknown"),
        ("{schedule[0]}", "{schedule[0]} is unknown"),
        ("{schedule!r}", "{schedule!r} is not possible: leave out !"),
        ("{due_at!s:%Y}", "{due_at!s} is not possible: leave out !"),
        ("{schedule:>9}", "{schedule} has no format: leave out :>9"),
        ("{due_at:{schedule}}", "'{schedule}' is not a time format"),
        *((f"{{due_at:%{bad}}}", "is not a time format") for bad in "cxXsDeklnPtrRTCEgh-0 é"),
        ("{due_at:%Y%}", "'%Y%' is not a time format: write it like %Y-%m-%d %H:%M"),
        ("{due_at:%%%}", "is not a time format"),
        ("{due_at:%Y\0}", "is not a time format"),
        ("{due_at:%Y\n}", "is not a time format"),
        ("{due_at:%Y\ud800}", "is not a time format"),
    ],
)
def test_a_template_that_asks_for_more_is_refused(template: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_name_template(template)

    assert problem in str(caught.value)


def test_a_text_of_inputs_knows_the_due_time_only() -> None:
    text = "https://x.org/{due_at:%Y/%m/%d}"

    assert render_due_at(text, due_at=LATE, zone=BERLIN) == "https://x.org/2026/07/01"
    with pytest.raises(InvalidInput, match=r"\{schedule\} is unknown: there is \{due_at\};"):
        render_due_at("{schedule}", due_at=LATE, zone=BERLIN)
