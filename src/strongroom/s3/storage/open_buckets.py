"""Which buckets a process has open: found by name, looked at again after a change, closed when there are many."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from strongroom.s3.domain.ports import NoSuchBucket
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.storage.bucket import OpenBucket
from strongroom.s3.storage.checkpoints import CheckpointThread
from strongroom.s3.storage.folders import remove_bucket_folder
from strongroom.s3.storage.system import Named, SystemDb

T = TypeVar("T")

MOST_OPEN = 200  # buckets; each takes up to 11 file descriptors
SYNC_THREADS = 4  # that publish body files (architecture.md, decision 5)


class OpenBuckets:
    """The buckets of a store, for one event loop."""

    def __init__(
        self,
        folder: Path,
        generation: int,
        system: SystemDb,
        loop: asyncio.AbstractEventLoop,
        vfs: str | None = None,
    ) -> None:
        self._folder = folder / "buckets"
        self._generation = generation
        self._system = system
        self._loop = loop
        self._vfs = vfs
        self._pool = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="store")
        self._checkpoints = CheckpointThread()
        self._open: dict[str, OpenBucket] = {}
        self._records: dict[str, tuple[Named, BucketRecord]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._seen = -1
        self._named: dict[str, Named] = {}

    def get(self, name: str) -> OpenBucket:
        """Return the bucket of a name, opened if need be; raise NoSuchBucket."""
        if self._seen != self._system.changes():
            self._refresh()
        bucket = self._open.get(name)
        if bucket is None:
            bucket = self._open_one(name)
        bucket.recent = True
        return bucket

    def names(self) -> dict[str, Named]:
        """Return all bucket names in order."""
        if self._seen != self._system.changes():
            self._refresh()
        return self._named

    def record(self, name: str) -> BucketRecord:
        """Return a bucket's record; without opening the bucket when it is known and has not changed."""
        named = self.names().get(name)
        if named is None:
            raise NoSuchBucket(name)
        known = self._records.get(name)
        if known is None or known[0] != named:
            known = self._records[name] = (named, self.get(name).record)
        return known[1]

    def forget(self, name: str) -> None:
        """Read a bucket's record again before its next use."""
        self._records.pop(name, None)
        if name in self._open:
            self._open[name].forget()

    def _open_one(self, name: str) -> OpenBucket:
        named = self._named.get(name)
        if named is None:
            raise NoSuchBucket(name)
        if len(self._open) >= MOST_OPEN:
            self._close_unused()
        folder = self._folder / named.uuid
        bucket = OpenBucket(folder, self._generation, self._pool, self._checkpoints, self._loop, self._vfs)
        self._open[name] = bucket
        return bucket

    def _refresh(self) -> None:
        """Something changed, perhaps in another process: look again at what is open."""
        self._seen = self._system.changes()
        before, self._named = self._named, self._system.buckets()
        for name in [name for name, named in before.items() if self._named.get(name) != named]:
            self._records.pop(name, None)
            bucket = self._open.get(name)
            if bucket is None:
                continue
            if name in self._named and self._named[name].uuid == bucket.folder.name:
                bucket.forget()
            else:
                self._let_go(name)

    def _close_unused(self) -> None:
        """Close a bucket: the first that has not been used since it was looked at here, in turn."""
        for name in [*self._open] * 2:
            bucket = self._open[name]
            if bucket.idle and not bucket.recent:
                self._let_go(name)
                return
            bucket.recent = False
            self._open[name] = self._open.pop(name)  # to the end

    def _let_go(self, name: str) -> None:
        self._beside(self._close(self._open.pop(name)))

    def remove(self, name: str, bucket: OpenBucket) -> None:
        """Close a deleted bucket and remove its folder, beside other work."""
        if self._open.get(name) is bucket:
            del self._open[name]
        self._records.pop(name, None)
        self._beside(self._remove(bucket))

    async def _remove(self, bucket: OpenBucket) -> None:
        await self._close(bucket)
        await self.run(remove_bucket_folder, bucket.folder)

    async def _close(self, bucket: OpenBucket) -> None:
        await bucket.drained()
        await self.run(bucket.close)

    def _beside(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def run(self, function: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        """Call a function that blocks, in a thread."""
        return self._loop.run_in_executor(None, function, *arguments)

    def opened(self) -> list[OpenBucket]:
        """Return the open buckets."""
        return [*self._open.values()]

    async def close(self) -> None:
        """Finish what is queued and close all."""
        for name in [*self._open]:
            self._let_go(name)
        while self._background:
            await asyncio.wait(self._background)
        await self.run(self._pool.shutdown)
        await self.run(self._checkpoints.stop)
