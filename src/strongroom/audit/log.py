"""Writes an audit log: lines reach the file (`write`) before the answer they belong to, the disk within 100 ms.

A SIGKILL loses no line; a power cut at most those of the last 100 ms. The chain goes on over restarts and rotations.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from strongroom.audit.chain import Chain, split
from strongroom.errors import BadSettings, Tampered, Unavailable

SYNC_SECONDS = 0.1
_LAST = 1 << 20  # bytes at the end of a file in which its last line is looked for


class Sink(Protocol):
    """Where lines go."""

    def write(self, data: bytes) -> None:
        """Take whole lines; raise OSError when they cannot be written."""

    def sync(self) -> None:
        """Make what was written durable."""

    def close(self) -> None:
        """Write no more."""


class StreamSink:
    """Standard output, or any open descriptor that is not ours."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """See Sink."""
        if self._descriptor == 1:
            sys.stdout.flush()
        _write_all(self._descriptor, data)

    def sync(self) -> None:
        """Nothing: a pipe is as durable as its reader."""

    def close(self) -> None:
        """Leave it open."""


class FileSink:
    """A file of mode 0600, renamed to `<path>.<UTC time>` when it passes a size; keep is how many old ones stay."""

    def __init__(self, path: str | Path, *, rotate_bytes: int = 0, keep: int = 0) -> None:
        """rotate_bytes 0 means never; keep 0 means all. Raises BadSettings."""
        self.path = Path(path)
        self._rotate_bytes, self._keep = rotate_bytes, keep
        self._full: list[int] = []  # rotated files that are not synced yet; whoever syncs closes them
        try:
            self._open()
            self._cut_torn_line()
        except OSError as error:
            raise BadSettings(f"audit file {path}: {error.strerror}") from error

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _cut_torn_line(self) -> None:
        """Remove a last line without a newline: its write was cut short, so its request was never answered."""
        tail = os.pread(self._descriptor, min(_LAST, self._size), max(0, self._size - _LAST))
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            os.ftruncate(self._descriptor, self._size - torn)
            self._size -= torn

    def last_line(self) -> bytes:
        """Return the file's last line, or that of the newest rotated one; b"" if there is none."""
        if self._size:
            return os.pread(self._descriptor, _LAST, max(0, self._size - _LAST)).rstrip(b"\n").rpartition(b"\n")[2]
        old = self.rotated()
        return old[-1].read_bytes()[-_LAST:].rstrip(b"\n").rpartition(b"\n")[2] if old else b""

    def rotated(self) -> list[Path]:
        """Return the rotated files, the oldest first."""
        return sorted(self.path.parent.glob(self.path.name + ".2*"))

    def write(self, data: bytes) -> None:
        """See Sink. A short write is taken back, so that the file always ends with a whole line."""
        try:
            _write_all(self._descriptor, data)
        except OSError:
            with contextlib.suppress(OSError):  # a device cannot be cut; the first failure is the one to report
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)
        if self._rotate_bytes and self._size >= self._rotate_bytes:
            with contextlib.suppress(OSError):  # the line is written; the next one tries again
                self._rotate()

    def sync(self) -> None:
        """See Sink; may be called in another thread, by one at a time."""
        current = self._descriptor  # before the full ones: what is rotated from now on waits for the next call
        while self._full:
            descriptor = self._full.pop(0)
            os.fdatasync(descriptor)
            os.close(descriptor)
        if current == self._descriptor:
            os.fdatasync(current)

    def close(self) -> None:
        """See Sink."""
        self.sync()
        os.close(self._descriptor)

    def _rotate(self) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f".{time.time_ns() % 10**9:09}Z"
        before, full = self._descriptor, self.path.with_name(f"{self.path.name}.{stamp}")
        os.rename(self.path, full)
        try:
            self._open()
        except OSError:
            os.rename(full, self.path)
            raise
        self._full.append(before)
        if self._keep:
            for old in self.rotated()[: -self._keep]:
                with contextlib.suppress(FileNotFoundError):  # somebody else tidied up
                    old.unlink()


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


class AuditLog:
    """Takes one line per event. Not thread-safe, except that the syncing happens in a thread of its own."""

    def __init__(
        self, sink: Sink | None, *, key: bytes = b"", refuse_when_full: bool = True, warn: Callable[[str], None] = print
    ) -> None:
        """sink None keeps no log, but subscribers get the events. key seals checkpoints.

        When the sink cannot write, refuse_when_full makes `add` raise Unavailable; otherwise the line is counted as
        lost, and the next line that can be written is one that says how many were.
        """
        self.lines = self.lost = 0
        self._gap = 0  # lines lost since the last one that was written
        self._sink, self._refuse, self._warn = sink, refuse_when_full, warn
        self._chain = Chain(*_resume(sink), key=key)
        self._subscribers: list[Callable[[bytes], None]] = []
        self._dirty, self._stop = threading.Event(), threading.Event()
        self._sealed = 0  # lines at the last checkpoint
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
        return self._chain.head.hex()

    def add(self, members: str) -> None:
        """Write one event; members is the text of a JSON object without its closing brace."""
        if self._gap and not self._refuse:
            self._tell_gap()
        head, count = self._chain.head, self._chain.lines
        line = self._chain.line(members)
        if self._sink is not None:
            try:
                self._sink.write(line)
            except OSError as error:
                self._failed(error, head, count)
                return
            if not self._dirty.is_set():
                self._dirty.set()
        self.lines += 1
        for subscriber in self._subscribers:
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
        if self.active and self.lines != self._sealed:
            self.add(self._chain.checkpoint(time_text))
            self._sealed = self.lines

    def subscribe(self, subscriber: Callable[[bytes], None]) -> Callable[[], None]:
        """Give every line to subscriber too; call what is returned to end that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def close(self) -> None:
        """Make everything durable and end."""
        self._stop.set()
        self._dirty.set()
        if self._thread is not None:
            self._thread.join()
        if self._sink is not None:
            self._sink.close()

    def _failed(self, error: OSError, head: bytes, count: int) -> None:
        self._chain.head, self._chain.lines = head, count  # the line never was
        self.lost += 1
        self._gap += 1
        self._warn(f"audit log: {error.strerror}")
        if self._refuse:
            raise Unavailable(f"audit log: {error.strerror}") from error

    def _sync_forever(self) -> None:
        assert self._sink is not None
        while not self._stop.is_set():
            self._dirty.wait()
            self._dirty.clear()
            try:
                self._sink.sync()
            except OSError as error:
                self._warn(f"audit log: {error.strerror}")
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
