"""ETags as clients see them and as they are stored (sse.md 4)."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.object_seal import ObjectSeal


@dataclass(frozen=True, slots=True)
class Etag:
    """shown: what clients see, without quotes; stored: what lies beside the object."""

    shown: str
    stored: str


def needs_md5(kind: Kind | None) -> bool:
    """Say whether the content's MD5 becomes the ETag: only of plain and SSE-S3 objects; the others need none."""
    return kind is None or kind is Kind.S3


def new_etag(seal: ObjectSeal | None, md5: bytes | None) -> Etag:
    """Return the ETag of a new object or part. md5: of the plaintext, where `needs_md5` asks for it."""
    if seal is None or seal.kind is Kind.S3:
        assert md5 is not None
        return Etag(md5.hex(), md5.hex() if seal is None else seal.seal_etag(md5))
    stored = seal.seal_etag(os.urandom(16))
    return Etag(stored[-32:], stored)


def shown_etag(stored: str, kind: Kind | None, seal: ObjectSeal | None = None) -> str:
    """Return what clients see of a stored ETag. Only an SSE-S3 object's needs its seal; raises ObjectTampered.

    The last 32 characters of an SSE-KMS or SSE-C one are the tag of its seal: stable, and no MD5 of anything.
    """
    if kind is None or len(stored) == 32 or "-" in stored:
        return stored
    if kind is Kind.S3 and seal is not None:
        return seal.open_etag(stored).hex()
    return stored[-32:]


def multipart_etag(shown: Sequence[str]) -> str:
    """Return the ETag of a multipart object from those of its parts, as clients see them."""
    joined = b"".join(bytes.fromhex(one) for one in shown)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(shown)}"
