"""Which writes become one group: those of several turns of the event loop, until no more are on their way.

Handing each over at once would wake the committer's thread for the first of them, and both would then wait for the
interpreter. Handing them over turn by turn makes small groups that follow one another, of a third of the writers each.
So they are held while a group is being committed, and a moment longer: its answers leave, and their clients' next
writes come. 16 writers of 4 KiB, one core: groups of 16 instead of 5, and a fifth more writes (s3-hot-path.md).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from strongroom.s3.storage.transaction import Transaction

TURNS: Final = 4  # of the event loop, after a commit: its answers leave in the second, the next writes follow
PATIENCE: Final = 0.001  # seconds; a busy loop may need as long for one turn
Apply: TypeAlias = Callable[[Transaction], Any]


@dataclass(slots=True, eq=False)
class Job:
    """A write on its way: apply runs in the transaction, settle(result, error) in the event loop.

    prepare  makes apply, in the event loop, behind or before those of the group's other writes
    """

    apply: Apply | None
    settle: Callable[[Any, BaseException | None], None]
    cost: int = 0  # bytes of inline body
    result: Any = None
    error: BaseException | None = None
    prepare: Callable[[], Apply] | None = None


class Gatherer:
    """Holds writes back for the committer. Everything happens in the event loop."""

    __slots__ = ("_busy", "_hand_over", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, hand_over: Callable[[list[Job]], None]) -> None:
        self._loop = loop
        self._hand_over = hand_over
        self._waiting: list[Job] = []
        self._busy = False  # a group of ours is being committed

    def __bool__(self) -> bool:
        """Whether writes wait."""
        return bool(self._waiting)

    def add(self, job: Job) -> None:
        """Take a write."""
        if not self._waiting and not self._busy:
            self._begin(0)
        self._waiting.append(job)

    def committed(self) -> None:
        """A group has been committed; its writers have not been told yet."""
        self._busy = False
        if self._waiting:
            self._begin(TURNS)

    def _begin(self, turns: int) -> None:
        self._loop.call_soon(self._look, turns, 0, time.monotonic() + PATIENCE)

    def _look(self, turns: int, before: int, until: float) -> None:
        """Go on waiting when turns are left or the last one brought more, but not for ever."""
        count = len(self._waiting)
        if (turns > 0 or count > before) and time.monotonic() < until:
            self._loop.call_soon(self._look, turns - 1, count, until)
        elif ready := self._prepared():
            self._busy = True
            self._hand_over(ready)

    def _prepared(self) -> list[Job]:
        jobs, self._waiting = self._waiting, []
        ready = []
        for job in jobs:
            try:
                if job.prepare is not None:
                    job.apply, job.prepare = job.prepare(), None
            except Exception as error:
                job.settle(None, error)
            else:
                ready.append(job)
        return ready
