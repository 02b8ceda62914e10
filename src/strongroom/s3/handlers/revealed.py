"""What rows say that were read a short while ago, decoded and verified, for objects that are read again and again.

It depends on the row and the bucket's list keys alone, both of which are looked up anew for every request.
"""

from functools import lru_cache

import msgspec

from strongroom.s3.domain.aside import aside
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.object_record import ObjectMeta, unpack_meta
from strongroom.s3.domain.records import ObjectVersion
from strongroom.s3.domain.seal_metadata import SealInfo, describe
from strongroom.s3.handlers.list_keys import ListKeys
from strongroom.s3.wire import object_headers as wire
from strongroom.s3.wire import sse_headers

LIMIT = 4096  # rows; about 2 KiB each
LARGEST = 2048  # bytes of record, tags and lock: larger rows are rare, and read anew


class Revealed(msgspec.Struct, frozen=True):
    """A row's record, the ETag that clients see, what its seal says without a key, and the headers of both.

    Shared by requests: nothing in it may be changed. headers: without those of a customer's key.
    """

    meta: ObjectMeta
    etag: str
    info: SealInfo
    headers: tuple[tuple[str, str], ...]


class RevealedRows:
    """The rows that were read last."""

    def __init__(self) -> None:
        self._kept = lru_cache(maxsize=LIMIT)(_reveal)

    def get(self, keys: ListKeys, version: ObjectVersion) -> Revealed:
        """Return what a row says; raise ObjectTampered for changed tags or locks of an encrypted object."""
        small = len(version.meta) + len(version.tags) + len(version.lock) <= LARGEST
        read = self._kept if small else _reveal
        return read(keys, version.key, version.modified, version.etag, version.meta, version.tags, version.lock)


def _reveal(
    keys: ListKeys, key: str, modified: int, stored: bytes, record: bytes, tags: bytes, lock: bytes
) -> Revealed:
    meta = unpack_meta(record)
    etag = keys.check(stored, key, lambda: aside(meta, tags, lock))
    info = describe(meta.seal)
    headers = wire.object_headers(wire.Shown(meta.headers, meta.user), etag=etag, modified=modified)
    if info.kind is not Kind.C:
        headers += sse_headers.response_headers(info, "")
    return Revealed(meta, etag, info, tuple(headers))
