"""What the object store keeps, as values that nobody changes.

The store never looks into `meta`, `etag` or a configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

NULL_VERSION = "null"  # the version id of an object written while its bucket was not versioned

# The configuration documents that the store itself reads; every other one is opaque to it.
VERSIONING = "versioning"  # b"Enabled" or b"Suspended"
OBJECT_LOCK = "object_lock"  # b"Enabled"
QUOTA = "quota_bytes"  # decimal: plaintext bytes that all versions together may have


@dataclass(frozen=True, slots=True)
class BucketRecord:
    """A bucket. config: sub-resource name ("encryption", "policy", …) → the document as stored."""

    name: str
    uuid: str
    created: int  # nanoseconds since the epoch
    versioning: str = ""  # "", "Enabled" or "Suspended"
    object_lock: bool = False
    config: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BucketUsage:
    """What a bucket holds. Bytes: size is plaintext, stored is ciphertext; uploads are the unfinished ones."""

    objects: int = 0  # keys whose newest version is not a delete marker
    versions: int = 0  # all versions, without delete markers
    markers: int = 0
    size: int = 0
    stored: int = 0
    uploads: int = 0
    upload_stored: int = 0


@dataclass(frozen=True, slots=True)
class SealedBy:
    """What one key protects in a bucket. size is plaintext bytes of all versions; objects: newest versions only."""

    versions: int = 0
    size: int = 0
    objects: int = 0


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One part of a multipart object or upload. Sizes in bytes; meta is the domain's (part checksum, …)."""

    number: int
    size: int  # plaintext
    stored: int  # ciphertext, as it lies in the store
    etag: bytes  # opaque to the store (may be sealed)
    modified: int = 0  # nanoseconds since the epoch
    meta: bytes = b""


class NewVersion(msgspec.Struct, frozen=True):
    """What a writer knows about a version before the store has given it its id, time and place.

    size    plaintext bytes
    etag    what a listing needs, opaque to the store (sealed under the bucket's list key when encrypted)
    meta    the domain's record (headers, user metadata, sealed keys, checksums), opaque to the store
    tags    opaque, changeable later through `amend`; lock likewise (retention and legal hold)
    """

    key: str
    size: int
    etag: bytes
    meta: bytes
    tags: bytes = b""
    lock: bytes = b""
    version_id: str | None = None  # only an import or a replica names its own
    modified: int | None = None  # nanoseconds; None: the store's clock at commit
    sealed_by: str = ""  # the key (and version) that protects it, opaque to the store, which counts by it
    in_place: bool = False  # exchange body and record of version_id, which stays where it is among the versions


@dataclass(slots=True)  # one for each request: frozen ones take four times as long to make
class ObjectVersion:
    """A version of an object, or a delete marker, as stored."""

    key: str
    version_id: str  # NULL_VERSION for the null version
    modified: int  # nanoseconds since the epoch
    size: int  # plaintext bytes
    stored: int  # ciphertext bytes
    etag: bytes
    latest: bool
    delete_marker: bool = False
    meta: bytes = b""
    tags: bytes = b""
    lock: bytes = b""
    parts: tuple[PartRecord, ...] = ()  # empty for an object written in one piece
    place: object = field(default=None, repr=False, compare=False)  # the store's own: inline bytes or file names
    sealed_by: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of a listing: no body, no metadata. Read from the covering index alone."""

    key: str
    version_id: str
    modified: int
    size: int
    etag: bytes
    latest: bool
    delete_marker: bool


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which page of a bucket. Markers are exclusive; a page counts entries and common prefixes together.

    after_version goes with after when versions are listed: continue behind this version of the key `after`
    (None: behind all versions of it).
    """

    prefix: str = ""
    after: str = ""
    delimiter: str = ""
    limit: int = 1000
    versions: bool = False  # all versions and delete markers, newest first within a key
    after_version: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """entries and prefixes, each in UTF-8 byte order. When truncated, next_after (and next_version) continue it."""

    entries: tuple[Listed, ...]
    prefixes: tuple[str, ...] = ()
    truncated: bool = False
    next_after: str = ""
    next_version: str | None = None


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """An unfinished multipart upload. meta is the domain's: headers, sealed keys, wanted checksum."""

    key: str
    upload_id: str
    started: int  # nanoseconds since the epoch
    meta: bytes = b""


@dataclass(frozen=True, slots=True)
class UploadPage:
    """Unfinished uploads by key, then by start."""

    uploads: tuple[UploadRecord, ...]
    prefixes: tuple[str, ...] = ()
    truncated: bool = False
    next_key: str = ""
    next_upload: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a delete did. version_id: of the marker made or the version removed ("" in an unversioned bucket)."""

    version_id: str = ""
    delete_marker: bool = False  # a marker was made, or the version removed was one
    found: bool = True
