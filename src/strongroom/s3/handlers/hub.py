"""Hands what happens now to whoever listens: traces and log lines of the admin API. Nobody listens: nothing is made."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
QUEUE = 1000  # items that a slow listener may lag behind; then it misses some
IDLE_SECONDS = 5.0  # until a listener hears that there is nothing


class Relay(Protocol):
    """The way to the server's other processes (s3/bus.py)."""

    @property
    def wanted(self) -> bool:
        """Whether another process wants items now."""

    def send(self, item: Any) -> None:
        """Give an item to the processes that want it."""

    def announce(self) -> None:
        """Tell the others that items are wanted here."""


class Hub(Generic[T]):
    """Items for any number of listeners of one event loop; the last `keep` of them are kept for those to come."""

    def __init__(self, keep: int = 0) -> None:
        self._kept: deque[T] = deque(maxlen=keep)
        self._listeners: set[asyncio.Queue[T]] = set()
        self.relay: Relay | None = None

    @property
    def heard(self) -> bool:
        """Whether anybody listens here."""
        return bool(self._listeners)

    @property
    def wanted(self) -> bool:
        """Whether it is worth making an item."""
        return self.heard or self._kept.maxlen != 0 or (self.relay is not None and self.relay.wanted)

    def put(self, item: T) -> None:
        """Give an item to every listener, in other processes too."""
        self.take(item)
        if self.relay is not None and self.relay.wanted:
            self.relay.send(item)

    def take(self, item: T) -> None:
        """Give an item to the listeners of this process."""
        self._kept.append(item)
        for queue in self._listeners:
            if not queue.full():
                queue.put_nowait(item)

    async def listen(self, last: int = 0) -> AsyncIterator[T | None]:
        """Yield the last items that are kept, then new ones, for ever; None when there was none for a while."""
        queue: asyncio.Queue[T] = asyncio.Queue(QUEUE)
        self._listeners.add(queue)
        if self.relay is not None:
            self.relay.announce()
        try:
            for item in list(self._kept)[-last:] if last else []:
                yield item
            while True:
                try:
                    async with asyncio.timeout(IDLE_SECONDS):
                        item = await queue.get()
                except TimeoutError:
                    yield None
                else:
                    yield item
        finally:
            self._listeners.discard(queue)
