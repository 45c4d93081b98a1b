"""The life of a job as a client sees it: queues, deadlines, pauses, reruns (DCA, 1 and 2)."""

from scheduler.sandbox import SandboxSettings
from tests.sandbox.rig import ONE_INPUT, connected

FIVE = [{"url": f"https://example.org/{number}"} for number in range(5)]
DAY = 86_400.0


async def test_a_job_builds_then_runs_then_is_done() -> None:
    async with connected() as client:
        job_id = await client.start(FIVE)
        seen = []
        for _ in range(7):
            log = await client.log(job_id)
            seen.append((log["status"], log["pages"], log["pages_left"]))
            client.clock.tick(1)

    assert seen == [
        ("building", 0, 5),
        ("running", 0, 5),
        ("running", 1, 4),
        ("running", 2, 3),
        ("running", 3, 2),
        ("running", 4, 1),
        ("done", 5, 0),
    ]


async def test_the_log_of_a_finished_job_has_every_documented_field() -> None:
    async with connected() as client:
        job_id = await client.start(FIVE)
        client.clock.tick(3600)
        log = await client.log(job_id)

    assert log == {
        "id": job_id,
        "status": "done",
        "collector": "c_shop",
        "inputs": 5,
        "dup_inputs": 0,
        "lines": 5,
        "fails": 0,
        "pages": 5,
        "pages_left": 0,
        "success": 5,
        "navigations": 5,
        "created": "2026-03-02T09:00:00.000Z",
        "started": "2026-03-02T09:00:01.000Z",
        "finished": "2026-03-02T09:00:06.000Z",
        "trigger": {"type": "api", "user": "sandbox", "ip": "127.0.0.1"},
        "success_rate": 1.0,
        "job_time": 5000,
        "queue_time": 1000,
    }


async def test_queue_next_waits_behind_the_collectors_crawl_queue() -> None:
    async with connected() as client:
        first = await client.trigger(FIVE)
        second = await client.trigger(queue_next="1")
        client.clock.tick(3600)
        log = await client.log(second.json["collection_id"])

    assert first.json["start_eta"] == "2026-03-02T09:00:01.000Z"
    assert second.json["start_eta"] == "2026-03-02T09:00:07.000Z"
    assert log["started"] == "2026-03-02T09:00:07.000Z"


async def test_a_named_queue_keeps_order_and_different_names_run_in_parallel() -> None:
    async with connected() as client:
        ids = [await client.start(queue=name) for name in ("a", "a", "b")]
        client.clock.tick(3600)
        started = [(await client.log(job_id))["started"] for job_id in ids]

    assert [text[17:19] for text in started] == ["01", "03", "01"]


async def test_confirm_cancel_cancels_the_running_job_and_runs_before_those_that_wait() -> None:
    async with connected() as client:
        running = await client.start(FIVE)
        waiting = await client.start()
        client.clock.tick(3.5)
        urgent = await client.start(confirm_cancel="1")
        cut = await client.log(running)
        client.clock.tick(3600)
        logs = [await client.log(job_id) for job_id in (urgent, waiting)]

    assert (cut["status"], cut["pages"]) == ("cancelled", 2)
    assert [log["started"][17:23] for log in logs] == ["04.500", "06.500"]


async def test_confirm_cancel_leaves_a_named_queue_alone() -> None:
    async with connected() as client:
        named = await client.start(queue="a")
        await client.start(confirm_cancel="1")

        assert await client.status(named) == "building"


async def test_a_deadline_ends_a_job_as_done_with_pages_left_and_delivers_what_it_had() -> None:
    async with connected() as client:
        job_id = await client.start(FIVE, deadline="3s")
        client.clock.tick(3600)
        log = await client.log(job_id)
        rows = (await client.get("/dca/dataset", id=job_id)).json
        errors = (await client.get(f"/dca/jobs/{job_id}/hp_errors")).json["errors"]

    assert (log["status"], log["pages"], log["pages_left"], log["fails"]) == ("done", 3, 2, 0)
    assert log["finished"] == "2026-03-02T09:00:04.000Z"
    assert [row["input"] for row in rows] == FIVE[:3]
    assert [one["error"] for one in errors] == ["aborted_page"] * 2


async def test_a_paused_job_stands_still_and_goes_on_where_it_stopped() -> None:
    async with connected() as client:
        job_id = await client.start(FIVE)
        client.clock.tick(3)
        paused = await client.call("POST", f"/dca/jobs/{job_id}/pause")
        client.clock.tick(100)
        still = await client.log(job_id)
        await client.call("POST", f"/dca/jobs/{job_id}/resume")
        client.clock.tick(3600)
        log = await client.log(job_id)

    assert (paused.status, paused.text) == (200, "OK")
    assert (still["status"], still["pages"]) == ("paused", 2)
    assert (log["status"], log["finished"]) == ("done", "2026-03-02T09:01:46.000Z")


