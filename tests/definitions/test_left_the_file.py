"""A schedule that left its file fires no more under its old name; another file's is left alone."""

import pytest

from scheduler.actions.apply import apply_definitions
from scheduler.actions.comparing import Change, Verb
from scheduler.actions.pauses import pause_schedule, resume_schedule
from scheduler.tools.calendar.preview import preview_schedules
from scheduler.tools.definitions.plan import plan_definitions
from scheduler.views.attention import attention_sentences
from scheduler.views.status import read_status
from tests.definitions.rig import FILE, HOURLY, Desk
from tests.make import NINE, minutes

RENAMED = FILE.replace("[schedules.nightly]", "[schedules.nightly-de]")
OURS = "host:/etc/dca-scheduler/config.toml"
THEIRS = "host:/srv/other.toml"
ACCOUNT = FILE[: FILE.index("[schedules.nightly]")]
OTHERS = ACCOUNT + HOURLY.replace("[schedules.hourly]", "[schedules.theirs]")


def apply(desk: Desk, written: str, file_id: str | None = OURS) -> dict[str, Verb]:
    """Apply *written* as the file of that id; return what became of each schedule."""
    with desk.db.writing() as conn:
        changes = apply_definitions(conn, desk.config(written), by="ann", now=NINE, file_id=file_id)
    return verbs(changes)


def verbs(changes: list[Change]) -> dict[str, Verb]:
    return {change.name: change.verb for change in changes if change.table == "schedules"}


def paused(desk: Desk) -> dict[str, str]:
    return dict(
        tuple(row)
        for row in desk.sql(
            "SELECT name, paused_reason FROM schedules WHERE paused_at IS NOT NULL ORDER BY name"
        )
    )


def test_a_renamed_schedule_fires_under_its_new_name_only(desk: Desk) -> None:
    apply(desk, FILE)

    assert apply(desk, RENAMED) == {
        "nightly-de": Verb.CREATED,
        "hourly": Verb.UNCHANGED,
        "nightly": Verb.PAUSED,
    }
    assert paused(desk) == {"nightly": "its definition left its file"}
    with desk.db.reading() as conn:
        preview = preview_schedules(conn, ["nightly", "nightly-de"], days=1, now=NINE)
    assert {one.schedule: one.run_count for one in preview.schedules} == {
        "nightly": 0,
        "nightly-de": 1,
    }


def test_applying_again_finds_nothing_more_to_do(desk: Desk) -> None:
    apply(desk, FILE)
    apply(desk, RENAMED)

    assert apply(desk, RENAMED)["nightly"] is Verb.LEFT_ALONE


def test_a_schedule_that_is_back_fires_again(desk: Desk) -> None:
    apply(desk, FILE)
    apply(desk, RENAMED)

    assert apply(desk, FILE)["nightly"] is Verb.UPDATED
    assert paused(desk) == {"nightly-de": "its definition left its file"}


def test_two_files_that_share_a_database_leave_each_others_schedules_alone(desk: Desk) -> None:
    apply(desk, FILE)
    apply(desk, OTHERS, THEIRS)

    assert apply(desk, FILE)["theirs"] is Verb.LEFT_ALONE
    assert paused(desk) == {}


def test_the_same_path_on_another_host_is_the_same_file_if_it_has_one_of_the_schedules(
    desk: Desk,
) -> None:
    apply(desk, FILE)

    assert apply(desk, RENAMED, OURS.replace("host", "after-a-deploy"))["nightly"] is Verb.PAUSED


def test_the_same_path_on_another_host_with_nothing_in_common_is_another_file(desk: Desk) -> None:
    apply(desk, FILE)

    assert "nightly" in apply(desk, OTHERS, OURS.replace("host", "elsewhere"))
    assert paused(desk) == {}


def test_a_schedule_that_moves_to_another_file_is_that_files(desk: Desk) -> None:
    apply(desk, FILE)
    apply(desk, ACCOUNT + HOURLY, THEIRS)

    assert apply(desk, FILE.replace(HOURLY, ""))["hourly"] is Verb.LEFT_ALONE
    assert paused(desk) == {}


def test_a_persons_own_pause_stays_and_one_with_an_end_is_for_good(desk: Desk) -> None:
    apply(desk, FILE)
    with desk.db.writing() as conn:
        pause_schedule(conn, "nightly", by="bob", reason="budget", now=NINE)
        pause_schedule(conn, "hourly", by="bob", reason="lunch", until=NINE + minutes(60), now=NINE)
    apply(desk, ACCOUNT)

    assert paused(desk) == {"hourly": "its definition left its file", "nightly": "budget"}
    assert desk.sql("SELECT paused_until FROM schedules WHERE name = 'hourly'") == [(None,)]


def test_one_that_a_person_resumes_fires_and_is_named_everywhere(desk: Desk) -> None:
    apply(desk, FILE)
    apply(desk, RENAMED)
    with desk.db.writing() as conn:
        resume_schedule(conn, "nightly", by="bob", now=NINE, confirmed=True)
    apply(desk, RENAMED)

    assert paused(desk) == {}
    with desk.db.reading() as conn:
        said = list(attention_sentences(read_status(conn, now=NINE)))
    assert said == [
        "schedule nightly fires, and no file has it any more"
        " (dca-scheduler schedules pause nightly, or apply --prune)"
    ]


def test_a_row_made_by_hand_has_no_file(desk: Desk) -> None:
    apply(desk, FILE)
    desk.sql("UPDATE schedules SET origin = 'database', defined_in = NULL WHERE name = 'nightly'")

    apply(desk, RENAMED)

    assert paused(desk) == {}
    with desk.db.reading() as conn:
        assert list(attention_sentences(read_status(conn, now=NINE))) == []


def test_a_plan_leaves_alone_what_no_file_made(desk: Desk) -> None:
    apply(desk, FILE)
    desk.sql("UPDATE schedules SET origin = 'database', defined_in = NULL WHERE name = 'nightly'")

    plan = desk.plan(RENAMED)

    assert "nightly" not in verbs(plan.changes)
    assert "nightly" not in [one.schedule for one in plan.outlooks]


@pytest.mark.parametrize("written", [RENAMED, ACCOUNT])
def test_a_plan_shows_what_is_paused_and_that_it_is_due_no_more(desk: Desk, written: str) -> None:
    apply(desk, FILE)

    with desk.db.reading() as conn:
        plan = plan_definitions(conn, desk.config(written), now=NINE, file_id=OURS)

    assert verbs(plan.changes)["nightly"] is Verb.PAUSED
    (outlook,) = [one for one in plan.outlooks if one.schedule == "nightly"]
    assert (outlook.more_runs, outlook.new_next_fire_at) == (-30, None)
    with desk.db.writing() as conn:
        done = apply_definitions(
            conn, desk.config(written), by="ann", now=NINE, expected=plan.changes, file_id=OURS
        )
    assert done == plan.changes
