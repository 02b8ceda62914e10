"""The answers of one turn of the event loop, sent together at its end.

Sent one by one, each wakes a client that sleeps, and waking another core costs more than the sending (12 of 70 us of a
data-key request, docs/decisions/kes-hot-path.md). Sent together, the first wakes it and the others find it awake.
"""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .outlet import Outlet


class Turn:
    """Collects the outlets that hold answers, and flushes them when the loop has served all that was ready."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Outlet] = []

    def add(self, outlet: "Outlet") -> None:
        """Flush outlet at the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(outlet)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for outlet in waiting:
            outlet.flush()
