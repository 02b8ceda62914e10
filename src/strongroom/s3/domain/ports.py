"""What the S3 box needs from outside: a place for objects, one for its own settings, and data keys."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from strongroom.crypto.secret import Secret
from strongroom.errors import AlreadyExists, Conflict, NotFound, Unavailable
from strongroom.s3.domain.records import (
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

Buffer: TypeAlias = bytes | bytearray | memoryview
Check: TypeAlias = Callable[[ObjectVersion | None], None]
"""Looks at the version that a write would replace (None: nothing there, or a delete marker on top) and raises to
refuse. Runs inside the transaction, in the store's thread: pure and quick."""


class NoSuchBucket(NotFound):
    """The bucket, rather than the object, is missing."""


class NoSuchKey(NotFound):
    """No object of this name. marker: the newest version is this delete marker, if it is one."""

    def __init__(self, message: str, marker: ObjectVersion | None = None) -> None:
        super().__init__(message)
        self.marker = marker


class NoSuchVersion(NotFound):
    """The object has no version of this id."""


class NoSuchUpload(NotFound):
    """No unfinished upload of this id under this key."""


class NoSuchPart(NotFound):
    """Completing names a part that was not uploaded."""


class BucketExists(AlreadyExists):
    """The bucket name is taken."""


class BucketNotEmpty(Conflict):
    """The bucket holds versions or delete markers (unfinished uploads do not count: s3.md 6)."""


class QuotaExceeded(Conflict):
    """The write would take the bucket above its QUOTA."""


class DiskFull(Unavailable):
    """No room for the bytes; nothing was changed."""


class StoreClosed(Unavailable):
    """Writes to this bucket stopped after a failed fsync; a restart looks at the disk again."""


class Staged(Protocol):
    """Bytes that are not published yet. write() may come from any one thread; what is not put is discarded."""

    @property
    def stored(self) -> int:
        """Bytes written so far."""

    def write(self, data: Buffer) -> None:
        """Append data (it is copied or on its way to the file when this returns)."""

    def discard(self) -> None:
        """Throw the bytes away; harmless after publishing."""


class StoredBody(Protocol):
    """The stored bytes of one version, readable until closed even if the version is deleted meanwhile."""

    @property
    def stored(self) -> int:
        """Length in bytes, all parts together."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill buffer from offset (across part boundaries); return the bytes read, fewer only at the end."""

    @property
    def inline(self) -> bytes | None:
        """All the bytes at once when they are in memory already (small objects), else None."""

    def close(self) -> None:
        """Let go of files."""


