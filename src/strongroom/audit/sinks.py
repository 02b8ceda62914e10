"""Where the lines of an audit log go: a file that is rotated, or a stream."""

import contextlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Protocol

from strongroom.errors import BadSettings

_LAST = 1 << 20  # bytes at the end of a file in which its last line is looked for
_CHAINED = re.compile(rb',"chain":"[0-9a-f]{64}"\}\n\Z')
_BEGIN = b'{"'


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
        """Remove a last line without a newline: its write was cut short, so its request was never answered.

        Raises BadSettings, and changes nothing, for a file that is no audit log.
        """
        tail = os.pread(self._descriptor, min(_LAST, self._size), max(0, self._size - _LAST))
        whole = tail[: tail.rfind(b"\n") + 1]
        torn = len(tail) - len(whole)
        if torn:
            if not (_CHAINED.search(whole) if whole else tail.startswith(_BEGIN)):
                os.close(self._descriptor)
                raise BadSettings(f"audit file {self.path}: it is no audit log; move the file away")
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
