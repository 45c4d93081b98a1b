"""
Questions of a client that are passed on to the upstream: only these, each by a template.

Who answers clients holds no token of the upstream: it hands them to the daemon, as lines of JSON.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode


class RelayCall(StrEnum):
    """What can be passed on (DCA, 2)."""

    DATASET = "dataset"
    LOG = "log"
    JOBS = "jobs"
    ERRORS = "hp_errors"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RERUN = "rerun"


VERBS: Final = (RelayCall.CANCEL, RelayCall.PAUSE, RelayCall.RESUME, RelayCall.RERUN)
"""Those that change something upstream."""


RERUN_FAILED: Final = b'{"failed_only":1}'
"""The body of a rerun of the inputs that failed; of all, it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayQuestion:
    """One question to an *account*'s upstream about *subject*, a collection or a collector's id."""

    call: RelayCall
    account: str
    subject: str
    params: tuple[tuple[str, str], ...] = ()
    failed_only: bool = False
    by: str = ""
    """Who asks."""

    @property
    def method(self) -> str:
        """Return the method of HTTP."""
        return "POST" if self.call in VERBS else "GET"

    @property
    def path(self) -> str:
        """Return path and query, with nothing in them but by the template."""
        if self.call is RelayCall.DATASET:
            return f"/dca/dataset?{urlencode({'id': self.subject}, quote_via=quote)}"
        if self.call is RelayCall.JOBS:
            asked = (("collector", self.subject), *self.params)
            return f"/dca/collector/jobs?{urlencode(asked, quote_via=quote)}"
        name = quote(self.subject, safe="")
        return f"/dca/log/{name}" if self.call is RelayCall.LOG else f"/dca/jobs/{name}/{self.call}"

    def line(self) -> bytes:
        """Write it as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "RelayQuestion":
        """Read what `line` wrote; raises ValueError, KeyError or TypeError for anything else."""
        said = json.loads(line)
        params = tuple((str(name), str(value)) for name, value in said.pop("params"))
        return cls(**{**said, "call": RelayCall(said["call"]), "params": params})


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayHead:
    """
    How a question was answered: with the upstream's *status*, or with ours and why in *error*.

    What follows is JSON, or plain text: the upstream's own kind is not believed.
    """

    status: int
    is_json: bool = False
    error: str | None = None
    retry_after: int | None = None
    run_id: int | None = None
    """The run that follows what a rerun made."""

    def line(self) -> bytes:
        """Write it as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "RelayHead":
        """Read what `line` wrote."""
        return cls(**json.loads(line))
