"""What the tests of pages leave behind: nothing."""

from collections.abc import Iterator

import pytest

from tests.web.pages.rig import CLIENTS


@pytest.fixture(autouse=True)
def _closed_browsers() -> Iterator[None]:
    yield
    while CLIENTS:
        CLIENTS.pop().close()
