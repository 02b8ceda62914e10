"""The object store in a folder: SQLite for rows and small bodies, files for large. Format: docs/formats/store.md."""

import asyncio
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from strongroom.s3.domain.ports import BucketExists, Check, NoSuchBucket, Staged, StoredBody
from strongroom.s3.domain.records import (
    OBJECT_LOCK,
    VERSIONING,
    BucketRecord,
    BucketUsage,
    Deleted,
    ListQuery,
    NewVersion,
    ObjectVersion,
    Page,
    PartRecord,
    UploadPage,
    UploadRecord,
)
from strongroom.s3.storage import listing, multipart, settings, sweep, writes
from strongroom.s3.storage.bucket import OpenBucket
from strongroom.s3.storage.checkpoints import CheckpointThread
from strongroom.s3.storage.opening import Opened, make_bucket, open_folder
from strongroom.s3.storage.space import Space
from strongroom.s3.storage.staging import FileStaged

T = TypeVar("T")

SYNC_THREADS = 4  # that publish body files (architecture.md, decision 5)


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What a process's store has done since its buckets were opened. Seconds and bytes."""

    open_buckets: int
    pending: int  # writes on their way
    log_pages: int  # the longest write-ahead log, in pages of 4 KiB
    stopped: tuple[str, ...]  # why buckets take no writes any more
    groups: int
    writes: int
    refused: int
    commit_seconds: float
    longest_commit: float
    free_bytes: int  # above the reserve


async def open_store(folder: Path, *, worker: bool = False, vfs: str | None = None) -> "FilesStore":
    """Open (and if need be make) a server's folder.

    worker: one of several processes of a server whose parent holds the lock and cleans up. vfs: an apsw VFS, for
    tests of failing disks. Raise BadSettings when another server uses the folder, or another program's data is in it.
    """
    loop = asyncio.get_running_loop()
    opened = await loop.run_in_executor(None, partial(open_folder, folder, worker=worker))
    return FilesStore(opened, loop, vfs)


