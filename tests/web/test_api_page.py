"""What docs/api.md shows is what happens."""

import re
import subprocess
from pathlib import Path

from scheduler.domain.access import Scope
from tests.web.rig import Served

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
DOCUMENT = """
[accounts.main]
token = { env = "DCA_API_TOKEN" }
[batches.more]
inputs = [{ url = "https://example.com/" }]
"""


def test_every_curl_of_the_page_is_answered(server_on_sqlite: Served, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(DOCUMENT)
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [line.removeprefix("$ ") for line in lines if "curl" in line]
    script = 'curl() { command curl --fail-with-body "$@"; }\n'
    environ = {
        "PATH": "/usr/bin:/bin",
        "URL": server_on_sqlite.url,
        "TOKEN": server_on_sqlite.tokens[Scope.ADMIN],
    }

    assert len(commands) > 10
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", script + command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
