"""Threads that take work from a bounded queue: daemons, so that Ctrl-C ends the program at once."""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Crew(Generic[T]):
    """`count` threads doing `work`. The first exception that work lets out stops everything and is raised by finish."""

    def __init__(self, count: int, work: Callable[[T], None]) -> None:
        self._queue: queue.Queue[T | None] = queue.Queue(maxsize=count * 4)
        self._work, self._count = work, count
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None
        self.stopping = threading.Event()

    def feed(self, item: T) -> bool:
        """Hand one item over, waiting for room; return False once the crew is stopping."""
        if self.stopping.is_set():
            return False
        if len(self._threads) < self._count:
            thread = threading.Thread(target=self._loop, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queue.put(item)
        return True

    def _loop(self) -> None:
        while (item := self._queue.get()) is not None:
            if self.stopping.is_set():
                continue
            try:
                self._work(item)
            except BaseException as error:  # handed to finish(), which raises it in the thread that waits
                self._failure = self._failure or error
                self.stopping.set()

    def finish(self) -> None:
        """Wait until all is done; raise what stopped the crew."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Start no further item (Ctrl-C)."""
        self.stopping.set()


def each(count: int, work: Callable[[T], None], items: Iterable[T]) -> None:
    """Do work for every item on up to count threads; raise the first failure."""
    crew = Crew(count, work)
    try:
        for item in items:
            if not crew.feed(item):
                break
    except BaseException:
        crew.stop()
        raise
    crew.finish()
