"""Alerts, notices, costs, limits and failures on their pages, and what their forms do."""

from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.domain.notices import AlertKind, Observed
from scheduler.domain.records import Reason, RunState
from scheduler.storage import alerts
from scheduler.storage.result_tables import results
from scheduler.storage.runs import get_run
from tests.storage.rows import insert_run
from tests.web.pages.rig import new_run, sign_in
from tests.web.rig import Served


def raise_alert(served: Served, subject: str = "schedules.nightly", **changed: Any) -> int:
    """Write down that something is wrong, as a daemon does."""
    name = subject.partition(".")[2]
    seen = {"kind": AlertKind.FAILING, "detail": "refused: HTTP 400", "schedule": name, **changed}
    with served.db.writing() as conn:
        since = utc_now() - timedelta(hours=2)
        return alerts.insert_alert(conn, Observed(subject=subject, since=since, **seen)).id


def failed_runs(served: Served, *details: str) -> list[int]:
    """Return runs of the schedule that failed, each of what is said."""
    body = new_run(served)
    ids = range(101, 101 + len(details))
    with served.db.writing() as conn:
        for run_id, detail in zip(ids, details, strict=True):
            insert_run(
                conn,
                id=run_id,
                schedule="nightly",
                collector="products",
                state=RunState.FAILED,
                reason=Reason.REFUSED,
                detail=detail,
                due_at=utc_now() - timedelta(hours=run_id),
                ended_at=utc_now(),
                body=get_run(conn, body).body,
            )
    return list(ids)


def test_somebody_says_that_they_know_of_an_alert_and_the_overview_tells_it(
    served: Served,
) -> None:
    alert, other = raise_alert(served), raise_alert(served, "accounts.main", schedule=None)
    session = sign_in(served, Scope.OPERATE)
    assert "nobody has said so" not in session.get("/alerts").text

    done = session.post("/alerts/ack", alert=alert, reason="the vendor is told")

    assert (done.status_code, done.headers["location"]) == (303, "/alerts")
    shown = {each["id"]: each for each in served.get("/alerts.json").json()["items"]}
    assert shown[alert]["acked_reason"] == "the vendor is told"
    assert shown[alert]["acked_by"].startswith("http:a-operate@")
    assert not shown[other]["is_acked"]
    assert "the vendor is told" in session.get("/alerts").text
    overview = session.get("/overview").text
    assert "2 alerts open" in overview
    assert "of 1 somebody knows" in overview


def test_of_several_alerts_those_that_are_ticked_are_known(server_on_sqlite: Served) -> None:
    ids = [raise_alert(server_on_sqlite, f"schedules.s{number}") for number in range(3)]
    session = sign_in(server_on_sqlite, Scope.OPERATE)

    none = session.post("/alerts/ack", reason="x")
    done = session.post("/alerts/ack", alert=ids[:2], reason="x", until="2099-01-01T00:00")

    assert (none.status_code, done.status_code) == (422, 303)
    assert unquote(done.cookies["dcas_done"].strip('"')) == "nobody is reminded of 2 alerts"
    shown = server_on_sqlite.get("/alerts.json").json()["items"]
    assert [each["is_acked"] for each in shown] == [False, True, True]


def test_a_reader_sees_who_knows_and_no_button(server_on_sqlite: Served) -> None:
    alert = raise_alert(server_on_sqlite)
    session = sign_in(server_on_sqlite, Scope.READ)

    assert "nobody has said so" in session.get("/alerts").text
    assert session.post("/alerts/ack", alert=alert, reason="x").status_code == 403


def test_a_test_message_waits_in_its_channel_and_an_unknown_channel_is_refused(
    server_on_sqlite: Served,
) -> None:
    session = sign_in(server_on_sqlite, Scope.OPERATE)

    refused = session.post("/notices/test", channel="nobody")

    assert refused.status_code == 404
    assert "Nobody is told" in session.get("/notices").text