async def test_a_job_paused_while_it_waits_holds_its_queue_until_it_is_resumed() -> None:
    async with connected() as client:
        front, held, behind = [await client.start() for _ in range(3)]
        await client.call("POST", f"/dca/jobs/{held}/pause")
        client.clock.tick(60)
        while_held = [await client.status(job_id) for job_id in (front, held, behind)]
        await client.call("POST", f"/dca/jobs/{held}/resume")
        client.clock.tick(4)
        after = [await client.status(job_id) for job_id in (held, behind)]

    assert while_held == ["done", "paused", "building"]
    assert after == ["done", "done"]


async def test_cancelling_a_waiting_job_lets_the_queue_pass_it_over() -> None:
    async with connected() as client:
        await client.start()
        second, third = await client.start(), await client.start()
        reply = await client.call("POST", f"/dca/jobs/{second}/cancel")
        client.clock.tick(4)
        logs = [await client.log(job_id) for job_id in (second, third)]

    assert reply.text == "OK"
    assert [log["status"] for log in logs] == ["cancelled", "done"]
    assert logs[0]["started"] is None


async def test_a_finished_job_cannot_be_changed() -> None:
    async with connected() as client:
        job_id = await client.start()
        client.clock.tick(60)
        paths = [f"/dca/jobs/{job_id}/{verb}" for verb in ("cancel", "pause", "resume")]
        statuses = [(await client.call("POST", path)).status for path in paths]

    assert statuses == [400, 400, 400]


async def test_inputs_can_ask_to_fail_and_only_the_counts_tell() -> None:
    inputs = [{"url": "a"}, {"url": "b", "sandbox_error": "dead_page"}]
    async with connected() as client:
        job_id = await client.start(inputs)
        client.clock.tick(60)
        log = await client.log(job_id)
        rows = (await client.get("/dca/dataset", id=job_id)).json
        errors = (await client.get(f"/dca/jobs/{job_id}/hp_errors")).json

    assert (log["status"], log["fails"], log["success_rate"]) == ("done", 1, 0.5)
    assert [row.get("error_code") for row in rows] == [None, "dead_page"]
    assert [row["input"] for row in rows] == inputs
    assert errors == {"errors": [{"url": "b", "error": "dead_page", "consumer": "sandbox"}]}


async def test_an_input_can_end_its_job_as_failed() -> None:
    inputs = [{"url": "a"}, {"url": "b", "sandbox_status": "failed"}, {"url": "c"}]
    async with connected() as client:
        job_id = await client.start(inputs)
        client.clock.tick(60)
        log = await client.log(job_id)

    assert (log["status"], log["pages"], log["pages_left"]) == ("failed", 2, 1)


async def test_a_rerun_is_a_new_job_of_all_inputs_or_of_those_that_failed() -> None:
    inputs = [{"url": "a"}, {"url": "b", "sandbox_error": "infra_error"}]
    async with connected() as client:
        job_id = await client.start(inputs)
        client.clock.tick(60)
        path = f"/dca/jobs/{job_id}/rerun"
        replies = [
            await client.call("POST", path),
            await client.call("POST", path, json={"failed_only": 1}),
        ]
        ids = [reply.json["collection_id"] for reply in replies]
        counts = [(await client.log(one))["inputs"] for one in ids]

    assert len({job_id, *ids}) == 3
    assert all(reply.json["start_eta"] for reply in replies)
    assert counts == [2, 1]


async def test_results_expire_after_sixteen_days() -> None:
    async with connected() as client:
        job_id = await client.start()
        client.clock.tick(15.9 * DAY)
        kept = await client.get("/dca/dataset", id=job_id)
        client.clock.tick(DAY)
        gone = await client.get("/dca/dataset", id=job_id)
        rerun = await client.call("POST", f"/dca/jobs/{job_id}/rerun")
        rows = (await client.get("/dca/collector/jobs", collector="c_shop")).json["data"]

    assert (kept.status, gone.status, rerun.status) == (200, 404, 404)
    assert rows[0]["expired"] is True


async def test_time_that_runs_backwards_stands_still() -> None:
    async with connected() as client:
        job_id = await client.start()
        client.clock.tick(60)
        before = await client.status(job_id)
        client.clock.tick(-3600)
        later = await client.start()

        assert (before, await client.status(job_id)) == ("done", "done")
        assert (await client.log(later))["created"] == "2026-03-02T09:01:00.000Z"


async def test_the_pace_varies_with_the_seed_and_only_with_it() -> None:
    async def finish(seed: int) -> object:
        async with connected(SandboxSettings(spread=0.5, seed=seed)) as client:
            job_id = await client.start(ONE_INPUT * 100)
            client.clock.tick(3600)
            return (await client.log(job_id))["finished"]

    assert await finish(1) == await finish(1) != await finish(2)
