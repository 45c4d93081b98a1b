"""The peers' environment, and one run of each at the work of `triggers`."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from bench.bare import YARDSTICK, bare
from bench.figures import Figure
from bench.measures import Figures, Sizes
from bench.place import Databases
from bench.stub import running_stub

ROOT = Path(__file__).resolve().parent.parent
PINNED = ROOT / "bench" / "peers" / "requirements.txt"
PLACES = {"pgqueuer": "postgresql", "procrastinate": "postgresql", "huey": "sqlite"}


def peers(made: Databases, sizes: Sizes) -> Figures:
    """Peers at the same work: a stored job, the same POST, its outcome stored."""
    python = _environment()
    with running_stub() as stub:
        for name, kind in PLACES.items():
            rounds = []
            for _ in range(sizes.rounds):
                loop = bare(YARDSTICK, stub.url, sizes.triggers).rate
                with made.empty(kind) as database:
                    rounds.append((_run(python, name, database, stub.url, sizes.triggers), loop))
            values, loops = zip(*rounds, strict=True)
            yield Figure(name=f"{name}, {kind}", unit="1/s", values=values, against=loops)


def _environment() -> Path:
    """Return the Python of an environment that holds what is pinned; made once for each pinning."""
    mark = sha256(PINNED.read_bytes()).hexdigest()[:12]
    folder = ROOT / ".venv-peers" / mark
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(PINNED)]
        subprocess.run(install, check=True, stdout=sys.stderr)
        (folder / "made").touch()
    return python


def _run(python: Path, name: str, database: str, stub: str, number: int) -> float:
    words = [str(python), "-m", f"bench.peers.{name}", database, stub, str(number)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{name}: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    return float(json.loads(done.stdout.splitlines()[-1])["rate"])
