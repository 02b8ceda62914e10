"""The object store in memory: the fake for tests, and the plain statement of what the files kind must do."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from strongroom.errors import NotFound
from strongroom.s3.domain.ports import (
    BucketExists,
    BucketNotEmpty,
    Check,
    NoSuchBucket,
    NoSuchKey,
    NoSuchPart,
    NoSuchUpload,
    NoSuchVersion,
    Staged,
)
from strongroom.s3.domain.records import (
    NULL_VERSION,
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
from strongroom.s3.storage import memory_listing, settings
from strongroom.s3.storage.memory_bucket import Bucket, MemoryBody, MemoryStaged, Upload


class MemoryStore:
    """ObjectStore and SystemStore in memory; now() gives nanoseconds since the epoch."""

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._buckets: dict[str, Bucket] = {}
        self._entries: dict[str, bytes] = {}
        self._alone: dict[str, asyncio.Lock] = {}
        self._changes = 0

    def _bucket(self, name: str) -> Bucket:
        try:
            return self._buckets[name]
        except KeyError:
            raise NoSuchBucket(name) from None

    # Buckets

    async def create_bucket(
        self, name: str, *, object_lock: bool = False, config: dict[str, bytes] | None = None
    ) -> BucketRecord:
        """See ObjectStore."""
        if name in self._buckets:
            raise BucketExists(name)
        wanted = {**(config or {}), **({OBJECT_LOCK: b"Enabled", VERSIONING: b"Enabled"} if object_lock else {})}
        record = settings.changed(BucketRecord(name, str(uuid.uuid4()), self._now()), wanted)
        self._buckets[name] = Bucket(record)
        self._changes += 1
        return record

    async def delete_bucket(self, name: str, *, force: bool = False) -> None:
        """See ObjectStore."""
        it = self._bucket(name)
        if it.keys and not (force and not it.record.object_lock):
            raise BucketNotEmpty(name)
        del self._buckets[name]
        self._changes += 1

    async def bucket(self, name: str) -> BucketRecord:
        """See ObjectStore."""
        return self._bucket(name).record

    async def buckets(self) -> list[BucketRecord]:
        """See ObjectStore."""
        return [self._buckets[name].record for name in sorted(self._buckets)]

    async def configure(self, name: str, changes: dict[str, bytes | None]) -> BucketRecord:
        """See ObjectStore."""
        bucket = self._bucket(name)
        bucket.record = settings.changed(bucket.record, changes)
        self._changes += 1
        return bucket.record

    async def usage(self, bucket: str) -> BucketUsage:
        """See ObjectStore."""
        it = self._bucket(bucket)
        every = [v for versions in it.keys.values() for v in versions]
        return BucketUsage(
            objects=sum(not versions[0].delete_marker for versions in it.keys.values()),
            versions=sum(not v.delete_marker for v in every),
            markers=sum(v.delete_marker for v in every),
            size=it.size(),
            stored=sum(v.stored for v in every),
            uploads=len(it.uploads),
            upload_stored=sum(p.stored for u in it.uploads.values() for p, _ in u.parts.values()),
        )

    async def sealed_by(self, bucket: str) -> dict[str, SealedBy]:
        """See ObjectStore."""
        found: dict[str, SealedBy] = {}
        for versions in self._bucket(bucket).keys.values():
            for place, version in enumerate(versions):
                if version.sealed_by:
                    old = found.get(version.sealed_by, SealedBy())
                    counts = SealedBy(old.versions + 1, old.size + version.size, old.objects + (place == 0))
                    found[version.sealed_by] = counts
        return dict(sorted(found.items()))

    # Objects

    def stage(self, bucket: str, expected: int | None) -> Staged:
        """See ObjectStore."""
        self._bucket(bucket)
        return MemoryStaged()

    async def put(self, bucket: str, version: NewVersion, body: Staged, check: Check | None = None) -> ObjectVersion:
        """See ObjectStore."""
        it = self._bucket(bucket)
        assert isinstance(body, MemoryStaged)
        return self._publish(it, version, bytes(body.data), (), check)

    async def put_made(
        self, bucket: str, make: Callable[[], NewVersion], body: Staged, check: Check | None = None
    ) -> ObjectVersion:
        """See ObjectStore."""
        return await self.put(bucket, make(), body, check)

    def _publish(
        self, bucket: Bucket, new: NewVersion, data: bytes, parts: tuple[PartRecord, ...], check: Check | None
    ) -> ObjectVersion:
        newest = bucket.newest(new.key)
        if new.in_place:
            newest = bucket.find(new.key, new.version_id or "")
            if newest is None or newest.delete_marker:
                raise NoSuchVersion(f"{new.key} {new.version_id}")
        if check is not None:
            check(None if newest is None or newest.delete_marker else newest)
        version_id = new.version_id or self._new_id(bucket)
        replaced = bucket.find(new.key, version_id)
        settings.check_quota(bucket.record.config, bucket.size(), new.size - (replaced.size if replaced else 0))
        version = ObjectVersion(
            key=new.key,
            version_id=version_id,
            modified=self._now() if new.modified is None else new.modified,
            size=new.size,
            stored=len(data),
            etag=new.etag,
            latest=not new.in_place or bucket.newest(new.key) == newest,
            meta=new.meta,
            tags=new.tags,
            lock=new.lock,
            parts=parts,
            place=data,
            sealed_by=new.sealed_by,
        )
        if new.in_place:
            bucket.exchange(version)
        else:
            bucket.push(version)
        return version

    def _new_id(self, bucket: Bucket) -> str:
        return str(uuid.uuid4()) if bucket.record.versioning == "Enabled" else NULL_VERSION

    async def get(self, bucket: str, key: str, version_id: str | None = None) -> ObjectVersion:
        """See ObjectStore."""
        return self._get(self._bucket(bucket), key, version_id)

    def _get(self, bucket: Bucket, key: str, version_id: str | None) -> ObjectVersion:
        if version_id is not None:
            found = bucket.find(key, version_id)
            if found is None:
                raise NoSuchVersion(f"{key} {version_id}")
            return found
        newest = bucket.newest(key)
        if newest is None or newest.delete_marker:
            raise NoSuchKey(key, newest)
        return newest

    def open(self, bucket: str, version: ObjectVersion) -> MemoryBody:
        """See ObjectStore."""
        assert isinstance(version.place, bytes)
        return MemoryBody(version.place)

    async def delete(self, bucket: str, key: str, version_id: str | None = None, check: Check | None = None) -> Deleted:
        """See ObjectStore."""
        it = self._bucket(bucket)
        if version_id is not None:
            return self._delete_version(it, key, version_id, check)
        newest = it.newest(key)
        if check is not None:
            check(None if newest is None or newest.delete_marker else newest)
        if not it.record.versioning:
            if newest is not None:
                it.remove(newest)
            return Deleted(found=newest is not None)
        marker = ObjectVersion(key, self._new_id(it), self._now(), 0, 0, b"", latest=True, delete_marker=True)
        it.push(marker)
        return Deleted(marker.version_id, True, newest is not None)

    def _delete_version(self, bucket: Bucket, key: str, version_id: str, check: Check | None) -> Deleted:
        version = bucket.find(key, version_id)
        if check is not None:
            check(version)
        if version is None:
            return Deleted(version_id, found=False)
        bucket.remove(version)
        return Deleted(version_id, version.delete_marker)

    async def amend(
        self, bucket: str, key: str, version_id: str | None, change: Callable[[ObjectVersion], ObjectVersion]
    ) -> ObjectVersion:
        """See ObjectStore."""
        it = self._bucket(bucket)
        old = self._get(it, key, version_id)
        if old.delete_marker:
            raise NoSuchKey(key, old)
        new = change(old)
        new = replace(old, meta=new.meta, tags=new.tags, lock=new.lock, etag=new.etag, sealed_by=new.sealed_by)
        it.keys[key] = [new if v.version_id == old.version_id else v for v in it.keys[key]]
        return new

    async def walk(self, bucket: str, prefix: str = "", after: str = "") -> AsyncIterator[ObjectVersion]:
        """See ObjectStore."""
        it = self._bucket(bucket)
        for key in sorted(k for k in it.keys if k.startswith(prefix) and k > after):
            for version in it.keys.get(key, ()):
                yield version

    # Multipart uploads

    async def create_upload(self, bucket: str, key: str, meta: bytes) -> UploadRecord:
        """See ObjectStore."""
        record = UploadRecord(key, uuid.uuid4().hex, self._now(), meta)
        self._bucket(bucket).uploads[record.upload_id] = Upload(record)
        return record

    def _upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        found = self._bucket(bucket).uploads.get(upload_id)
        if found is None or found.record.key != key:
            raise NoSuchUpload(upload_id)
        return found

    async def upload(self, bucket: str, key: str, upload_id: str) -> UploadRecord:
        """See ObjectStore."""
        return self._upload(bucket, key, upload_id).record

    async def put_part(self, bucket: str, upload: UploadRecord, part: PartRecord, body: Staged) -> PartRecord:
        """See ObjectStore."""
        it = self._upload(bucket, upload.key, upload.upload_id)
        assert isinstance(body, MemoryStaged)
        owner = self._bucket(bucket)
        settings.check_quota(owner.record.config, owner.size(), part.size)
        kept = replace(part, stored=body.stored, modified=self._now())
        it.parts[part.number] = (kept, bytes(body.data))
        return kept

    async def parts(self, bucket: str, upload: UploadRecord, after: int = 0, limit: int = 1000) -> list[PartRecord]:
        """See ObjectStore."""
        parts = self._upload(bucket, upload.key, upload.upload_id).parts
        return [parts[n][0] for n in sorted(parts) if n > after][:limit]

    async def complete_upload(
        self,
        bucket: str,
        upload: UploadRecord,
        numbers: Sequence[int | PartRecord],
        version: NewVersion,
        check: Check | None = None,
    ) -> ObjectVersion:
        """See ObjectStore."""
        it = self._upload(bucket, upload.key, upload.upload_id)
        chosen = []
        for wanted in numbers:
            number = wanted if isinstance(wanted, int) else wanted.number
            part, data = it.parts.get(number, (None, b""))
            if part is None or (isinstance(wanted, PartRecord) and part != wanted):
                raise NoSuchPart(f"part {number} of {upload.upload_id}")
            chosen.append((part, data))
        published = self._publish(
            self._bucket(bucket), version, b"".join(d for _, d in chosen), tuple(p for p, _ in chosen), check
        )
        del self._bucket(bucket).uploads[upload.upload_id]
        return published

    async def abort_upload(self, bucket: str, upload: UploadRecord) -> None:
        """See ObjectStore."""
        self._upload(bucket, upload.key, upload.upload_id)
        del self._bucket(bucket).uploads[upload.upload_id]

    async def uploads(
        self, bucket: str, prefix: str, after_key: str, after_upload: str, delimiter: str, limit: int
    ) -> UploadPage:
        """See ObjectStore."""
        records = [u.record for u in self._bucket(bucket).uploads.values()]
        return memory_listing.uploads(records, prefix, after_key, after_upload, delimiter, limit)

    # The server's own entries

    async def load(self, name: str) -> bytes:
        """See SystemStore."""
        try:
            return self._entries[name]
        except KeyError:
            raise NotFound(name) from None

    async def save(self, name: str, value: bytes) -> None:
        """See SystemStore."""
        self._entries[name] = bytes(value)
        self._changes += 1

    async def remove(self, name: str) -> None:
        """See SystemStore."""
        self._entries.pop(name, None)
        self._changes += 1

    async def names(self, prefix: str) -> list[str]:
        """See SystemStore."""
        return sorted(name for name in self._entries if name.startswith(prefix))

    def alone(self, name: str) -> asyncio.Lock:
        """See SystemStore."""
        return self._alone.setdefault(name, asyncio.Lock())

    async def list(self, bucket: str, query: ListQuery) -> Page:
        """See ObjectStore."""
        return memory_listing.page(self._bucket(bucket).keys, query)

    def changes(self) -> int:
        """See ObjectStore."""
        return self._changes

    async def warm(self) -> None:
        """Nothing is to be opened."""

    async def close(self) -> None:
        """Nothing is held outside."""
