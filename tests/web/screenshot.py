"""
The overview of a demo, as README shows it.

`python -m tests.web.screenshot docs/overview.png` makes it: a demo in a folder of its own, with its
month of runs and its sandbox, served without a sign-in to this machine's Chromium alone.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scheduler.cli.demo import daemon_environment
from scheduler.config import HttpSettings, load_config
from scheduler.storage.database import Database
from scheduler.web.site import Site
from tests.surfaces.rig import process_environment
from tests.web.rig import running

SIZE = (1200, 900)
_READY = "signs a browser in"
_SANDBOX = "http://127.0.0.1:1"


@contextmanager
def demo_in(folder: Path) -> Iterator[None]:
    """Run a demo within the block, from when it answers."""
    words = [sys.executable, "-P", "-m", "scheduler", "demo", "--folder", str(folder)]
    with subprocess.Popen(
        words, env=process_environment({}), stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        try:
            told = []
            for line in demo.stdout:
                told.append(line)
                if _READY in line:
                    break
            assert told and _READY in told[-1], "".join(told)
            yield
        finally:
            demo.terminate()
            demo.communicate(timeout=120)


@contextmanager
def open_to_read(folder: Path) -> Iterator[str]:
    """Serve a demo's database within the block to whoever is on this machine; give the address."""
    environ = daemon_environment({}, _SANDBOX)
    settings = {"listen": "127.0.0.1:0", "anonymous": "read", "requests_per_second": 1e5}
    with Database(f"sqlite:///{folder / 'dca-scheduler.db'}", by="http") as db:
        site = Site(
            db=db,
            loaded=load_config(folder / "config.toml", environ),
            settings=HttpSettings.model_validate(settings),
            environ=environ,
            wake=lambda: None,
        )
        with running(site) as url:
            yield url


def photograph(url: str, png: Path, *, size: tuple[int, int] = SIZE, seconds: int = 120) -> None:
    """Have Chromium load a page and keep what it shows."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                "chromium",
                *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                "--disable-background-networking",
                f"--user-data-dir={profile}",
                f"--window-size={size[0]},{size[1]}",
                f"--screenshot={png}",
                url,
            ],
            check=True,
            capture_output=True,
            timeout=seconds,
        )


def main(target: Path) -> None:
    """Take the picture of a demo's overview."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "demo"
        with demo_in(folder), open_to_read(folder) as url:
            photograph(f"{url}/overview", target.resolve())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
