"""docs/extending.md does what it says: each list of steps, carried out in a copy."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
COPIED = (
    *("scheduler", "migrations", "tests", "docs", "inputs", "systemd", "monitoring"),
    *("pyproject.toml", "alembic.ini", "config.example.toml"),
)
STEP = re.compile(
    r"`(?P<file>[\w./]+)`, (?:above (?P<tick>`+) ?(?P<above>.+?) ?(?P=tick)|new):\n\n"
    r" {3}```\w+\n(?P<block>.*?\n) {3}```\n",
    re.DOTALL,
)
CONFIG = """
[database]
url = "sqlite:///x.db"
[accounts.main]
token = { env = "T" }
[collectors.shop]
id = "c_1"
[batches.pages]
inputs = [{ url = "https://example.com/" }]
[schedules.nightly]
collector = "shop"
batch = "pages"
cron = "0 2 * * *"
"""


class Step(NamedTuple):
    """A block of text, and where it goes; in a new file if above nothing."""

    file: str
    above: str | None
    block: str


def steps(section: str) -> list[Step]:
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (text,) = (part for part in page.split("\n## ") if part.startswith(section))
    found = [
        Step(match["file"], match["above"], re.sub(r"^ {3}", "", match["block"], flags=re.M))
        for match in STEP.finditer(text)
    ]
    assert len(found) == len(re.findall(r"^\d+\. ", text, re.MULTILINE))
    return found


class Copy:
    """A copy of the repository that lists of steps were carried out in."""

    def __init__(self, folder: Path, *sections: str) -> None:
        self.folder = folder
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        (folder / "site").mkdir()
        (folder / "site" / "config.toml").write_text(CONFIG)
        newest = self.python("-c", HEAD).strip()
        for section in sections:
            for step in steps(section):
                self._carry_out(step, newest)

    def _carry_out(self, step: Step, newest: str) -> None:
        file = self.folder / step.file
        block = step.block.replace('"HEAD"', f'"{newest}"')
        if step.above is None:
            assert not file.exists()
            file.write_text(block, encoding="utf-8")
            return
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        index = next(number for number, line in enumerate(lines) if step.above in line)
        file.write_text("".join((*lines[:index], block, *lines[index:])), encoding="utf-8")

    def python(self, *words: str) -> str:
        environ = {name: value for name, value in os.environ.items() if "SCHEDULER" not in name}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environ | {"PYTHONPATH": str(self.folder), "T": "token"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def command(self, *words: str) -> str:
        return self.python("-m", "scheduler", *words, "-c", "site/config.toml")

    def tests(self, *words: str) -> None:
        self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not postgresql", *words)


HEAD = (
    "from alembic.script import ScriptDirectory;"
    "print(ScriptDirectory('migrations').get_current_head())"
)
SEE_AT_WORK = """
from tests.web.rig import Served


def test_it_is_shown(server_on_sqlite: Served) -> None:
    page = server_on_sqlite.get("/at-work", headers={"Accept": "text/html"}).text
    data = server_on_sqlite.get("/at-work.json").json()

    assert "Nothing is at work." in page
    assert 'href="/at-work"' in page
    assert data == {"items": [], "next": None}
"""
ASK_AT_WORK = """
from tests.web.rig import Served


def test_it_is_answered(server_on_sqlite: Served) -> None:
    assert server_on_sqlite.get("/api/v1/at-work").json() == {"items": [], "next": None}
    assert server_on_sqlite.get("/api/v1/at-work", None).status_code == 401
"""
TAKEN_WITH_423 = """
from tests.make import NINE
from datetime import timedelta
from scheduler.domain.reply import Deferral, Deferred
from scheduler.domain.transition import after_reply
reply = Deferred(deferral=Deferral.LOCKED, detail="423")
change = after_reply(reply, now=NINE, first_lookup=timedelta(0))
print(change.state, change.reason)
"""


def test_a_key_of_a_schedule_is_added_in_these_steps(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "A key of a schedule")

    with (tmp_path / "site" / "config.toml").open("a") as config:
        config.write('contact = "ops@example.com"\n')
    copy.command("db", "upgrade")
    copy.command("apply", "--yes")

    assert 'contact = "ops@example.com"' in copy.command("export", "--bare")
    assert '"contact": "ops@example.com"' in copy.command("schedules", "list", "--json")
    assert '"contact"' in copy.command("config", "check", "--schema")
    copy.tests("tests/storage/test_database_page.py", "tests/config/test_example.py")


def test_a_command_is_added_in_these_steps(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "A command")

    copy.command("db", "upgrade")

    assert copy.command("at-work", "--json") == '{\n  "items": [],\n  "next": null\n}\n'
    assert "at-work" in copy.python("-m", "scheduler", "--help")


def test_an_endpoint_is_added_in_these_steps(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "A command", "An endpoint")

    (tmp_path / "tests" / "web" / "test_at_work.py").write_text(ASK_AT_WORK)
    copy.tests("tests/web/test_at_work.py")


def test_a_page_is_added_in_these_steps(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "A command", "An endpoint", "A page")

    (tmp_path / "tests" / "web" / "test_at_work_page.py").write_text(SEE_AT_WORK)
    copy.tests("tests/web/test_at_work_page.py")


def test_an_answer_with_a_reason_is_added_in_these_steps(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "An answer of the upstream")

    assert copy.python("-c", TAKEN_WITH_423) == "queued locked\n"
    copy.tests("tests/migrations/test_head.py::test_the_newest_schema_is_what_the_tables_say")


@pytest.mark.parametrize("module", ["scheduler.engine.ended", "scheduler.daemon.wiring"])
def test_a_consumer_is_added_in_these_steps(tmp_path: Path, module: str) -> None:
    copy = Copy(tmp_path, "A consumer")

    assert copy.python("-c", f"import {module}; print({module}.note_failures.__name__)") == (
        "note_failures\n"
    )
