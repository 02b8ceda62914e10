"""A thread that takes all waiting batches into one transaction (architecture.md, decision 4)."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence

from strongroom.kms.domain.ports import Done, Write

GROUP = 512  # batches in one transaction at most
Batches = list[Sequence[Write]]
_Item = tuple[Sequence[Write], Done, asyncio.AbstractEventLoop]


class Committer:
    """Collects batches; commit(batches) runs in its thread and returns None, or why nothing was stored."""

    def __init__(self, commit: Callable[[Batches], BaseException | None], name: str) -> None:
        self._commit = commit
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, writes: Sequence[Write], done: Done) -> None:
        """Queue one batch; done is called in the caller's event loop."""
        self._queue.put((writes, done, asyncio.get_running_loop()))

    def close(self) -> None:
        """Commit what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            group: list[_Item] = []
            while item is not None:
                group.append(item)
                if len(group) == GROUP:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if group:
                error = self._commit([writes for writes, _, _ in group])
                _report([(done, loop) for _, done, loop in group], error)
            if item is None:
                return


def _report(waiting: list[tuple[Done, asyncio.AbstractEventLoop]], error: BaseException | None) -> None:
    """Call every done in its loop, one wake-up per loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Done]] = {}
    for done, loop in waiting:
        by_loop.setdefault(loop, []).append(done)
    for loop, calls in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_call_all, calls, error)


def _call_all(calls: list[Done], error: BaseException | None) -> None:
    for call in calls:
        call(error)
