"""
What every test may ask for: databases of its own.

Coroutine tests run under asyncio.run, each with a loop of its own.
"""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.postgres import Session

_session = pytest.StashKey[Session]()


def pytest_configure(config: pytest.Config) -> None:
    """Open the session's folder; xdist's workers are told of it by their environment."""
    if not hasattr(config, "workerinput"):
        config.stash[_session] = Session()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind: no server, no folder."""
    if _session in config.stash:
        config.stash[_session].close()


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
def postgresql_url() -> Iterator[str]:
    """Give the URL of a PostgreSQL database of the test's own, migrated, without rows."""
    with databases.migrated_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database of each brand, migrated, without rows."""
    if request.param == "sqlite":
        yield databases.migrated_sqlite(tmp_path)
    else:
        with databases.migrated_postgresql() as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database of each brand without a schema."""
    if request.param == "sqlite":
        yield databases.empty_sqlite(tmp_path)
    else:
        with databases.empty_postgresql() as url:
            yield url
