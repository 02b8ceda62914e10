"""Group commit: a thread takes all waiting writes of a bucket into one transaction and one fsync.

Measured (architecture.md 4): with 16 writers 15-20 k commits/s, with one 3.4 k/s. The event loop is woken once per
group, not once per write.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import apsw

from strongroom.errors import Error, Unavailable
from strongroom.s3.domain.ports import DiskFull, StoreClosed
from strongroom.s3.storage.gathering import Gatherer, Job
from strongroom.s3.storage.transaction import Known, Transaction
from strongroom.s3.storage.turns import Turns

GROUP = 256  # writes in one transaction
GROUP_BYTES = 8 * 1024 * 1024  # of inline bodies in one transaction: bounds how long a turn is held
IDLE_SECONDS = 10.0  # a thread without work ends


@dataclass(slots=True)
class Figures:
    """What a committer has done, for metrics. Seconds are sums."""

    groups: int = 0
    writes: int = 0
    failed: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@dataclass(slots=True)
class Hooks:
    """What the committer tells its bucket, from its own thread."""

    unlink: Callable[[list[str]], None]
    committed: Callable[[], None]
    figures: Figures = field(default_factory=Figures)


class Committer:
    """The writing side of one bucket's database. submit() may be called from any thread."""

    def __init__(
        self, connection: apsw.Connection, turns: Turns, loop: asyncio.AbstractEventLoop, hooks: Hooks, name: str
    ) -> None:
        self.closed: str = ""  # why writing has stopped for good
        self.known = Known()
        self.figures = hooks.figures
        self._connection = connection
        self._turns = turns
        self._loop = loop
        self._hooks = hooks
        self._name = name
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._gatherer = Gatherer(loop, self._hand_over)
        self._state = threading.Lock()
        self._running = False
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Queue a write."""
        self._queue.put(job)
        if not self._running:
            self._start()

    def submit_soon(self, job: Job) -> None:
        """Queue a write, from the event loop, together with others that come about now."""
        self._gatherer.add(job)

    def _hand_over(self, jobs: list[Job]) -> None:
        for job in jobs:
            self._queue.put(job)
        if not self._running:
            self._start()

    def _start(self) -> None:
        with self._state:
            if not self._running:
                self._running = True
                self._thread = threading.Thread(target=self._run, name=f"commit {self._name}", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Finish what is queued and end the thread. Blocks."""
        self._queue.put(None)
        thread = self._thread
        if thread is not None:
            thread.join()

    @property
    def idle(self) -> bool:
        """No thread is running and nothing waits."""
        return not self._running and self._queue.empty() and not self._gatherer

    def _run(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=IDLE_SECONDS)
            except Empty:
                if self._retire():
                    return
                continue
            group = self._gather(first)
            if group:
                self._commit(group)
            elif self._retire():
                return

    def _retire(self) -> bool:
        """End the thread unless work has come meanwhile: submit() looks at _running only after it has queued."""
        with self._state:
            self._running = False
            if self._queue.empty():
                return True
            self._running = True
            return False

    def _gather(self, first: Job | None) -> list[Job]:
        """Take what waits, up to a group; None is a request to stop."""
        if first is None:
            return []
        group = [first]
        cost = first.cost
        try:
            while len(group) < GROUP and cost < GROUP_BYTES:
                job = self._queue.get_nowait()
                if job is None:
                    self._queue.put(None)
                    break
                group.append(job)
                cost += job.cost
        except Empty:
            pass  # the group is complete
        return group

    def _commit(self, group: list[Job]) -> None:
        started = time.perf_counter()
        unlink: list[str] = []
        try:
            if self.closed:
                raise StoreClosed(self.closed)
            with self._turns:
                unlink = self._transact(group)
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._fail(group, self._judge(error))
        self._count(group, time.perf_counter() - started)
        self._loop.call_soon_threadsafe(self._settle, group)
        if unlink:
            self._hooks.unlink(unlink)
        self._hooks.committed()

    def _transact(self, group: list[Job]) -> list[str]:
        """Run a group in one transaction; when one write breaks in the middle, each in its own. Return dead files."""
        try:
            return self._once(group)
        except Error:
            raise
        except Exception as error:
            self._roll_back()
            judged = self._judge(error)
            if len(group) == 1 or self.closed:
                self._fail(group, judged)
                return []
        unlink: list[str] = []
        for job in group:
            unlink += self._transact([job])
        return unlink

    def _once(self, group: list[Job]) -> list[str]:
        """One transaction. Refusals (our own errors) come before a write changed anything: only its job fails."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            tx = Transaction(self._connection, self.known)
            for job in group:
                try:
                    assert job.apply is not None
                    job.result = job.apply(tx)
                    job.error = None
                except Error as error:
                    job.error = error
            tx.save()
        except BaseException:
            self._roll_back()
            raise
        execute("COMMIT")
        return tx.unlink

    def _roll_back(self) -> None:
        self.known.revision = 0
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _judge(self, error: Exception) -> Exception:
        """Say what an error means. A failed write or fsync leaves it unknown what the disk has: stop."""
        if isinstance(error, OSError):
            return Unavailable(f"{self._name}: {error}")
        if not isinstance(error, apsw.Error):
            return error  # ours, or from a caller's check or change
        if isinstance(error, apsw.FullError):
            return DiskFull(str(error))
        if isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError | apsw.ReadOnlyError):
            self.closed = f"{self._name}: {error}"
            return StoreClosed(self.closed)
        return Unavailable(f"{self._name}: {error}")

    @staticmethod
    def _fail(group: list[Job], error: Exception) -> None:
        for job in group:
            job.result, job.error = None, error

    def _count(self, group: list[Job], seconds: float) -> None:
        figures = self.figures
        figures.groups += 1
        figures.writes += len(group)
        figures.failed += sum(job.error is not None for job in group)
        figures.seconds += seconds
        figures.longest = max(figures.longest, seconds)

    def _settle(self, group: list[Job]) -> None:
        self._gatherer.committed()
        for job in group:
            job.settle(job.result, job.error)
