"""The object store in a folder: SQLite for rows and small bodies, files for large. Format: docs/formats/store.md."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import apsw

from strongroom.errors import Error
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
    SealedBy,
    UploadPage,
    UploadRecord,
)
from strongroom.s3.storage import listing, multipart, settings, sweep, turns, writes
from strongroom.s3.storage.open_buckets import OpenBuckets
from strongroom.s3.storage.opening import Opened, make_bucket, open_folder
from strongroom.s3.storage.space import Space
from strongroom.s3.storage.staging import FileStaged
from strongroom.s3.storage.transaction import Transaction
from strongroom.s3.storage.writes import Stored


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

    worker: one of several processes of a server; the first, which takes the folder's lock, is up already.
    vfs: an apsw VFS, for tests of failing disks. Raise BadSettings when another server uses the folder, or another
    program's data is in it.
    """
    loop = asyncio.get_running_loop()
    opened = await loop.run_in_executor(None, partial(open_folder, folder, worker=worker))
    return FilesStore(opened, loop, vfs)


WARM = 100  # buckets that are opened after the start, before anybody asks for them
WARM_PAUSE = 0.005  # seconds between two of them


class FilesStore:
    """ObjectStore and SystemStore in a folder. Belongs to one event loop."""

    def __init__(self, opened: Opened, loop: asyncio.AbstractEventLoop, vfs: str | None = None) -> None:
        self.folder = opened.folder
        self.generation = opened.generation.number
        self._opened = opened
        self._system = opened.system
        self._space = Space(self.folder)
        self._buckets = OpenBuckets(self.folder, self.generation, self._system, loop, vfs)
        self._bucket = self._buckets.get
        self._run = self._buckets.run
        self._sweep = self._run(sweep.clean, self.folder, self._system, opened.leftovers)

    async def cleaned(self) -> int:
        """Wait until the garbage of crashed processes is gone; return how many files that were."""
        return await asyncio.shield(self._sweep)

    async def warm(self) -> None:
        """Open some buckets, one at a time beside other work: the first question about all finds them open."""
        for name in [*self._buckets.names()][:WARM]:
            with contextlib.suppress(Error, apsw.Error):  # whoever asks for it will be told
                self._buckets.record(name)
            await asyncio.sleep(WARM_PAUSE)

    # Buckets

    async def create_bucket(
        self, name: str, *, object_lock: bool = False, config: dict[str, bytes] | None = None
    ) -> BucketRecord:
        """See ObjectStore."""
        wanted = {**(config or {}), **({OBJECT_LOCK: b"Enabled", VERSIONING: b"Enabled"} if object_lock else {})}
        record = settings.changed(BucketRecord(name, str(uuid.uuid4()), time.time_ns()), wanted)
        await self._finish_deletion(name)
        await self._run(make_bucket, self.folder, self._system, record)
        return self._buckets.record(name)

    async def _finish_deletion(self, name: str) -> None:
        """Raise BucketExists, unless the bucket of this name is a deletion that a crash has interrupted."""
        named = self._buckets.names().get(name)
        if named is None:
            return
        try:
            bucket = self._bucket(name)
            raise BucketExists(bucket.record.name)
        except NoSuchBucket:
            await self._run(self._system.remove_bucket, name, named.uuid)

    async def delete_bucket(self, name: str, *, force: bool = False) -> None:
        """See ObjectStore."""
        bucket = self._bucket(name)
        record = await bucket.write(lambda tx: writes.drop(tx, force))
        await self._run(self._system.remove_bucket, name, record.uuid)
        self._buckets.remove(name, bucket)

    async def bucket(self, name: str) -> BucketRecord:
        """See ObjectStore."""
        return self._buckets.record(name)

    async def buckets(self) -> list[BucketRecord]:
        """See ObjectStore."""
        found = []
        for name in self._buckets.names():
            try:
                found.append(self._buckets.record(name))
            except NoSuchBucket:
                continue  # deleted meanwhile
            await asyncio.sleep(0)
        return found

    async def configure(self, name: str, changes: dict[str, bytes | None]) -> BucketRecord:
        """See ObjectStore."""
        record = await self._bucket(name).write(lambda tx: tx.configure(changes))
        await self._run(self._system.touch_bucket, name)
        self._buckets.forget(name)
        return record

    async def usage(self, bucket: str) -> BucketUsage:
        """See ObjectStore."""
        return self._bucket(bucket).usage()

    async def sealed_by(self, bucket: str) -> dict[str, SealedBy]:
        """See ObjectStore."""
        return self._bucket(bucket).sealed_by()

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

    async def put_made(
        self, bucket: str, make: Callable[[], NewVersion], body: Staged, check: Check | None = None
    ) -> ObjectVersion:
        """See ObjectStore."""
        assert isinstance(body, FileStaged)

        def made() -> Callable[[Transaction, Stored], ObjectVersion]:
            version = make()
            return lambda tx, stored: writes.put(tx, version, stored, check)

        return await self._bucket(bucket).write_made(body, made)

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
        with self._bucket(bucket).reading() as reader:
            async for version in listing.walk(reader, prefix, after):
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
        with self._bucket(bucket).reading() as reader:
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

    def alone(self, name: str) -> AbstractAsyncContextManager[None]:
        """See SystemStore."""
        return turns.alone(self.folder / f"{name}.lock")

    # The whole

    async def list(self, bucket: str, query: ListQuery) -> Page:
        """See ObjectStore."""
        with self._bucket(bucket).reading() as reader:
            return await listing.page(reader, query)

    def figures(self) -> StoreFigures:
        """Return what this process has done, for metrics."""
        open_buckets = self._buckets.opened()
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
        await self._buckets.close()
        await self._run(self._opened.close)
