"""An account's row is judged by the rules of the file: its token goes nowhere else."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from scheduler.config import load_config
from scheduler.config.account_rules import AccountLimits, what_is_wrong
from scheduler.domain.records import RunState
from scheduler.engine.accounts import Upstreams
from scheduler.storage import accounts, audit, daemons
from scheduler.views.accounts import list_accounts
from tests.engine.rig import engine_room


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        ("http://somewhere.example", "the token would travel unencrypted"),
        ("https://user:pw@somewhere.example", "must have no user or password"),
        ("https://somewhere.example/?x=1", "no query"),
        ("http://[::1", "must be https://HOST"),
        ("ftp://127.0.0.1", "must be https://HOST"),
    ],
)
async def test_a_row_with_an_address_that_no_file_may_hold_is_never_used(
    database_url: str, base_url: str, why: str
) -> None:
    async with engine_room(database_url) as room:
        room.execute("UPDATE accounts SET base_url = :url", url=base_url)
        run_id = room.ask()
        with capture_logs() as said:
            await room.dispatch()
        run, sent = room.run(run_id), list(room.triggers)
        with room.db.reading() as conn:
            account = accounts.get_account(conn, "main")

    assert (run.state, sent) == (RunState.QUEUED, [])
    assert why in str(run.detail)
    assert "token cannot be read" not in str(run.detail)
    assert why in str(what_is_wrong(account))
    assert [line["event"] for line in said if line["log_level"] == "error"] == ["account_invalid"]


async def test_a_row_that_is_mended_is_used_at_once(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask()
        room.execute("UPDATE accounts SET base_url = 'http://[::1'")
        await room.dispatch()
        room.execute("UPDATE accounts SET base_url = :url", url=room.base_url)
        room.clock.tick(timedelta(minutes=5))
        await room.dispatch()

        assert room.run(run_id).state is RunState.COLLECTING


FILE = """
[limits]
hosts = {hosts}
[accounts.main]
token = {{ env = "TOKEN" }}
base_url = "{base_url}"
[secrets]
hook = {{ env = "HOOK" }}
"""
OTHER = "https://elsewhere.example"


@pytest.mark.parametrize(
    ("columns", "hosts", "why"),
    [
        ({}, "[]", None),
        ({"base_url": OTHER}, "[]", "token env:TOKEN may not be sent to https://elsewhere"),
        ({"token": "env:HOOK"}, "[]", "token env:HOOK may not be sent to"),
        ({"base_url": OTHER, "token": "env:OWN"}, "[]", "the configuration file names neither"),
        ({"base_url": "https://api.brightdata.com/", "token": "env:OWN"}, "[]", None),
        ({"token": "env:OWN"}, "[]", None),
        ({"base_url": OTHER, "token": "env:OWN"}, f'["{OTHER}/"]', None),
        ({"base_url": OTHER, "token": "env:OWN"}, '["https://a.example"]', "none of the hosts"),
        ({"token": "env:OWN"}, '["https://a.example"]', None),
    ],
    ids=[
        "as the file has it",
        "its token elsewhere",
        "a secret as token",
        "a token of a row's own elsewhere",
        "a token of a row's own to the vendor",
        "a token of a row's own where the file sends",
        "a host that is listed",
        "a host that is not",
        "the file's host is listed",
    ],
)
async def test_a_row_takes_no_token_where_the_file_does_not_send_it(
    sqlite_url: str, tmp_path: Path, columns: dict[str, str], hosts: str, why: str | None
) -> None:
    async with engine_room(sqlite_url) as room:
        file = tmp_path / "config.toml"
        file.write_text(FILE.format(hosts=hosts, base_url=room.base_url))
        limits = AccountLimits.of(load_config(file, {}).config)
        room.upstreams.limits = lambda: limits
        room.change("accounts", "main", **columns)
        with room.db.reading() as conn:
            wrong = limits.what_is_wrong(accounts.get_account(conn, "main"))
        run_id = room.ask()
        if why is not None:
            await room.dispatch()

        assert (wrong is None) if why is None else (why in str(wrong))
        assert room.received == []
        assert room.run(run_id).state is RunState.QUEUED
        assert (why or "") in str(room.run(run_id).detail)


async def test_a_row_that_a_daemon_may_not_use_is_told_as_such(
    database_url: str,
) -> None:
    wrong = "token env:HOME may not be sent there"
    told = {"main": wrong}
    async with engine_room(database_url) as room:
        seen: dict[str, Any] = {"now": room.clock.now, "version": "1", "zone_data": "x"}
        with room.db.writing() as conn:
            daemons.insert_daemon(conn, "a", host="one", pid=1, **seen)
            daemons.record_unusable(conn, "a", told)
            (alone,) = list_accounts(conn, now=room.clock.now)
            daemons.insert_daemon(conn, "b", host="two", pid=2, **seen)
            (beside,) = list_accounts(conn, now=room.clock.now)
            daemons.record_unusable(conn, "b", told)
            daemons.record_stopped(conn, "a", now=room.clock.now)
            daemons.record_unusable(conn, "b", {})
            (mended,) = list_accounts(conn, now=room.clock.now)

    assert alone.error == wrong
    assert beside.error == f"the daemon with pid 1 on one does not use it: {wrong}"
    assert mended.error is None


async def test_the_audit_says_of_a_row_that_cannot_be_used_just_that(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.execute("UPDATE accounts SET base_url = 'http://somewhere.example'")
        room.ask()
        await room.dispatch()
        with room.db.reading() as conn:
            change, _ = audit.list_changes(conn, subject="accounts.main", limit=9)

    assert "the token would travel unencrypted" in str(change.columns())


@pytest.mark.parametrize("token", ["env:TOKEN", "env:OWN"], ids=["the files'", "the row's own"])
async def test_of_two_files_on_one_database_each_sends_where_it_says_itself(
    database_url: str, tmp_path: Path, token: str
) -> None:
    async with engine_room(database_url) as room:
        room.change("accounts", "main", token=token)
        run_id = room.ask()
        for name, base_url in (("elsewhere", OTHER), ("here", room.base_url)):
            file = tmp_path / f"{name}.toml"
            file.write_text(FILE.format(hosts=f'["{base_url}"]', base_url=base_url))
            limits = AccountLimits.of(load_config(file, {}).config)
            upstreams = Upstreams(
                request_timeout=room.upstreams.request_timeout,
                clock=room.clock,
                read_secret=room.upstreams.read_secret,
                limits=partial(_only, limits),
            )
            await room.dispatch(room.dispatch_step(owner=name, upstreams=upstreams))
            await upstreams.close()
            if name == "elsewhere":
                refused, sent_elsewhere = room.run(run_id), len(room.received)
                room.clock.tick(timedelta(minutes=5))

        sent = room.run(run_id)

    assert (refused.state, sent_elsewhere) == (RunState.QUEUED, 0)
    assert "none of the hosts" in str(refused.detail)
    assert sent.state is RunState.COLLECTING


def _only(limits: AccountLimits) -> AccountLimits:
    return limits


async def test_a_secret_leaves_for_none_but_its_own_destination(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        hook = '{"type": "webhook", "endpoint": "https://elsewhere.example/?${secret:s}"}'
        with room.db.writing() as conn:
            conn.execute(text("UPDATE collectors SET deliver = :hook"), {"hook": hook})
        room.schedule("hourly")
        await room.fire()
        room.clock.tick(timedelta(hours=1))
        await room.fire()
        await room.dispatch(
            room.dispatch_step(secret=lambda name: "canary", may_go=lambda name, place: False)
        )
        (run,) = room.runs()

        assert room.received == []
    assert run.state is RunState.FAILED
    assert "the secret s may not go to https://elsewhere.example/" in str(run.detail)
