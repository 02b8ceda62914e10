"""ETags as clients see them (sse.md 4)."""

import hashlib
from collections.abc import Sequence

from strongroom.s3.domain.encryption import Kind


def needs_md5(kind: Kind | None) -> bool:
    """Say whether the content's MD5 becomes the ETag: only of plain and SSE-S3 objects; the others need none."""
    return kind is None or kind is Kind.S3


def multipart_etag(shown: Sequence[str]) -> str:
    """Return the ETag of a multipart object from those of its parts, as clients see them."""
    joined = b"".join(bytes.fromhex(one) for one in shown)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(shown)}"
