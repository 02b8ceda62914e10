"""What rows say that were read a short while ago, decoded and verified, for objects that are read again and again.

It depends on the row and the bucket's list keys alone, both of which are looked up anew for every request.
"""

from collections import OrderedDict

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
Place = tuple[ListKeys, str, int, bytes, bytes, bytes, bytes]  # list keys, and what of a row is read with them


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
        self._kept: OrderedDict[Place, Revealed] = OrderedDict()

    def get(self, keys: ListKeys, version: ObjectVersion) -> Revealed:
        """Return what a row says; raise ObjectTampered for changed tags or locks of an encrypted object."""
        place = keys, version.key, version.modified, version.etag, version.meta, version.tags, version.lock
        found = self._kept.get(place)
        if found is None:
            found = _reveal(keys, version)
            if len(version.meta) + len(version.tags) + len(version.lock) <= LARGEST:
                self._kept[place] = found
                if len(self._kept) > LIMIT:
                    self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(place)
        return found


def _reveal(keys: ListKeys, version: ObjectVersion) -> Revealed:
    meta = unpack_meta(version.meta)
    etag = keys.check(version.etag, version.key, lambda: aside(meta, version.tags, version.lock))
    info = describe(meta.seal)
    headers = wire.object_headers(wire.Shown(meta.headers, meta.user), etag=etag, modified=version.modified)
    if info.kind is not Kind.C:
        headers += sse_headers.response_headers(info, "")
    return Revealed(meta, etag, info, tuple(headers))
