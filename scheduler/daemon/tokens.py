"""Accounts' tokens, read anew all the time; a file that does not answer keeps a thread only."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import structlog

from scheduler.config import SecretReference
from scheduler.config.secrets import SecretKind
from scheduler.daemon.loose_threads import LooseThreads
from scheduler.domain.errors import ConfigError

log = structlog.get_logger()

_PATIENCE_SECONDS: Final = 0.25


@dataclass(slots=True)
class Tokens:
    """
    Reads tokens, or what *read_one* reads; while a file does not answer, its last good one serves.
    """

    environ: Mapping[str, str]
    fresh_seconds: float = 1.0
    read_one: Callable[[SecretReference, Mapping[str, str]], str] = lambda reference, environ: (
        reference.read_token(environ)
    )
    _good: dict[SecretReference, tuple[float, str]] = field(default_factory=dict)
    _asked: dict[SecretReference, Future[str]] = field(default_factory=dict)
    _threads: LooseThreads = field(default_factory=LooseThreads)

    def read(self, reference: SecretReference) -> str:
        """Return the token, at most a second old; raises ConfigError where it cannot be read."""
        read_at, token = self._good.get(reference, (0.0, ""))
        if token and monotonic() - read_at < self.fresh_seconds:
            return token
        if reference.kind is SecretKind.ENV:
            return self._keep(reference, self.read_one(reference, self.environ))
        return self._ask(reference, token)

    def _ask(self, reference: SecretReference, last: str) -> str:
        asked = self._asked.get(reference)
        patience = _PATIENCE_SECONDS if asked is None else 0.0
        if asked is None:
            asked = self._threads.submit(self.read_one, reference, self.environ)
            self._asked[reference] = asked
        try:
            token = asked.result(patience)
        except NoAnswer:
            if patience:
                log.warning("token_file_does_not_answer", token=None, reference=str(reference))
            if last:
                return last
            raise ConfigError(
                str(reference), ["the file does not answer: is what it lies on mounted?"]
            ) from None
        except BaseException:
            del self._asked[reference]
            raise
        del self._asked[reference]
        return self._keep(reference, token)

    def _keep(self, reference: SecretReference, token: str) -> str:
        self._good[reference] = monotonic(), token
        return token
