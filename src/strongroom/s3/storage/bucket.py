"""One open bucket: a connection that reads in the event loop, a committer that writes, and its files."""

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw
from awscrt.checksums import crc32c

from strongroom.errors import Tampered
from strongroom.s3.domain.ports import DiskFull, NoSuchBucket, NoSuchKey, NoSuchUpload, NoSuchVersion, StoreClosed
from strongroom.s3.domain.records import (
    BucketRecord,
    BucketUsage,
    ObjectVersion,
    PartRecord,
    SealedBy,
    UploadRecord,
)
from strongroom.s3.storage import rows, transaction
from strongroom.s3.storage.admission import Admission
from strongroom.s3.storage.bodies import FileBody, Holds, InlineBody, pieces
from strongroom.s3.storage.checkpoints import CheckpointThread
from strongroom.s3.storage.committer import Figures, Hooks
from strongroom.s3.storage.folders import BodyFiles
from strongroom.s3.storage.gathering import Job
from strongroom.s3.storage.schema import check_format, connect
from strongroom.s3.storage.staging import INLINE, FileStaged
from strongroom.s3.storage.transaction import Known, Transaction
from strongroom.s3.storage.writes import Stored
from strongroom.s3.storage.writing import Writing

T = TypeVar("T")

_NEWEST = f"SELECT {rows.VERSION_AND_BODY} {rows.OF_NEWEST}"
_BY_ID = (
    f"SELECT {rows.VERSION_AND_BODY}, (SELECT seq {rows.OF_NEWEST}) "  # noqa: S608
    "FROM versions WHERE key = ?1 AND version IS ?2 LIMIT 1"
)
_SEALS = "SELECT name, versions, size, objects FROM seals ORDER BY name"
_BODY = "SELECT body FROM versions WHERE seq = ? AND key = ? AND modified = ?"
_UPLOAD = f"SELECT {rows.UPLOAD} FROM uploads WHERE key = ? AND upload = ?"  # noqa: S608
_PARTS = (
    f"SELECT {rows.PART} FROM parts WHERE upload = (SELECT seq FROM uploads WHERE key = ? AND upload = ?) "  # noqa: S608
    "AND number > ? ORDER BY number LIMIT ?"
)


