"""Turns between the worker processes that share a bucket (architecture.md, decision 6).

A flock per bucket is held around every group commit. flock is not a fair queue: without the second lock, the gate,
which a process holds while it waits, one process can starve another for a tenth of a second.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType


class Turns:
    """The two lock files of a bucket. Use as a context manager, from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._gate = os.open(folder / "index.gate", flags, 0o600)
        self._lock = os.open(folder / "index.lock", flags, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of both files."""
        os.close(self._gate)
        os.close(self._lock)


@contextlib.asynccontextmanager
async def alone(path: Path) -> AsyncIterator[None]:
    """Hold a lock file, for work that waits in between. Waiting for it takes a thread."""
    taking = asyncio.get_running_loop().run_in_executor(None, _take, path)
    try:
        descriptor = await asyncio.shield(taking)
    except asyncio.CancelledError:
        taking.add_done_callback(_give)
        raise
    try:
        yield
    finally:
        os.close(descriptor)


def _take(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _give(taken: "asyncio.Future[int]") -> None:
    if not taken.cancelled() and taken.exception() is None:
        os.close(taken.result())
