"""What a process keeps in memory, kept in step with what others have stored (settled.md, store)."""

import asyncio
from collections.abc import Awaitable, Callable


class Following:
    """Compares the store's counter of changes on every request; when it has moved, looks again before going on.

    Whoever changes something raises the counter before its answer: no later request, in any process, sees the old.
    """

    def __init__(self, changes: Callable[[], int], *followers: Callable[[], Awaitable[None]]) -> None:
        self._changes = changes
        self._followers = followers
        self._seen = -1
        self._looking = asyncio.Lock()

    @property
    def stale(self) -> bool:
        """Whether something has changed since the last look."""
        return self._seen != self._changes()

    async def catch_up(self) -> None:
        """Look at everything again; raise what the store and the key service raise, and be stale still."""
        async with self._looking:
            now = self._changes()
            if now == self._seen:
                return
            for follow in self._followers:
                await follow()
            self._seen = now
