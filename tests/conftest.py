"""
What every test may ask for: databases of its own.

Coroutine tests run under asyncio.run, each with a loop of its own.
"""

import asyncio
import inspect
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from structlog.dev import ConsoleRenderer, plain_traceback

from tests import databases, programs
from tests.postgres import Server, Session, quiet_server, shared_server

# How long an example takes is no test's matter: a machine may be busy.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

_session = pytest.StashKey[Session]()


def pytest_configure(config: pytest.Config) -> None:
    """Open the session's folder; xdist's workers are told of it by their environment."""
    # What is logged where nobody set logging up; richer ones show each variable, for a minute.
    ConsoleRenderer.get_active().exception_formatter = plain_traceback
    if not hasattr(config, "workerinput"):
        config.stash[_session] = Session()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind: no server, no folder."""
    if _session in config.stash:
        config.stash[_session].close()


def pytest_xdist_auto_num_workers() -> int | None:
    """Have more workers than processors: half of the time a test waits for what it has started."""
    is_set = "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ
    return None if is_set else (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave tests out whose program is not on this machine, and say so at the end."""
    for item in items:
        if (lack := _lacking(item)) is not None and not programs.must_be_there():
            item.add_marker(pytest.mark.skip(reason=f"left out: {lack}"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose program is not there, where it must be."""
    if (lack := _lacking(item)) is not None:
        pytest.fail(lack, pytrace=False)


def _lacking(item: pytest.Item) -> str | None:
    named = [program for mark in item.iter_markers("needs") for program in mark.args]
    return programs.lacking(*named)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test to its end; leave every other test to pytest."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of an SQLite database of the test's own, migrated, without rows."""
    return databases.migrated_sqlite(tmp_path)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """Return the PostgreSQL server for the test: with `@pytest.mark.quiet` nobody else uses it."""
    is_quiet = request.node.get_closest_marker("quiet") is not None
    return quiet_server() if is_quiet else shared_server()


@pytest.fixture(scope="session")
def postgresql_pool() -> Iterator[databases.PostgresqlPool]:
    """Give this worker's databases that are used again."""
    pool = databases.PostgresqlPool()
    yield pool
    pool.close()


@pytest.fixture
def postgresql_url(server: Server, postgresql_pool: databases.PostgresqlPool) -> Iterator[str]:
    """Give the URL of a PostgreSQL database of the test's own, migrated, without rows."""
    if server is not shared_server():
        with databases.migrated_postgresql(server) as url:
            yield url
    else:
        with postgresql_pool.lend() as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database of each brand, migrated, without rows."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database of each brand without a schema."""
    if request.param == "sqlite":
        yield databases.empty_sqlite(tmp_path)
    else:
        with databases.empty_postgresql() as url:
            yield url
