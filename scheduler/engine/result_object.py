"""
The object of one result in an object store: uploaded in parts, named once, marked when it is whole.

The package obstore carries it, an extra; where and with which credentials is its environment's.
"""

import json
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from scheduler.domain.results import ResultPath
from scheduler.engine.result_file import MARKER, InTheWay
from scheduler.storage.results import STORE

_PIECE: Final = 8 * 1024 * 1024
_PARTS_AT_ONCE: Final = 2
_QUERY: Final = re.compile(r"\?[^\s\"')>]+")
_LONGEST_WORDS: Final = 400

NO_EXTRA: Final = "object stores need a package: pip install obstore"


class NoStore(Exception):
    """The object store cannot be used, and why; the words hold no query, which may be a secret."""


def has_extra() -> bool:
    """Tell whether the package of the extra is installed."""
    return find_spec("obstore") is not None


@dataclass(slots=True)
class ResultObject:
    """
    An object at *path*, of the run *run_id*; *attempt* is whose turn it is to write it.

    It is written to *spool* first, so that nothing of it is uploaded that is not whole and known
    by its checksum. Every method may wait for the disk or the store; raises OSError or NoStore.
    """

    spool: Path
    path: ResultPath
    run_id: int
    attempt: int
    _store: Any = None
    _upload: Any = field(default=None, repr=False)

    @property
    def host(self) -> str | None:
        """Return who may remove it: any daemon."""
        return STORE

    @property
    def place(self) -> str:
        """Return where it stands."""
        return str(self.path)

    @property
    def beside(self) -> Path:
        """Return where it is written before."""
        return self.spool / f".dca-scheduler-run-{self.run_id}-{self.attempt}.part"

    @property
    def _key(self) -> str:
        return str(self.path.path)

    def prepare(self) -> None:
        """Clear what died here before."""
        for left in self.spool.glob(f".dca-scheduler-run-{self.run_id}-*.part*"):
            left.unlink(missing_ok=True)

    def is_there(self, written: Mapping[str, Any]) -> bool:
        """
        Tell whether the object is there as it was *written*, or nothing is.

        Raises InTheWay where something else stands there.
        """
        found = self._look()
        if found is None:
            return False
        if written.get("sha256") and found == (written["byte_count"], written["sha256"]):
            return True
        raise InTheWay(f"{self.place} is there, and is not of run {self.run_id}")

    def upload(self, written: Mapping[str, Any]) -> None:
        """Upload what was written, in parts; nobody sees it before `publish`."""
        with _told(self.place) as obstore:
            self._upload = obstore.open_writer(
                self._opened(obstore),
                self._key,
                attributes={_CHECKSUM: str(written["sha256"])},
                buffer_size=_PIECE,
                max_concurrency=_PARTS_AT_ONCE,
            )
            with self.beside.open("rb") as file:
                while piece := file.read(_PIECE):
                    self._upload.write(piece)

    def publish(self, written: Mapping[str, Any]) -> None:
        """Have the store show the object: never in the place of another, as far as it can tell."""
        if self.is_there(written):
            return
        with _told(self.place):
            self._upload.close()
        self.beside.unlink(missing_ok=True)

    def mark(self, told: Mapping[str, Any]) -> None:
        """Write the marker, the last of all."""
        text = json.dumps(dict(told), ensure_ascii=False, indent=1) + "\n"
        with _told(self.place) as obstore:
            obstore.put(self._opened(obstore), f"{self._key}{MARKER}", text.encode())

    def abandon(self) -> None:
        """Take away what was written before."""
        with suppress(OSError):
            self.beside.unlink(missing_ok=True)

    def remove(self, written: Mapping[str, Any]) -> str | None:
        """Remove the object and its marker; return why not, where it is not as it was *written*."""
        found = self._look()
        if found is None:
            return f"{self.place} is not there any more"
        if found != (written["byte_count"], written["sha256"]):
            return f"{self.place} is not as it was written: it is left there"
        with _told(self.place) as obstore:
            obstore.delete(self._opened(obstore), [f"{self._key}{MARKER}", self._key])
        return None

    def _look(self) -> tuple[int, str | None] | None:
        """Return the size of what stands there, and the checksum that it was uploaded with."""
        with _told(self.place) as obstore:
            try:
                found = obstore.get(self._opened(obstore), self._key, options={"head": True})
            except FileNotFoundError:
                return None
            return found.meta["size"], found.attributes.get(_CHECKSUM)
        raise AssertionError("what is told is raised")

    def _opened(self, obstore: ModuleType) -> Any:
        if self._store is None:
            # What fails for longer is tried again by who saves it.
            few = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
            self._store = obstore.store.from_url(str(self.path.store), retry_config=few)
        return self._store


_CHECKSUM: Final = "sha256"


class _told:
    """Gives the package, and raises NoStore in place of what it raises."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> ModuleType:
        try:
            import obstore
            import obstore.store
        except ImportError:
            raise NoStore(NO_EXTRA) from None
        return obstore

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        is_of_disk = isinstance(error, OSError) and error.errno is not None
        if not _is_of_package(error) or is_of_disk or isinstance(error, InTheWay):
            return
        words = " ".join(str(error).partition("Debug source")[0].split())
        raise NoStore(f"{self._place}: {_QUERY.sub('?…', words)[:_LONGEST_WORDS]}") from None


def _is_of_package(error: BaseException | None) -> bool:
    """Tell whether something was raised: a panic of Rust, at an odd address, is no Exception."""
    return isinstance(error, Exception) or type(error).__module__ == "pyo3_runtime"


def spool_folder(folder: Path | None) -> Path:
    """Return where objects are written before: below *folder*, else where temporary files go."""
    return folder or Path(tempfile.gettempdir())