class ObjectStore(Protocol):
    """Where buckets and objects live. Methods may run concurrently; any may raise Unavailable.

    A write has happened, durably, when its method returns. Each raises NoSuchBucket for an unknown bucket.
    """

    async def create_bucket(
        self, name: str, *, object_lock: bool = False, config: dict[str, bytes] | None = None
    ) -> BucketRecord:
        """Make an empty bucket (versioned from the start with object_lock); raise BucketExists."""

    async def delete_bucket(self, name: str, *, force: bool = False) -> None:
        """Remove a bucket; raise BucketNotEmpty. force removes all that is in it, unless it has object lock."""

    async def bucket(self, name: str) -> BucketRecord:
        """Return a bucket's record, from memory when nothing changed."""

    async def buckets(self) -> list[BucketRecord]:
        """Return all buckets by name."""

    async def configure(self, name: str, changes: dict[str, bytes | None]) -> BucketRecord:
        """Set (or with None remove) configuration documents.

        Three names mean something to the store (records.py): VERSIONING (`Enabled` or `Suspended`), OBJECT_LOCK
        (`Enabled`) and QUOTA (decimal bytes of plaintext, all versions together); another value raises Malformed.
        """

    def stage(self, bucket: str, expected: int | None) -> Staged:
        """Begin a body; expected stored bytes, when known, decide between inline and file at once."""

    async def put(self, bucket: str, version: NewVersion, body: Staged, check: Check | None = None) -> ObjectVersion:
        """Publish body as the newest version; the bucket's versioning decides its id and what it replaces.

        version.in_place exchanges a version instead: check sees that one, NoSuchVersion is raised when it is gone.
        Its `modified` must become another one, so that a reader who has the old row does not read the new body.
        """

    async def put_made(
        self, bucket: str, make: Callable[[], NewVersion], body: Staged, check: Check | None = None
    ) -> ObjectVersion:
        """As put, for a small body that was staged with its size and that make() completes, a moment later.

        make is called once, right behind those of other writers, and what it raises is raised here: sealing one object
        after the other takes half as long as sealing each between other work. From here on body is the store's.
        """

    async def get(self, bucket: str, key: str, version_id: str | None = None) -> ObjectVersion:
        """Return a version (the newest without an id); raise NoSuchKey or NoSuchVersion.

        With an id, a delete marker is returned as such; without, a newest marker raises NoSuchKey with it.
        """

    def open(self, bucket: str, version: ObjectVersion) -> StoredBody:
        """Open the stored bytes; raise NoSuchVersion when the file is gone (read the row again then)."""

    async def delete(self, bucket: str, key: str, version_id: str | None = None, check: Check | None = None) -> Deleted:
        """Remove a version for good, or without an id do what the bucket's versioning says (marker or removal)."""

    async def amend(
        self, bucket: str, key: str, version_id: str | None, change: Callable[[ObjectVersion], ObjectVersion]
    ) -> ObjectVersion:
        """Replace meta, tags, lock, etag or sealed_by of a version without touching its body.

        change runs in the transaction. Raise NoSuchKey, with the marker, for a delete marker.
        """

    async def create_upload(self, bucket: str, key: str, meta: bytes) -> UploadRecord:
        """Begin a multipart upload."""

    async def upload(self, bucket: str, key: str, upload_id: str) -> UploadRecord:
        """Return an unfinished upload; raise NoSuchUpload."""

    async def put_part(self, bucket: str, upload: UploadRecord, part: PartRecord, body: Staged) -> PartRecord:
        """Store a part, replacing an earlier one of its number; raise NoSuchUpload if the upload has ended."""

    async def parts(self, bucket: str, upload: UploadRecord, after: int = 0, limit: int = 1000) -> list[PartRecord]:
        """Return parts with numbers above after, ascending."""

    async def complete_upload(
        self,
        bucket: str,
        upload: UploadRecord,
        numbers: Sequence[int | PartRecord],
        version: NewVersion,
        check: Check | None = None,
    ) -> ObjectVersion:
        """Publish these parts, in this order, as one object, without copying; other parts go. Atomic with check.

        A PartRecord must still be the stored one (same ETag and time); otherwise, as for a number that was never
        uploaded, NoSuchPart is raised and the upload stays. NoSuchUpload when it has ended meanwhile.
        """

    async def abort_upload(self, bucket: str, upload: UploadRecord) -> None:
        """Remove an upload and its parts."""

    async def uploads(
        self, bucket: str, prefix: str, after_key: str, after_upload: str, delimiter: str, limit: int
    ) -> UploadPage:
        """Return a page of unfinished uploads."""

    def walk(self, bucket: str, prefix: str = "", after: str = "") -> AsyncIterator[ObjectVersion]:
        """Yield every version and marker with its meta, key by key; writers are not held up (jobs, usage, fsck)."""

    async def list(self, bucket: str, query: ListQuery) -> Page:
        """Return one page. With a delimiter, each common prefix once, also across pages."""

    async def usage(self, bucket: str) -> BucketUsage:
        """Return the bucket's totals, kept with every commit."""

    async def sealed_by(self, bucket: str) -> dict[str, SealedBy]:
        """Return what each key protects here, by `sealed_by` ("" left out); kept with every commit."""

    def changes(self) -> int:
        """A number that has grown when any bucket, configuration or system entry changed, in any worker process.

        It is raised before the change is answered; compare it on every request and drop what was cached.
        """

    async def close(self) -> None:
        """Finish what is queued and let go of the folder."""


class SystemStore(Protocol):
    """The server's own entries (users, policies, settings): name → bytes, sealed by the caller. Durable on return."""

    async def load(self, name: str) -> bytes:
        """Return an entry; raise NotFound."""

    async def save(self, name: str, value: bytes) -> None:
        """Store an entry, replacing an earlier one."""

    async def remove(self, name: str) -> None:
        """Forget an entry; removing what is not there is not an error."""

    async def names(self, prefix: str) -> list[str]:
        """Return all names that start with prefix, in byte order."""

    def alone(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return a context that one caller at a time is in, of all processes that use the store."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A fresh data key. version and fingerprint are unknown (0, b"") behind an original KES."""

    plaintext: Secret
    ciphertext: bytes
    key_name: str
    version: int = 0
    fingerprint: bytes = field(default=b"")


class DataKeys(Protocol):
    """Where data keys come from. Raises the key errors of s3/domain, or Unavailable."""

    async def generate(self, key_name: str, context: bytes, *, shared: bool = False) -> DataKey:
        """Make a data key under key_name ("" = the default key), bound to context (canonical JSON).

        shared: a key made a few minutes ago for the same name and context may be returned again (Bucket Keys).
        """

    async def unseal(self, key_name: str, ciphertext: bytes, context: bytes) -> Secret:
        """Open a data key; raise Tampered for a wrong key, context or changed bytes."""

    def kept(self, key_name: str, ciphertext: bytes, context: bytes, *, use: bool = False) -> Secret | None:
        """Return the data key if it is open already and may be used now, always the same object; ask nobody.

        use: it will be used, which is to be counted.
        """

    def kept_shared(self, key_name: str, context: bytes) -> DataKey | None:
        """Return the data key that `generate` would share now, if there is one; ask nobody."""
