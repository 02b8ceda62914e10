"""Writes an audit log: lines reach the file (`write`) before the answer they belong to, the disk within 100 ms.

A SIGKILL loses no line; a power cut at most those of the last 100 ms. The chain goes on over restarts and rotations.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from strongroom.audit.chain import Chain, split
from strongroom.audit.sinks import FileSink, Sink, StreamSink
from strongroom.errors import BadSettings, Tampered, Unavailable

__all__ = ["AuditLog", "FileSink", "Sink", "StreamSink"]

SYNC_SECONDS = 0.1
Line = tuple[Callable[..., str], tuple[Any, ...]]  # what makes a line's members, and of what


class Batch:
    """The lines of one turn of the event loop. `settle` is for answers to call before they leave."""

    __slots__ = ("_error", "_log", "waiting")

    def __init__(self, log: "AuditLog") -> None:
        self._log = log
        self._error: Unavailable | None = None
        self.waiting: list[Line] = []

    def settle(self) -> None:
        """Write the lines, once; raise Unavailable, every time, when they could not be written."""
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            try:
                self._log.write_batch(waiting)
            except Unavailable:  # the operator has been told why; clients need not know
                self._error = Unavailable("failed to write audit log")
        if self._error is not None:
            raise self._error


class AuditLog:
    """Takes one line per event. Not thread-safe, except that the syncing happens in a thread of its own."""

    def __init__(
        self, sink: Sink | None, *, key: bytes = b"", refuse_when_full: bool = True, warn: Callable[[str], None] = print
    ) -> None:
        """sink None keeps no log, but subscribers get the events. key seals checkpoints.

        While the sink cannot write, or cannot make durable what it wrote, refuse_when_full makes `add` raise
        Unavailable. Otherwise a line that was not written is counted as lost, and the next one that can be written says
        how many were.
        """
        self.lines = self.lost = 0
        self._gap = 0  # lines lost since the last one that was written
        self._sink, self._refuse, self._warn = sink, refuse_when_full, warn
        self._chain = Chain(*_resume(sink), key=key)
        self._subscribers: list[Callable[[bytes], None]] = []
        self._dirty, self._stop = threading.Event(), threading.Event()
        self._unsynced = ""  # why the disk does not take what was written; set by the thread that syncs
        self._sealed = 0  # lines at the last checkpoint
        self._batch = Batch(self)
        self.failing = False  # the last write failed: until one succeeds, lines are written one by one
        self.active = sink is not None
        self._thread: threading.Thread | None = None
        if sink is not None:
            self._thread = threading.Thread(target=self._sync_forever, name="audit-sync", daemon=True)
            self._thread.start()

    @property
    def subscribed(self) -> bool:
        """Whether anybody listens to the stream."""
        return bool(self._subscribers)

    @property
    def head(self) -> str:
        """The chain value after the last line, hexadecimal: what `verify --head` compares with."""
        self.settle()
        return self._chain.head.hex()

    def add(self, members: str) -> None:
        """Write one event now; members is the text of a JSON object without its closing brace."""
        self.settle()
        self._write([members])

    def later(self, make: Callable[..., str], *of: Any) -> Callable[[], None]:
        """Write `make(*of)`, the members of an event, with others of this turn; return what an answer calls first.

        Made and written together, lines cost half: the code that makes them stays in the processor's caches.
        """
        batch = self._batch
        if not batch.waiting:
            batch = self._batch = Batch(self)
        batch.waiting.append((make, of))
        return batch.settle

    def write_batch(self, lines: list[Line]) -> None:
        """Write the lines of a turn; raise Unavailable as `add` does."""
        try:
            self._write([make(*of) for make, of in lines])
        except Unavailable:
            raise
        except Exception as error:  # a fault of ours; it must not let answers leave that count on a line
            self._lose(len(lines), f"{type(error).__name__}: {error}", error)

    def settle(self) -> None:
        """Write what waits, so that lines keep their order; whose answers wait for it hear of a failure."""
        with contextlib.suppress(Unavailable):
            self._batch.settle()

    def _write(self, members: list[str]) -> None:
        if self._unsynced and self._refuse:
            self.failing = True
            raise Unavailable(f"audit log: lines are not on the disk: {self._unsynced}")
        if self._gap and not self._refuse:
            self._tell_gap()
        head, count = self._chain.head, self._chain.lines
        try:
            lines = [self._chain.line(one) for one in members]
        except UnicodeError:
            self._chain.head, self._chain.lines = head, count  # none of them will be written
            raise
        if self._sink is not None:
            try:
                self._sink.write(lines[0] if len(lines) == 1 else b"".join(lines))
            except OSError as error:
                self._failed(error, head, count, len(lines))
                return
            self.failing = False
            if not self._dirty.is_set():
                self._dirty.set()
        self.lines += len(lines)
        for subscriber in self._subscribers:
            for line in lines:
                subscriber(line)

    def _tell_gap(self) -> None:
        """Try to write how many lines are missing here."""
        assert self._sink is not None
        head, count = self._chain.head, self._chain.lines
        try:
            self._sink.write(self._chain.line(f'{{"event":"lost","lines":{self._gap}'))
        except OSError:
            self._chain.head, self._chain.lines = head, count  # the disk is still full: the next call tries again
            return
        self._gap = 0

    def checkpoint(self, time_text: str) -> None:
        """Add a checkpoint if lines came since the last one; time_text is RFC 3339. To be called once a second."""
        self.settle()
        if self.active and self.lines != self._sealed:
            self.add(self._chain.checkpoint(time_text))
            self._sealed = self.lines

    def subscribe(self, subscriber: Callable[[bytes], None]) -> Callable[[], None]:
        """Give every line from now on to subscriber too; call what is returned to end that."""
        self.settle()
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def take_subscribers(self, before: "AuditLog") -> None:
        """Give every line from now on to those who listen to the log that this one replaces, too."""
        before.settle()
        self._subscribers = before._subscribers

    def close(self) -> None:
        """Make everything durable and end."""
        self.settle()
        self._stop.set()
        self._dirty.set()
        if self._thread is not None:
            self._thread.join()
        if self._sink is not None:
            try:
                self._sink.close()
            except OSError as error:
                self._warn(f"audit log: {error.strerror}")

    def _failed(self, error: OSError, head: bytes, count: int, lost: int) -> None:
        self._chain.head, self._chain.lines = head, count  # the lines never were
        self.failing = True
        self._lose(lost, str(error.strerror), error)

    def _lose(self, lost: int, why: str, cause: Exception) -> None:
        self.lost += lost
        self._gap += lost
        self._warn(f"audit log: {why}")
        if self._refuse:
            raise Unavailable(f"audit log: {why}") from cause

    def _sync_forever(self) -> None:
        assert self._sink is not None
        while not self._stop.is_set():
            self._dirty.wait()
            self._dirty.clear()
            try:
                self._sink.sync()
            except OSError as error:
                if not self._unsynced:
                    self._warn(f"audit log: lines are not on the disk: {error.strerror}")
                self._unsynced = str(error.strerror)
                self._dirty.set()
            else:
                self._unsynced = ""
            self._stop.wait(SYNC_SECONDS)


def _resume(sink: Sink | None) -> tuple[bytes, int]:
    """Return chain value and count of the log so far."""
    last = sink.last_line() if isinstance(sink, FileSink) else b""
    if not last:
        return bytes(32), 0
    try:
        body, chain = split(last, 0)
        sequence = int(body.rpartition(b'"seq":')[2])
        return bytes.fromhex(chain.decode()), sequence
    except (Tampered, ValueError) as error:
        raise BadSettings(f"the audit file's last line is no audit line ({error}); move the file away") from error
