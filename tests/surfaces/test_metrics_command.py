"""`metrics`: for a person, as JSON, and as a file that is read while it is written."""

import json
import stat

import pytest

from tests.surfaces.rig import ROOT, Home


def test_a_person_sees_names_labels_and_values(home: Home) -> None:
    home.make_run()

    lines = home.done("metrics").out.splitlines()

    assert lines[0].split() == ["metric", "labels", "value"]
    assert any(line.split() == ["dca_scheduler_open_runs", "state=queued", "1"] for line in lines)


def test_json_has_each_metric_with_its_samples(home: Home) -> None:
    told = home.json("metrics")

    assert told["dca_scheduler_daemons"] == [{"labels": {}, "value": 0.0}]
    assert {"labels": {"table": "accounts"}, "value": 0.0} in told["dca_scheduler_invalid_rows"]


def test_the_file_is_replaced_in_one_step_and_others_may_read_it(home: Home) -> None:
    target = home.folder / "dca-scheduler.prom"
    target.write_text("old\n")
    before = target.stat().st_ino

    home.done("metrics", "--text", "-o", str(target))

    assert "dca_scheduler_daemons 0.0\n" in target.read_text()
    assert target.stat().st_ino != before
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert [path.name for path in home.folder.glob("*.prom*")] == [target.name]
    assert list(home.folder.glob(".*")) == []


def test_a_file_that_cannot_be_written_is_named_and_the_old_one_stays(home: Home) -> None:
    answer = home.call("metrics", "--text", "-o", str(home.folder / "none" / "x.prom"))

    assert answer.code == 1
    assert "none/x.prom: No such file or directory" in answer.err


def test_what_watches_goes_on_where_the_file_is_wrong(home: Home) -> None:
    home.config.write_text(home.config.read_text() + "\n[nonsense]\n")

    answer = home.call("metrics", "--text")

    assert answer.code == 0
    assert "dca_scheduler_daemons 0.0" in answer.out


def test_the_configuration_bounds_the_schedules(home: Home) -> None:
    home.sql("UPDATE schedules SET next_fire_at = '2026-03-02 10:00:00.000000'")
    name = "dca_scheduler_schedule_next_fire_timestamp_seconds"
    both = home.json("metrics")[name]
    home.config.write_text("[metrics]\nmax_schedules = 1\n" + home.config.read_text())

    assert [sample["labels"]["schedule"] for sample in both] == ["hourly", "nightly"]
    assert [sample["labels"]["schedule"] for sample in home.json("metrics")[name]] == ["hourly"]


@pytest.mark.parametrize(
    ("option", "file"), [("--alert-rules", "alerts.yml"), ("--dashboard", "dashboard.json")]
)
def test_rules_and_dashboard_are_printed_without_any_database(
    empty_home: Home, option: str, file: str
) -> None:
    assert empty_home.done("metrics", option).out == (ROOT / "monitoring" / file).read_text()


def test_json_goes_with_nothing_else(home: Home) -> None:
    assert home.call("metrics", "--json", "--text").code == 2
    assert json.loads(home.done("metrics", "--json").out)
