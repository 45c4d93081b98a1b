"""`next`, `preview` and `calendar lint`: what will fire, what will not, and what is odd."""

from tests.surfaces.rig import Home


def edit(home: Home, name: str, **columns: object) -> None:
    assert all(column.isidentifier() for column in columns)
    assignments = ", ".join(f"{column} = ?" for column in columns)
    home.sql(f"UPDATE schedules SET {assignments} WHERE name = ?", *columns.values(), name)
    home.sql("UPDATE schedules SET edited_at = NULL")


def make_calendar(home: Home, name: str, rules: str) -> None:
    home.sql("INSERT INTO calendars (name, rules) VALUES (?, ?)", name, rules)


def test_next_shows_what_a_calendar_excludes_when_asked(home: Home) -> None:
    make_calendar(home, "off", "2026-03-04")
    edit(home, "nightly", exclude="off")

    plain = home.done("next", "nightly", "--count", "2", "--json").items
    told = home.done("next", "nightly", "--count", "3", "--excluded", "--json").items
    table = home.done("next", "nightly", "--count", "3", "--excluded").out

    assert [one["due_local"][:10] for one in plain] == ["2026-03-03", "2026-03-05"]
    assert [(one["due_local"][:10], one["excluded_by"]) for one in told] == [
        ("2026-03-03", None),
        ("2026-03-04", "off: 2026-03-04"),
        ("2026-03-05", None),
    ]
    assert "excluded by" in table.splitlines()[0]


def test_next_tells_when_a_run_starts_that_is_spread(home: Home) -> None:
    edit(home, "nightly", spread="30m")

    told = home.done("next", "nightly", "--count", "2", "--json").items
    table = home.done("next", "nightly", "--count", "2").out

    assert all(
        one["due_at"] < one["starts_at"] < one["due_at"].replace("01:00", "01:30") for one in told
    )
    assert "starts" in table.splitlines()[0]


def test_next_says_what_a_clock_change_does(home: Home) -> None:
    edit(home, "nightly", cron="30 2 * * *", dst_fold="both")

    spring = home.done("next", "nightly", "--from", "2027-03-27", "--count", "2").out
    autumn = home.done("next", "nightly", "--from", "2027-10-30T03:00:00", "--count", "2").out

    assert "shifted: the clock jumps over its own time" in spring
    assert "shows this time twice: the first" in autumn
    assert "shows this time twice: the second" in autumn


def test_preview_counts_by_schedule_by_day_and_in_sum(home: Home) -> None:
    told = home.done("preview", "--days", "2", "--json").json
    text = home.done("preview", "--days", "2").out

    assert {one["schedule"]: one["run_count"] for one in told["schedules"]} == {
        "hourly": 48,
        "nightly": 2,
    }
    assert told["days"] == {"2026-03-02": 14, "2026-03-03": 25, "2026-03-04": 11}
    assert (told["run_count"], told["is_whole"]) == (50, True)
    assert "in sum 50 runs until 2026-03-04 09:00:00Z" in text


def test_preview_names_what_does_not_fire_and_why(home: Home) -> None:
    home.done("schedules", "pause", "nightly", "--reason", "budget")
    edit(home, "hourly", enabled=0)

    told = home.done("preview", "--json").json

    notes = {one["schedule"]: (one["run_count"], one["note"]) for one in told["schedules"]}
    assert notes["hourly"] == (0, "disabled")
    assert notes["nightly"][0] == 0
    assert "budget" in notes["nightly"][1]


def test_preview_says_what_is_invalid_and_counts_the_rest(home: Home) -> None:
    edit(home, "nightly", cron="0 0 31 2 *")
    edit(home, "hourly", every="1s")

    told = home.done("preview", "--days", "30", "--json").json

    notes = {one["schedule"]: (one["run_count"], one["note"]) for one in told["schedules"]}
    assert notes["hourly"] == (30 * 86_400, None)
    assert "can never be true" in notes["nightly"][1]


def test_preview_of_named_schedules_only(home: Home) -> None:
    told = home.done("preview", "nightly", "--json").json

    assert [one["schedule"] for one in told["schedules"]] == ["nightly"]
    assert home.call("preview", "nobody").code == 1


def test_preview_ends_with_max_runs(home: Home) -> None:
    edit(home, "nightly", max_runs=3)

    assert home.done("preview", "nightly", "--json").json["run_count"] == 3


def test_calendar_lint_tells_only_what_is_odd_and_ends_with_2(home: Home) -> None:
    odd = home.call("calendar", "lint", "--year", "2027", "--json")
    edit(home, "nightly", cron="17 12 * * *")
    even = home.call("calendar", "lint", "--year", "2027")

    assert (odd.code, [(one["schedule"], one["kind"]) for one in odd.json["findings"]]) == (
        2,
        [("nightly", "shifted")],
    )
    assert (even.code, even.out) == (0, "")
    assert "nothing is odd in 2027" in even.err


def test_calendar_lint_tells_what_is_seldom_meant_and_what_is_invalid(home: Home) -> None:
    edit(home, "nightly", cron="7 12 */7 * *", timezone="UTC")
    edit(home, "hourly", every=None, cron="0 0 31 2 *")

    found = home.call("calendar", "lint", "--year", "2027", "--json").json["findings"]

    told = {(one["schedule"], one["kind"]): one["sentence"] for one in found}
    assert "*/7" in told["nightly", "lint"]
    assert "can never be true" in told["hourly", "invalid"]


def test_calendar_lint_and_doctor_name_a_calendar_that_is_over(home: Home) -> None:
    home.sql("INSERT INTO calendars (name, rules, origin) VALUES ('old', '2025-12-25', 'database')")

    odd, doctor = home.call("calendar", "lint", "--year", "2027"), home.call("doctor")

    assert "calendar old excludes nothing: its last day has passed" in odd.out
    assert "calendar old excludes nothing: its last day has passed" in doctor.out


def test_wrong_usage_of_calendar_lint_does_not_look_like_a_finding(home: Home) -> None:
    assert home.call("calendar", "lint", "--year", "soon").code == 64
