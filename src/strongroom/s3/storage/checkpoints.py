"""Moving committed pages from the write-ahead logs into the databases, beside the commits instead of within them.

Measured (architecture.md 4c): the longest commit 13 ms, against 40-107 ms with SQLite's automatic checkpoints. A
thread alone never lets a busy log restart (it grew to 800 MB), so the committer runs one short last pass itself.
"""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import apsw

from strongroom.s3.storage.schema import connect

START_PAGES = 4000  # of a log that ask for a checkpoint
LEFT_PAGES = 400  # that may be left to the committer's last pass


class Checkpoints:
    """One bucket's log. pages() and last_pass() are the committer's, run() the thread's."""

    def __init__(self, path: Path, writer: apsw.Connection, vfs: str | None, failed: Callable[[str], None]) -> None:
        self._path = path
        self._writer = writer
        self._vfs = vfs
        self._failed = failed
        self.pages = 0  # in the log after the last commit
        self._busy = False
        self._finish = False
        self._connection: apsw.Connection | None = None
        self._using = threading.Lock()
        self._closed = False
        writer.set_wal_hook(self._wal_hook)

    def _wal_hook(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self.pages = pages
        return apsw.SQLITE_OK

    def after_commit(self, thread: "CheckpointThread") -> None:
        """Ask for a checkpoint when the log is long; make the last pass when the thread has done its part."""
        if self._finish:
            self._finish = False
            self._last_pass()
        elif self.pages > START_PAGES and not self._busy:
            self._busy = True
            thread.submit(self)

    def _last_pass(self) -> None:
        try:
            self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            return  # another process is at it
        except apsw.Error as error:
            self._failed(str(error))

    def run(self) -> None:
        """Run passive checkpoints until little is left."""
        with self._using:
            try:
                self._passes()
            except apsw.BusyError:
                pass  # another process is at it
            except apsw.Error as error:
                self._failed(str(error))
        self._finish = True
        self._busy = False

    def _passes(self) -> None:
        if self._closed:
            return
        if self._connection is None:
            self._connection = connect(self._path, vfs=self._vfs)
        before = -1
        while not self._closed:
            log, done = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if log - done <= LEFT_PAGES or done == before:  # no progress: a reader holds an old snapshot
                return
            before = done

    def close(self) -> None:
        """Wait for a running pass and let go of the database."""
        self._closed = True
        with self._using:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class CheckpointThread:
    """The one thread that checkpoints all buckets of a process."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Checkpoints | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def submit(self, bucket: Checkpoints) -> None:
        """Queue a bucket's log."""
        self._queue.put(bucket)

    def _run(self) -> None:
        for bucket in iter(self._queue.get, None):
            bucket.run()

    def stop(self) -> None:
        """End the thread. Blocks until a running pass is over."""
        self._queue.put(None)
        with contextlib.suppress(RuntimeError):
            self._thread.join()
