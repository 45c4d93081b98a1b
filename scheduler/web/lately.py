"""Answers that many ask for at once: read once for all of them, however many they are."""

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

    _coming: "dict[Hashable, asyncio.Future[Any]]" = field(default_factory=dict)
    _under_way: "dict[Hashable, asyncio.Future[Any]]" = field(default_factory=dict)

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

    async def together(self, key: Hashable, read: Callable[[], Awaitable[Any]]) -> Any:
        """
        Return what *read* does, begun after this was asked: nobody is told what was before.

        Who asks the same while one reads waits for the next, which reads for all who do.
        """
        coming = self._coming.get(key)
        if coming is None:
            coming = asyncio.ensure_future(self._read_after(self._under_way.get(key), key, read))
            coming.add_done_callback(_has_failed)
            self._coming[key] = coming
        return await asyncio.shield(coming)

    async def _read_after(
        self,
        before: "asyncio.Future[Any] | None",
        key: Hashable,
        read: Callable[[], Awaitable[Any]],
    ) -> Any:
        if before is not None:
            await asyncio.wait([before])
        self._under_way[key] = self._coming.pop(key)
        try:
            return await read()
        finally:
            del self._under_way[key]

    def forget(self) -> None:
        """Read anew from here on."""
        self._kept.clear()


def _has_failed(reading: "asyncio.Future[Any]") -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