class FilesStore:
    """ObjectStore and SystemStore in a folder. Belongs to one event loop."""

    def __init__(self, opened: Opened, loop: asyncio.AbstractEventLoop, vfs: str | None = None) -> None:
        self.folder = opened.folder
        self.generation = opened.generation
        self._opened = opened
        self._system = opened.system
        self._loop = loop
        self._pool = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="store")
        self._checkpoints = CheckpointThread()
        self._vfs = vfs
        self._space = Space(self.folder)
        self._open: dict[str, OpenBucket] = {}
        self._seen = self._system.changes()
        self._background: set[asyncio.Future[None]] = set()
        self._sweep = self._run(sweep.clean, self.folder, self._system, opened.leftovers)

    async def cleaned(self) -> int:
        """Wait until the garbage of crashed processes is gone; return how many files that were."""
        return await asyncio.shield(self._sweep)

    def _run(self, function: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        return self._loop.run_in_executor(None, function, *arguments)

    # Buckets

    def _bucket(self, name: str) -> OpenBucket:
        """Return the open bucket of a name; raise NoSuchBucket."""
        if self._seen != self._system.changes():
            self._refresh()
        bucket = self._open.get(name)
        if bucket is None:
            bucket = self._open_bucket(name, self._system.bucket_uuid(name))
            self._open[name] = bucket
        return bucket

    def _open_bucket(self, name: str, folder_name: str) -> OpenBucket:
        folder = self.folder / "buckets" / folder_name
        return OpenBucket(folder, self.generation, self._pool, self._checkpoints, self._loop, self._vfs)

    def _refresh(self) -> None:
        """Something changed, perhaps in another process: look again at what is open."""
        self._seen = self._system.changes()
        names = self._system.buckets()
        for name, bucket in list(self._open.items()):
            bucket.forget()
            if names.get(name) != bucket.folder.name:
                self._let_go(name)

    def _let_go(self, name: str, *, remove: bool = False) -> None:
        """Close a bucket, and perhaps remove its folder, beside other work."""
        self._keep(self._loop.create_task(self._close_bucket(self._open.pop(name), remove)))

    async def _close_bucket(self, bucket: OpenBucket, remove: bool) -> None:
        await bucket.drained()
        await self._run(bucket.close)
        if remove:
            await self._run(shutil.rmtree, bucket.folder, True)

    def _keep(self, work: "asyncio.Future[None]") -> None:
        self._background.add(work)
        work.add_done_callback(self._background.discard)

    async def create_bucket(
        self, name: str, *, object_lock: bool = False, config: dict[str, bytes] | None = None
    ) -> BucketRecord:
        """See ObjectStore."""
        wanted = {**(config or {}), **({OBJECT_LOCK: b"Enabled", VERSIONING: b"Enabled"} if object_lock else {})}
        record = settings.changed(BucketRecord(name, str(uuid.uuid4()), time.time_ns()), wanted)
        await self._finish_deletion(name)
        await self._run(make_bucket, self.folder, self._system, record)
        return self._bucket(name).record

    async def _finish_deletion(self, name: str) -> None:
        """Raise BucketExists, unless the bucket of this name is a deletion that a crash has interrupted."""
        try:
            record = self._bucket(name).record
        except NoSuchBucket:
            folder_name = self._system.buckets().get(name)
            if folder_name is not None:
                await self._run(self._system.remove_bucket, name, folder_name)
            return
        raise BucketExists(record.name)

    async def delete_bucket(self, name: str, *, force: bool = False) -> None:
        """See ObjectStore."""
        bucket = self._bucket(name)
        record = await bucket.write(lambda tx: writes.drop(tx, force))
        await self._run(self._system.remove_bucket, name, record.uuid)
        if self._open.get(name) is bucket:
            self._let_go(name, remove=True)

    async def bucket(self, name: str) -> BucketRecord:
        """See ObjectStore."""
        return self._bucket(name).record

    async def buckets(self) -> list[BucketRecord]:
        """See ObjectStore."""
        found = []
        for name in self._system.buckets():
            try:
                found.append(self._bucket(name).record)
            except NoSuchBucket:
                continue  # deleted meanwhile
        return found

    async def configure(self, name: str, changes: dict[str, bytes | None]) -> BucketRecord:
        """See ObjectStore."""
        bucket = self._bucket(name)
        record = await bucket.write(lambda tx: tx.configure(changes))
        bucket.forget()
        self._system.bump()
        return record

    async def usage(self, bucket: str) -> BucketUsage:
        """See ObjectStore."""
        return self._bucket(bucket).usage()

    # Objects

    def stage(self, bucket: str, expected: int | None) -> Staged:
        """See ObjectStore."""
        files = self._bucket(bucket).files
        self._space.check(expected or 0)
        return FileStaged(files, expected)

    async def put(self, bucket: str, version: NewVersion, body: Staged, check: Check | None = None) -> ObjectVersion:
        """See ObjectStore."""
        assert isinstance(body, FileStaged)
        return await self._bucket(bucket).write_staged(body, lambda tx, stored: writes.put(tx, version, stored, check))

    async def get(self, bucket: str, key: str, version_id: str | None = None) -> ObjectVersion:
        """See ObjectStore."""
        return self._bucket(bucket).get(key, version_id)

    def open(self, bucket: str, version: ObjectVersion) -> StoredBody:
        """See ObjectStore."""
        return self._bucket(bucket).open(version)

    async def delete(self, bucket: str, key: str, version_id: str | None = None, check: Check | None = None) -> Deleted:
        """See ObjectStore."""
        return await self._bucket(bucket).write(lambda tx: writes.delete(tx, key, version_id, check))

    async def amend(
        self, bucket: str, key: str, version_id: str | None, change: Callable[[ObjectVersion], ObjectVersion]
    ) -> ObjectVersion:
        """See ObjectStore."""
        return await self._bucket(bucket).write(lambda tx: writes.amend(tx, key, version_id, change))

    async def walk(self, bucket: str, prefix: str = "", after: str = "") -> AsyncIterator[ObjectVersion]:
        """See ObjectStore."""
        async for version in listing.walk(self._bucket(bucket).reader, prefix, after):
            yield version

    # Multipart uploads

    async def create_upload(self, bucket: str, key: str, meta: bytes) -> UploadRecord:
        """See ObjectStore."""
        return await self._bucket(bucket).write(lambda tx: multipart.create(tx, key, meta))

    async def upload(self, bucket: str, key: str, upload_id: str) -> UploadRecord:
        """See ObjectStore."""
        return self._bucket(bucket).upload(key, upload_id)

    async def put_part(self, bucket: str, upload: UploadRecord, part: PartRecord, body: Staged) -> PartRecord:
        """See ObjectStore."""
        assert isinstance(body, FileStaged)
        return await self._bucket(bucket).write_staged(
            body, lambda tx, stored: multipart.put_part(tx, upload, part, stored)
        )

    async def parts(self, bucket: str, upload: UploadRecord, after: int = 0, limit: int = 1000) -> list[PartRecord]:
        """See ObjectStore."""
        return self._bucket(bucket).parts(upload, after, limit)

    async def complete_upload(
        self,
        bucket: str,
        upload: UploadRecord,
        numbers: Sequence[int | PartRecord],
        version: NewVersion,
        check: Check | None = None,
    ) -> ObjectVersion:
        """See ObjectStore."""
        return await self._bucket(bucket).write(lambda tx: multipart.complete(tx, upload, numbers, version, check))

    async def abort_upload(self, bucket: str, upload: UploadRecord) -> None:
        """See ObjectStore."""
        await self._bucket(bucket).write(lambda tx: multipart.abort(tx, upload))

    async def uploads(
        self, bucket: str, prefix: str, after_key: str, after_upload: str, delimiter: str, limit: int
    ) -> UploadPage:
        """See ObjectStore."""
        reader = self._bucket(bucket).reader
        return await listing.uploads(reader, prefix, after_key, after_upload, delimiter, limit)

    # The server's own entries

    async def load(self, name: str) -> bytes:
        """See SystemStore."""
        return self._system.load(name)

    async def save(self, name: str, value: bytes) -> None:
        """See SystemStore."""
        await self._run(self._system.save, name, value)

    async def remove(self, name: str) -> None:
        """See SystemStore."""
        await self._run(self._system.remove, name)

    async def names(self, prefix: str) -> list[str]:
        """See SystemStore."""
        return self._system.names(prefix)

    # The whole

    async def list(self, bucket: str, query: ListQuery) -> Page:
        """See ObjectStore."""
        return await listing.page(self._bucket(bucket).reader, query)

    def figures(self) -> StoreFigures:
        """Return what this process has done, for metrics."""
        open_buckets = self._open.values()
        done = [bucket.figures for bucket in open_buckets]
        return StoreFigures(
            open_buckets=len(done),
            pending=sum(bucket.pending for bucket in open_buckets),
            log_pages=max((bucket.log_pages for bucket in open_buckets), default=0),
            stopped=tuple(bucket.closed for bucket in open_buckets if bucket.closed),
            groups=sum(f.groups for f in done),
            writes=sum(f.writes for f in done),
            refused=sum(f.failed for f in done),
            commit_seconds=sum(f.seconds for f in done),
            longest_commit=max((f.longest for f in done), default=0.0),
            free_bytes=self._space.look(),
        )

    def changes(self) -> int:
        """See ObjectStore."""
        return self._system.changes()

    async def close(self) -> None:
        """Finish what is queued, note an orderly end and let go of the folder."""
        await asyncio.wait([self._sweep])
        for name in [*self._open]:
            self._let_go(name)
        if self._background:
            await asyncio.wait(self._background)
        await self._run(self._end)

    def _end(self) -> None:
        self._pool.shutdown()
        self._checkpoints.stop()
        self._opened.close()
