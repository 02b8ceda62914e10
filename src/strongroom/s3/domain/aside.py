"""What of an encrypted version may change without its key: tags, lock, access control list. Format: object-record.md.

An ETag's column vouches for it (handlers/list_keys.py), under a key of the bucket's that the default key seals.
"""

import hashlib
import struct

from strongroom.s3.domain.object_record import ObjectMeta
from strongroom.s3.domain.seal_metadata import RECORD

_MARK_SIZE = 12  # characters of the record tag: 72 bits say which version it is
_DIGEST_SIZE = 16  # bytes of SHA-256
_LENGTHS = struct.Struct(">II")


def aside(meta: ObjectMeta, tags: bytes, lock: bytes) -> bytes:
    """Return what is vouched for: which version it is, and a digest of what may change, none when there is nothing."""
    mark = meta.seal.get(RECORD, "")[:_MARK_SIZE].ljust(_MARK_SIZE, "-").encode()
    if not tags and not lock and not meta.acl:
        return mark
    return mark + hashlib.sha256(_LENGTHS.pack(len(tags), len(lock)) + tags + lock + meta.acl).digest()[:_DIGEST_SIZE]
