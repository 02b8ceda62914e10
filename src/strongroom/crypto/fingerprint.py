"""A key's fingerprint: tells a new key under an old name from the old one, and nothing about its bytes."""

import hmac

from strongroom.crypto.secret import Buffer

LABEL = b"strongroom-fingerprint-v1"
SIZE = 16  # bytes


def fingerprint(key: Buffer) -> bytes:
    """Return the first 16 bytes of HMAC-SHA-256(key, LABEL); show it as hex."""
    return hmac.digest(key, LABEL, "sha256")[:SIZE]