def test_costs_are_shown_for_a_month_by_what_is_chosen(served: Served) -> None:
    session = sign_in(served, Scope.READ)

    next_month = f"{utc_now().replace(day=1) + timedelta(days=32):%Y-%m}"
    page = session.get(f"/costs?by=collector&month={next_month}").text
    now = session.get("/costs").text
    past = session.get("/costs?month=2026-01")

    assert 'class="picture shares"' in page
    assert "dca-scheduler costs --month" in page
    assert "products" in page
    assert "No budget" in now
    assert (past.status_code, "No budget" in past.text) == (200, False)
    assert served.get("/costs.json?month=2026-01&by=label").json()["by"] == "label"
    for wrong in ("month=2026-13", "month=soon", "by=weather"):
        assert session.get(f"/costs?{wrong}").status_code == 422, wrong


def test_the_limits_of_a_day_stand_on_the_schedule(served: Served) -> None:
    made = {"name": "mine", "collector": "products", "batch": "pages", "cron": "0 2 * * *"}
    served.post("/api/v1/schedules", json={**made, "max_runs_per_day": 3, "min_interval": "2h"})
    session = sign_in(served, Scope.READ)

    page = session.get("/schedules/mine").text
    (limit,) = served.get("/schedules/mine.json").json()["allowed"]["limits"]

    assert "runs a day (UTC)" in page
    assert (limit["scope"], limit["used_runs"], limit["max_runs_per_day"]) == (
        "schedule mine",
        0,
        3,
    )
    assert "As much as is due" in session.get("/schedules/nightly").text


def test_of_what_failed_of_the_same_some_runs_are_sent_once_more(served: Served) -> None:
    first, second, other = failed_runs(served, "HTTP 400: no x", "HTTP 401: no x", "no y")
    session = sign_in(served, Scope.OPERATE)
    assert session.get("/failures").text.count("list, retry") == 2

    asked = "collector=products&reason=refused&schedule=nightly&words=HTTP+%23%3A+no+x"
    listed = served.get(f"/failures/runs.json?{asked}").json()["runs"]
    page = session.get(f"/failures/runs?{asked}").text
    none = session.post("/failures/retry")
    done = session.post("/failures/retry", run=second)
    again = served.get(f"/failures/runs.json?{asked}").json()

    assert [run["id"] for run in listed] == [first, second]
    assert f'value="{other}"' not in page
    assert (none.status_code, done.status_code) == (422, 303)
    assert [run["id"] for run in again["runs"]] == [first]
    assert again["left_out"] == {"retried before": 1}
    retried = served.get("/api/v1/runs?state=queued&schedule=nightly").json()["items"]
    assert [run["retry_of"] for run in retried] == [second]


def test_results_are_listed_with_why_not_and_a_person_does_without_one(served: Served) -> None:
    (run_id,) = failed_runs(served, "x")
    now = utc_now()
    unsaved = {"run_id": run_id, "collection_id": "j_1", "account": "main", "schedule": "nightly"}
    unsaved |= {"collector": "products", "path": "a/b.jsonl", "state": "failed", "reason": "disk"}
    with served.db.writing() as conn:
        moments = {"due_at": now, "created_at": now, "expires_at": now + timedelta(days=9)}
        conn.execute(results.insert(), {**unsaved, **moments, "detail": "<full>"})
    session = sign_in(served, Scope.OPERATE)

    listed = session.get("/results?state=failed&schedule=nightly").text

    assert "a/b.jsonl" in listed and "&lt;full&gt;" in listed
    assert f'action="/results/{run_id}/dismiss"' in listed
    assert "dca-scheduler results list --schedule nightly --state failed" in listed
    assert f"/results/{run_id}" not in sign_in(served, Scope.READ).get("/results").text
    done = session.post(f"/results/{run_id}/dismiss", reason="collected anew")
    assert (done.status_code, done.headers["location"]) == (303, f"/runs/{run_id}")
    (shown,) = served.get("/results.json").json()["items"]
    assert (shown["run_id"], shown["state"]) == (run_id, "dismissed")


def test_labels_stand_in_a_schedules_changes_as_they_are_written(served: Served) -> None:
    made = {"name": "shop", "collector": "products", "batch": "pages", "every": "1h"}
    served.post("/api/v1/schedules", json={**made, "labels": ["stock", "dear"]})
    session = sign_in(served, Scope.READ)

    for page in ("/schedules/shop", "/changes"):
        told = session.get(page).text
        assert "stock, dear" in told and ",stock," not in told
