"""Seals that were opened and verified a short while ago, for objects that are read again and again.

What opening and verifying finds depends on the stored row and the data key alone, so it need not be found twice. A
seal holds exactly as long as the data key cache still gives out the key that opened it: a lock, a deletion, a time
limit that drops the data key drops the seal, because the key that comes after it is another object.
"""

import asyncio
from collections import OrderedDict

from strongroom.s3.domain.object_seal import ObjectSeal
from strongroom.s3.domain.ports import DataKeys
from strongroom.s3.domain.records import ObjectVersion

TIDY_SECONDS = 5.0
LIMIT = 4096  # seals; about 3 KiB each
Place = tuple[str, str, int, bytes, bytes]  # bucket, key, size, record and ETag as stored: all that a seal vouches for


class OpenedSeals:
    """The most recently used seals. Customers' keys and multipart objects are not kept."""

    def __init__(self, keys: DataKeys | None) -> None:
        self._keys = keys
        self._kept: OrderedDict[Place, ObjectSeal] = OrderedDict()

    def get(self, bucket: str, version: ObjectVersion) -> ObjectSeal | None:
        """Return a seal that has been verified against exactly this row, and whose data key may be used now."""
        if self._keys is None:
            return None
        place = _place(bucket, version)
        seal = self._kept.get(place)
        if seal is None:
            return None
        if not _usable(self._keys, seal, use=True):
            del self._kept[place]
            return None
        self._kept.move_to_end(place)
        return seal

    def put(self, bucket: str, version: ObjectVersion, seal: ObjectSeal) -> None:
        """Keep a verified seal, if its data key is kept."""
        if self._keys is None or version.parts or not _usable(self._keys, seal):
            return
        self._kept[_place(bucket, version)] = seal
        if len(self._kept) > LIMIT:
            self._kept.popitem(last=False)

    async def tidy(self) -> None:
        """Drop, now and then and for ever, what cannot be used any more, so that no key stays in memory for nothing."""
        while self._keys is not None:
            await asyncio.sleep(TIDY_SECONDS)
            for place in [place for place, seal in self._kept.items() if not _usable(self._keys, seal)]:
                del self._kept[place]


def _usable(keys: DataKeys, seal: ObjectSeal, *, use: bool = False) -> bool:
    under = seal.under
    return under is not None and keys.kept(under.name, under.ciphertext, under.context, use=use) is under.data_key


def _place(bucket: str, version: ObjectVersion) -> Place:
    return bucket, version.key, version.size, version.meta, version.etag
