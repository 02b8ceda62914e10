"""From a data key to every key of an object (sse.md 1.1). Format of the sealed key: docs/formats/sealed-keys.md.

data key --HMAC(iv, domain, path)--> key encryption key --seals--> object key --HMAC--> part, ETag, checksum keys
"""

import hashlib
import hmac
import os
from enum import StrEnum

from strongroom.crypto import dare
from strongroom.crypto.mac import hmac_sha256
from strongroom.crypto.secret import Buffer, Secret
from strongroom.errors import Malformed, Tampered

ALGORITHM = "DAREv2-HMAC-SHA256"
LEGACY_ALGORITHM = "DARE-SHA256"  # mid-2018 and older, SSE-C only, for reading
SEALED_KEY_SIZE = 64  # bytes: header 16, key 32, tag 16
IV_SIZE = 32  # bytes
ETAG_SIZE = 16  # bytes, of the digest that becomes an ETag


class Domain(StrEnum):
    """What kind of external key stands above the object key; part of the derivation."""

    SSE_C = "SSE-C"
    SSE_S3 = "SSE-S3"
    SSE_KMS = "SSE-KMS"


_LABELS = {domain: (domain + ALGORITHM).encode() for domain in Domain}


def new_iv() -> bytes:
    """Return 32 random bytes, public."""
    return os.urandom(IV_SIZE)


def new_object_key(data_key: Secret) -> Secret:
    """Return a fresh object key. The data key adds its own randomness to this machine's."""
    return Secret(_prf(data_key, b"object-encryption-key generation" + os.urandom(32)))


def seal_object_key(object_key: Secret, data_key: Secret, iv: bytes, domain: Domain, path: str) -> bytes:
    """Return the object key sealed to its address: 64 bytes. `path` is `context.path(bucket, object)`."""
    return dare.seal_small(_key_encryption_key(data_key, iv, domain, path), object_key.reveal())


def open_object_key(
    sealed: bytes, data_key: Secret, iv: bytes, domain: Domain, path: str, algorithm: str = ALGORITHM
) -> Secret:
    """Return the object key. Raise Malformed on lengths and algorithms that do not exist, Tampered on a wrong key."""
    if len(sealed) != SEALED_KEY_SIZE or len(iv) != IV_SIZE:
        raise Malformed("a sealed key or iv of another length")
    if algorithm == ALGORITHM:
        if sealed[0] != dare.VERSION_2:
            raise Tampered("a sealed key of another version")
        return Secret(dare.open_small(_key_encryption_key(data_key, iv, domain, path), sealed))
    if algorithm == LEGACY_ALGORITHM and domain is Domain.SSE_C:
        return Secret(dare.open_small(_legacy_key_encryption_key(data_key, iv), sealed))
    raise Malformed("an unknown seal algorithm")


def part_key(object_key: Secret, number: int) -> Secret:
    """Return the key of part `number` (1-10000, the S3 part number) of a multipart object."""
    return Secret(_prf(object_key, number.to_bytes(4, "little")))


def checksum_key(object_key: Secret) -> Secret:
    """Return the key of the checksum blob."""
    return Secret(_prf(object_key, b"object-checksum"))


def index_key(object_key: Secret) -> Secret:
    """Return the key of a compressed object's seek index."""
    return Secret(_prf(object_key, b"compression-index"))


def record_key(object_key: Secret) -> Secret:
    """Return the key of what we authenticate beside the content (docs/formats/sealed-keys.md): ours, not MinIO's."""
    return Secret(_prf(object_key, b"strongroom-object-record-v1"))


def seal_etag(object_key: Secret, digest: bytes) -> bytes:
    """Return a 16-byte digest sealed as an ETag: 48 bytes. Parts too use the object key (sse.md 4)."""
    return dare.seal_small(_prf(object_key, b"SSE-etag"), digest)


def open_etag(object_key: Secret, sealed: bytes) -> bytes:
    """Return the 16 bytes; raise Tampered when they do not open."""
    digest = dare.open_small(_prf(object_key, b"SSE-etag"), sealed)
    if len(digest) != ETAG_SIZE:
        raise Tampered("an ETag of another length")
    return digest


def _prf(key: Secret, message: Buffer) -> bytes:
    return hmac_sha256(key.reveal(), message)


def _key_encryption_key(data_key: Secret, iv: bytes, domain: Domain, path: str) -> bytes:
    return _prf(data_key, iv + _LABELS[domain] + path.encode("utf-8", "surrogateescape"))


def _legacy_key_encryption_key(data_key: Secret, iv: bytes) -> bytes:
    return hashlib.sha256(bytes(data_key) + iv).digest()  # bound to no address: why it is not written any more


_MARK = b"strongroom-record-v1"


def marked_iv(data_key: Secret) -> bytes:
    """Return an iv that says, to whoever has the data key, that a record tag belongs to the object.

    24 random bytes and 8 of their HMAC. The iv is an input of the key encryption key, so nobody can take the mark,
    and with it the demand for a tag, off an object whose seal still opens. To MinIO it is an iv like any other.
    """
    random = os.urandom(IV_SIZE - 8)
    return random + _prf(data_key, _MARK + random)[:8]


def is_marked(iv: bytes, data_key: Secret) -> bool:
    """Say whether `marked_iv` made this iv under this data key; by chance once in 2**64."""
    return hmac.compare_digest(_prf(data_key, _MARK + iv[:-8])[:8], iv[-8:])
