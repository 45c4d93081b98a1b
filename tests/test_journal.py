"""What systemd's journal is told: each line's priority, and only where it reads along."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from scheduler.logs import configure_logging


@pytest.mark.parametrize(
    ("is_journal", "begins"), [(True, ["<6>{", "<4>{", "<3>{"]), (False, ["{", "{", "{"])]
)
def test_lines_for_the_journal_begin_with_their_priority(
    is_journal: bool, begins: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w+") as stream:
        stat = os.fstat(stream.fileno())
        inode = stat.st_ino if is_journal else stat.st_ino + 1
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{inode}")
        configure_logging("info", "auto", stream)
        log = structlog.get_logger()
        log.info("one")
        log.warning("two")
        log.error("three")
        configure_logging("critical")
        lines = (tmp_path / "log").read_text().splitlines()

    assert [line[: len(begin)] for line, begin in zip(lines, begins, strict=True)] == begins


def test_a_daemon_that_is_refused_tells_the_journal_that_it_is_an_error(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("nonsense = [")
    with (tmp_path / "journal").open("w+") as journal:
        stat = os.fstat(journal.fileno())
        done = subprocess.run(
            [sys.executable, "-m", "scheduler", "run", "--config", str(config)],
            env=os.environ | {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"},
            stderr=journal,
        )

    said = (tmp_path / "journal").read_text()
    assert done.returncode == 78
    assert said.startswith(f"<3>error: {config}: ")
