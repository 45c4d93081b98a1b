"""
Programs that some tests need and no Python package brings; each with its Debian package.

A test names one, `@pytest.mark.needs("promtool")`, and is left out where it is missing, with a line
at the end that says what to install. Where REQUIRED is set, as `.ci/run` sets it, it fails instead.
`python3 -m tests.programs` prints the packages that are missing, and needs nothing but Python.
"""

import os
import shutil
from collections.abc import Iterator

PACKAGES = {"chromium": "chromium", "promtool": "prometheus"}
REQUIRED = "SCHEDULER_TESTS_NEED_ALL"


def lacking(*programs: str) -> str | None:
    """Say what is missing of *programs*, and how it is brought here; None if nothing is."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return None
    packages = " ".join(sorted({PACKAGES[program] for program in missing}))
    install = f"apt-get install --no-install-recommends {packages}"
    return f"{', '.join(missing)} is not here ({install})"


def missing_packages() -> Iterator[str]:
    """Yield the packages of what is missing, each once."""
    missing = {package for program, package in PACKAGES.items() if not shutil.which(program)}
    yield from sorted(missing)


def must_be_there() -> bool:
    """Tell whether a test that lacks its program fails."""
    return bool(os.environ.get(REQUIRED))


if __name__ == "__main__":
    print(*missing_packages())
