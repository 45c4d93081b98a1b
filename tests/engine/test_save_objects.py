"""SaveStep with object stores: uploaded whole, shown once, marked last; credentials nowhere."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from scheduler.config import Config, references
from scheduler.domain.errors import InvalidInput
from scheduler.domain.results import check_result_path
from scheduler.engine import result_object
from scheduler.engine.result_object import ResultObject
from tests.engine.rig import engine_room
from tests.engine.s3_server import S3
from tests.engine.test_save import INPUTS, ROWS, died, ended, result_of, save, step_of, summary

SECRET = "wJalrXUtnFEMI"
KEY = "raw/night/2026-03-02.jsonl"
SAVE_TO = "s3://rows/raw/{schedule}/{due_at:%Y-%m-%d}.jsonl"


@asynccontextmanager
async def open_store(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3]:
    async with S3().serving() as s3:
        for name, value in {
            "AWS_ENDPOINT_URL": s3.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "eu-central-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield s3


async def test_it_is_uploaded_once_with_its_checksum_and_the_marker_comes_last(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(monkeypatch) as store, engine_room(database_url, inputs=INPUTS) as room:
        await ended(room, SAVE_TO)
        result = await save(room, None)
        again = await save(room, None, "d2")

        assert summary(result) == summary(again) == ("saved", None)
        assert result is not None
        content, told = store.objects[KEY]
        assert [json.loads(line) for line in content.decode().splitlines()] == ROWS
        assert result.sha256 == hashlib.sha256(content).hexdigest()
        assert told == {"x-amz-meta-sha256": result.sha256}
        assert (result.path, result.host) == (f"s3://rows/{KEY}", "(object store)")
        marker = json.loads(store.objects[f"{KEY}.done"][0])
        assert (marker["sha256"], marker["row_count"]) == (result.sha256, 2)
        assert [one for one in store.asked if one.startswith("PUT")] == [
            f"PUT {KEY}",
            f"PUT {KEY}.done",
        ]
        assert room.complaints() == []


async def test_a_large_one_goes_in_parts(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_object, "_PIECE", 64 * 1024)
    inputs = [{"url": f"https://example.org/{number}", "note": "x" * 1000} for number in range(200)]
    async with open_store(monkeypatch) as store, engine_room(sqlite_url, inputs=inputs) as room:
        await ended(room, SAVE_TO)
        result = await save(room, None)

    assert result is not None
    assert hashlib.sha256(store.objects[KEY][0]).hexdigest() == result.sha256
    assert sum("partNumber" in one for one in store.asked) > 3


@pytest.mark.parametrize("moment", ["upload", "publish", "mark"])
async def test_killed_at_any_moment_it_is_uploaded_once(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    async with open_store(monkeypatch) as store, engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room, SAVE_TO)
        step = step_of(room, None, "dead")
        with monkeypatch.context() as patch:
            real = getattr(ResultObject, moment)

            def die(self: ResultObject, written: Any) -> None:
                if moment == "publish":
                    real(self, written)
                raise asyncio.CancelledError

            patch.setattr(ResultObject, moment, die)
            patch.setattr(type(step), "_record", died)
            await step.run(room.clock())
            await asyncio.gather(*step._saving.values(), return_exceptions=True)
        room.clock.tick(120)

        result = await save(room, None, "d2")

        assert summary(result) == ("saved", None)
        assert store.objects.keys() == {KEY, f"{KEY}.done"}
        assert sum(one == f"PUT {KEY}" for one in store.asked) == 1


async def test_an_address_that_the_package_panics_at_is_told_and_tried_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(monkeypatch), engine_room(sqlite_url, inputs=INPUTS) as room:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "no address")
        await ended(room, SAVE_TO)
        result = await save(room, None)

    assert summary(result) == ("waiting", "no_store")
    assert result is not None
    assert result.lease_owner is None
    assert result.next_attempt_at is not None
    assert result.next_attempt_at > room.clock()


async def test_an_object_of_somebody_else_is_never_overwritten_nor_removed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(monkeypatch) as store, engine_room(sqlite_url, inputs=INPUTS) as room:
        store.objects[KEY] = (b"theirs", {})
        await ended(room, SAVE_TO)
        result = await save(room, None)

    assert summary(result) == ("failed", "in_the_way")
    assert store.objects == {KEY: (b"theirs", {})}


async def test_after_its_time_any_daemon_removes_it_unless_it_was_changed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(monkeypatch) as store, engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room, SAVE_TO, keep_saved="1d")
        await save(room, None)
        room.clock.tick(90_000)
        await step_of(room, None, host="another").run(room.clock())

        assert summary(result_of(room)) == ("removed", None)
        assert store.objects == {}


async def test_a_store_that_refuses_is_told_without_credentials_and_tried_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(monkeypatch) as store, engine_room(sqlite_url, inputs=INPUTS) as room:
        store.refuses = True
        await ended(room, SAVE_TO)
        refused = await save(room, None)
        store.refuses = False
        room.clock.tick(60)
        saved = await save(room, None)

    assert summary(refused) == ("waiting", "no_store")
    assert refused is not None and refused.detail is not None
    assert "s3://rows/" in refused.detail
    assert SECRET not in refused.detail
    assert summary(saved) == ("saved", None)


@pytest.mark.parametrize("has_folder", [True, False])
async def test_without_the_extra_it_says_so_and_is_left_to_a_daemon_that_has_it(
    database_url: str, tmp_path: Path, has_folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.engine.save.has_extra", lambda: False)
    async with engine_room(database_url, inputs=INPUTS) as room:
        await ended(room, SAVE_TO)
        result = await save(room, tmp_path if has_folder else None)

    assert summary(result) == ("waiting", "no_store")
    assert result is not None and result.attempt_count == 0
    assert "pip install obstore" in str(result.detail)


def test_without_the_extra_config_check_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = {"id": "c_a", "account": "main", "save_to": SAVE_TO}
    config = Config.model_validate({"collectors": {"a": shop}})
    assert list(references.saved_nowhere(config)) == []

    monkeypatch.setattr(references, "find_spec", lambda _: None)

    (sentence,) = references.saved_nowhere(config)
    assert "collectors.a: save_to: object stores need a package" in sentence


@pytest.mark.parametrize(
    "text",
    [
        f"s3://AKIA:{SECRET}@rows/{{run_id}}.json",
        "ftp://rows/{run_id}.json",
        "s3://{schedule}/{run_id}.json",
        "s3://rows/../{run_id}.json",
        "s3://rows/all.json",
    ],
)
def test_what_is_no_place_in_a_bucket_is_refused_without_repeating_a_secret(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_result_path(text)
    assert SECRET not in str(refused.value)
