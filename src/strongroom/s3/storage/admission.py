"""How many writes of a bucket may be on their way at once; more wait outside, so that memory stays bounded."""

import asyncio
from collections import deque

from strongroom.s3.storage.staging import INLINE

WRITES = 4096  # writes on their way in one bucket
BYTES = 64 * 1024 * 1024  # of inline bodies


class Admission:
    """Counts writes in and out. Everything happens in the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.pending = 0  # writes on their way
        self._loop = loop
        self._bytes = 0
        self._outside: deque[asyncio.Future[None]] = deque()

    async def enter(self, cost: int) -> None:
        """Count a write of so many inline bytes in; wait while too much is on its way."""
        while self.pending >= WRITES or self._bytes + cost > BYTES:
            turn: asyncio.Future[None] = self._loop.create_future()
            self._outside.append(turn)
            await turn
        self.pending += 1
        self._bytes += cost

    def leave(self, cost: int) -> None:
        """Count a write out, and wake who waits, as far as there is room for a largest body each."""
        self.pending -= 1
        self._bytes -= cost
        room = min(WRITES - self.pending, (BYTES - self._bytes) // INLINE) if self._outside else 0
        while room > 0 and self._outside:
            turn = self._outside.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1
