"""Removing much: the entries of an unmounted engine, the tokens below a prefix, in slices with other requests between.

What must go is written down first, so that a server that ends in the middle goes on after its next unseal.
"""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from strongroom.errors import Error
from strongroom.kms.domain.entries import Work

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

MARKERS = "core/removing/"
ENTRIES, TOKENS = 2000, 200  # removed as one batch: some 20 ms of the event loop


class Doomed(msgspec.Struct):
    """What goes: entries below one prefix, tokens whose leases lie below another ("" for none)."""

    entries: str
    leases: str


class Removal:
    """The removals of an unsealed server."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._running: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def small(self, doomed: Doomed) -> bool:
        """Say whether one batch removes it all."""
        store = self._core.store
        return not any(
            prefix and len(store.keys(prefix, "", limit + 1)) > limit
            for prefix, limit in ((doomed.entries, ENTRIES), (doomed.leases, TOKENS))
        )

    def at_once(self, work: Work, doomed: Doomed) -> None:
        """Remove all of it as a part of a request's batch."""
        for key in work.walk(doomed.entries) if doomed.entries else ():
            work.delete(key, erase=True)
        for key in work.walk(doomed.leases) if doomed.leases else ():
            self._core.live.tokens.revoke(work, key.rpartition("/")[2])

    async def in_slices(self, work: Work, name: str, doomed: Doomed) -> None:
        """Commit work with a note of what goes, and return once it has gone; name tells removals apart."""
        marker = MARKERS + name
        work.store(marker, doomed)
        self._running.add(marker)
        try:
            ticket = work.commit()
            if ticket is not None:
                await ticket.wait()
            await self._run(marker, doomed)
        finally:
            self._running.discard(marker)

    def resume(self, work: Work) -> None:
        """Go on with what another run of the server, or a request that ended early, left behind."""
        for marker in self._core.store.keys(MARKERS, "", 8):
            if marker not in self._running and work.get(marker) is not None:
                self._running.add(marker)
                task = asyncio.get_running_loop().create_task(self._again(marker, work.load(marker, Doomed)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _again(self, marker: str, doomed: Doomed) -> None:
        try:
            await self._run(marker, doomed)
        except Error as error:
            self._core.warn(f"removing what was unmounted: {error}")
        finally:
            self._running.discard(marker)

    async def _run(self, marker: str, doomed: Doomed) -> None:
        core, store = self._core, self._core.store
        live = core.unsealed
        while live is not None and core.working() is live:
            work = core.work()
            keys = store.keys(doomed.entries, "", ENTRIES) if doomed.entries else []
            leases = store.keys(doomed.leases, "", TOKENS) if doomed.leases else []
            for key in keys:
                work.delete(key)
            for key in leases:
                live.tokens.revoke(work, key.rpartition("/")[2])
                work.delete(key)  # also where its token is gone
            if not keys and not leases:
                work.delete(marker, erase=True)  # the log that still has them is cut off with it
            ticket = work.commit()
            if ticket is not None:
                await ticket.wait()
            if not keys and not leases:
                return