class OpenBucket:
    """A bucket's folder while a process uses it. Everything but the threads' work happens in the event loop."""

    def __init__(
        self,
        folder: Path,
        generation: int,
        pool: ThreadPoolExecutor,
        checkpoints: CheckpointThread,
        loop: asyncio.AbstractEventLoop,
        vfs: str | None = None,
    ) -> None:
        """Open the databases; raise NoSuchBucket when the folder is gone or marked deleted."""
        path = folder / "index.db"
        try:
            self.reader = connect(path, vfs=vfs)
        except apsw.CantOpenError as error:
            raise NoSuchBucket(str(folder)) from error
        check_format(self.reader, path)
        self.folder = folder
        self.files = BodyFiles(folder, generation)
        self._holds = Holds(self._remove)
        self._loop = loop
        self._pool = pool
        self._known = Known()
        self._fresh = False
        self.recent = True  # used since open_buckets.py last looked
        self._checkpoints = checkpoints
        self._path, self._vfs = path, vfs
        self._name = self.record.name
        self._writing: Writing | None = None  # from the first write on
        self._admission = Admission(loop)
        self._readers = 0
        self._drained: asyncio.Future[None] | None = None
        self._ended = False

    # Configuration

    @property
    def record(self) -> BucketRecord:
        """The bucket's record, read again after forget(); raise NoSuchBucket when it has been deleted."""
        if not self._fresh:
            _, deleted = transaction.read_record(self.reader, self._known)
            if deleted:
                raise NoSuchBucket(self._known.record.name)
            self._fresh = True
        return self._known.record

    def forget(self) -> None:
        """Read the record again before its next use."""
        self._fresh = False

    @property
    def figures(self) -> Figures:
        """What the committer has done."""
        return self._writing.committer.figures if self._writing is not None else Figures()

    @property
    def pending(self) -> int:
        """Writes on their way."""
        return self._admission.pending

    @property
    def log_pages(self) -> int:
        """Pages in the write-ahead log after the last commit."""
        return self._writing.log.pages if self._writing is not None else 0

    @property
    def closed(self) -> str:
        """Why writing has stopped; empty while it goes on."""
        return self._writing.committer.closed if self._writing is not None else ""

    def usage(self) -> BucketUsage:
        """Return the totals."""
        return transaction.usage(transaction.read_record(self.reader, self._known)[0])

    def sealed_by(self) -> dict[str, SealedBy]:
        """Return what each key protects."""
        found: list[rows.Row] = self.reader.execute(_SEALS).fetchall()
        return {name: SealedBy(*counts) for name, *counts in found}

    # Writing

    def _pen(self) -> Writing:
        """Return what it takes to write, opened at the first write: most buckets of a process are only read."""
        if self._writing is None:
            hooks = Hooks(self._unlink, self._committed)
            self._writing = Writing(self._path, self._loop, hooks, self._name, self._vfs)
        return self._writing

    async def write(self, apply: Callable[[Transaction], T], cost: int = 0) -> T:
        """Run apply in a group commit and return what it returns, once that is durable.

        A caller that is cancelled does not hear what became of the write, which goes on.
        """
        return await self._write(apply, cost)

    async def _write(
        self,
        apply: Callable[[Transaction], T] | None,
        cost: int,
        prepare: Callable[[], Callable[[Transaction], T]] | None = None,
    ) -> T:
        committer = self._pen().committer
        await self._admission.enter(cost)
        future: asyncio.Future[T] = self._loop.create_future()
        committer.submit_soon(Job(apply, self._settle(future, cost), cost, prepare=prepare))
        return await future

    async def write_made(self, staged: FileStaged, make: Callable[[], Callable[[Transaction, Stored], T]]) -> T:
        """Like write_staged, for a small body that make completes when the write's group is put together."""
        staged.claim()

        def prepare() -> Callable[[Transaction], T]:
            apply = make()
            inline = Stored(staged.stored, staged.crc, staged.inline, None)
            return lambda tx: apply(tx, inline)

        return await self._write(None, staged.expected or INLINE, prepare)

    async def write_staged(self, staged: FileStaged, apply: Callable[[Transaction, Stored], T]) -> T:
        """Like write, for a body: a small one goes along, a large one is first published by the pool of threads."""
        body = staged.inline
        if body is not None:
            inline = Stored(staged.stored, staged.crc, body, None)
            return await self.write(lambda tx: apply(tx, inline), inline.size)
        committer = self._pen().committer
        await self._admission.enter(0)
        future: asyncio.Future[T] = self._loop.create_future()
        settle = self._settle(future, 0)
        staged.claim()

        def publish() -> None:
            try:
                staged.publish()
            except BaseException as error:
                staged.drop()
                self._loop.call_soon_threadsafe(settle, None, self._judge(error))
                return
            stored = Stored(staged.stored, staged.crc, None, staged.name)
            committer.submit(Job(lambda tx: apply(tx, stored), finish))

        def finish(result: Any, error: BaseException | None) -> None:
            if error is not None and not isinstance(error, StoreClosed):  # closed: the row may have reached the disk
                self._pool.submit(staged.drop)
            settle(result, error)

        self._pool.submit(publish)
        return await future

    def _judge(self, error: BaseException) -> BaseException:
        """Say what it means that a body could not be published; after a failed fsync, stop writing."""
        if not isinstance(error, OSError):
            return error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(f"{self.folder}: {error}")
        self._pen().stop(f"{self.folder}: {error}")
        return StoreClosed(self.closed)

    def _settle(self, future: asyncio.Future[T], cost: int) -> Callable[[Any, BaseException | None], None]:
        def settle(result: Any, error: BaseException | None) -> None:
            self._admission.leave(cost)
            self._note_end()
            if future.done():  # its caller has gone
                return
            if error is None:
                future.set_result(cast(T, result))
            else:
                future.set_exception(error)

        return settle

    def _unlink(self, names: list[str]) -> None:
        self._remove(self._holds.removable(names))

    def _remove(self, names: list[str]) -> None:
        self._pool.submit(self.files.remove_all, names)

    def _committed(self) -> None:
        self._pen().log.after_commit(self._checkpoints)

    # Reading

    def get(self, key: str, version_id: str | None) -> ObjectVersion:
        """Return a version, with its body when that is small. See ObjectStore.get."""
        if version_id is not None:
            return self._get_version(key, version_id)
        row = self.reader.execute(_NEWEST, (key,)).fetchone()
        if row is None:
            raise NoSuchKey(key)
        found = rows.version(row, latest=True)
        if found.delete_marker:
            raise NoSuchKey(key, found)
        return found

    def _get_version(self, key: str, version_id: str) -> ObjectVersion:
        row = self.reader.execute(_BY_ID, (key, rows.id_to_column(version_id))).fetchone()
        if row is None:
            raise NoSuchVersion(f"{key} {version_id}")
        return rows.version(row[:16], latest=row[0] == row[16])

    def open(self, version: ObjectVersion) -> InlineBody | FileBody:
        """Open the stored bytes; raise NoSuchVersion when they are gone."""
        place = version.place
        assert isinstance(place, rows.Place)
        in_files = any(name is not None for name in place.files)
        whole_in_file = in_files and not version.parts
        inline = b"" if whole_in_file else place.body if place.body is not None else self._body(version, place)
        if not in_files:
            if not version.parts and crc32c(inline) != place.crc:
                raise Tampered(f"{version.key}: the stored bytes have changed")
            return InlineBody(inline)
        try:
            body = FileBody(self.files, pieces(version, place, inline), self._holds)
        except FileNotFoundError as error:
            raise NoSuchVersion(f"{version.key} {version.version_id}") from error
        if body.lazy:  # now that its files are held: is it still there?
            self._body(version, place)
        return body

    def _body(self, version: ObjectVersion, place: rows.Place) -> bytes:
        row = self.reader.execute(_BODY, (place.seq, version.key, version.modified)).fetchone()
        if row is None:
            raise NoSuchVersion(f"{version.key} {version.version_id}")
        return cast(bytes | None, row[0]) or b""

    def upload(self, key: str, upload_id: str) -> UploadRecord:
        """Return an unfinished upload; raise NoSuchUpload."""
        row = self.reader.execute(_UPLOAD, (key, upload_id)).fetchone()
        if row is None:
            raise NoSuchUpload(upload_id)
        return rows.upload(row)

    def parts(self, upload: UploadRecord, after: int, limit: int) -> list[PartRecord]:
        """Return parts in ascending order; raise NoSuchUpload."""
        self.upload(upload.key, upload.upload_id)
        found = self.reader.execute(_PARTS, (upload.key, upload.upload_id, after, limit)).fetchall()
        return [rows.part(row) for row in found]

    @contextlib.contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """Lend the reading connection to work that waits in between; the bucket stays open until it is back."""
        self._readers += 1
        try:
            yield self.reader
        finally:
            self._readers -= 1
            self._note_end()

    # The end

    @property
    def idle(self) -> bool:
        """Nothing is going on."""
        return not self._admission.pending and not self._readers

    def _note_end(self) -> None:
        if self.idle and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def drained(self) -> None:
        """Wait until nothing is going on."""
        while not self.idle:
            if self._drained is None or self._drained.done():
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    def close(self) -> None:
        """Let go of everything, once. Blocks, until a checkpoint or a commit that runs is over."""
        if self._ended:
            return
        self._ended = True
        if self._writing is not None:
            self._writing.close()
        self.reader.close()
