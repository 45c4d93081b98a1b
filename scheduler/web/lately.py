"""Answers that many ask for at once: read once a second, however many they are."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

_SECONDS: Final = 1.0
_MOST_KEPT: Final = 32


@dataclass(slots=True)
class Lately:
    """
    What was read within the last second, for whoever asks the same.

    Nobody who has changed something here sees what was before: `forget` is called then.
    """

    _kept: "OrderedDict[Hashable, tuple[float, asyncio.Future[Any]]]" = field(
        default_factory=OrderedDict
    )

    async def ask(self, key: Hashable, read: Callable[[], Awaitable[Any]]) -> Any:
        """Return what *read* does, or did a moment ago; of several at once one reads for all."""
        until, reading = self._kept.get(key, (0.0, None))
        if reading is None or time.monotonic() > until or _has_failed(reading):
            reading = asyncio.ensure_future(read())
            reading.add_done_callback(_has_failed)  # an error is told by whoever waits, if any does
            self._kept[key] = (time.monotonic() + _SECONDS, reading)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return await asyncio.shield(reading)

    def forget(self) -> None:
        """Read anew from here on."""
        self._kept.clear()


def _has_failed(reading: "asyncio.Future[Any]") -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
