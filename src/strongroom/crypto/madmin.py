"""Containers of the admin API and of configuration at rest. Format: docs/formats/madmin.md (sse.md 11, 14).

A container is `salt ‖ id ‖ nonce ‖ chunks` under a password; the chunk stream alone, under a data key, seals what the
server keeps for itself.
"""

import hashlib
import os
import struct
from collections.abc import Callable
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from strongroom.crypto.aead import TAG_SIZE, Aead, Cipher, checked_open
from strongroom.crypto.secret import Buffer
from strongroom.errors import Malformed, Tampered

CHUNK_SIZE = 16 * 1024  # bytes of plaintext in a chunk
NONCE_SIZE = 8  # bytes; a counter of 4 makes it a nonce of 12
SALT_SIZE = 32  # bytes
HEAD_SIZE = SALT_SIZE + 1 + NONCE_SIZE
_LAST, _MORE = b"\x80", b"\x00"


class Scheme(IntEnum):
    """How a container's key comes from a password, and the AEAD under it."""

    ARGON2ID_AES_GCM = 0
    ARGON2ID_CHACHA20_POLY1305 = 1
    PBKDF2_AES_GCM = 2


def _argon2id(password: bytes, salt: bytes) -> bytes:
    return Argon2id(salt=salt, length=32, iterations=1, lanes=4, memory_cost=64 * 1024).derive(password)


def _pbkdf2(password: bytes, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, salt, 8192, 32)


_SCHEMES: dict[int, tuple[Callable[[bytes, bytes], bytes], Cipher]] = {
    Scheme.ARGON2ID_AES_GCM: (_argon2id, Cipher.AES_256_GCM),
    Scheme.ARGON2ID_CHACHA20_POLY1305: (_argon2id, Cipher.CHACHA20_POLY1305),
    Scheme.PBKDF2_AES_GCM: (_pbkdf2, Cipher.AES_256_GCM),
}


def seal(password: Buffer, plaintext: Buffer, scheme: Scheme = Scheme.ARGON2ID_AES_GCM) -> bytes:
    """Return a container. Argon2id takes about 64 MiB and 50 ms: not in the event loop."""
    salt, nonce = os.urandom(SALT_SIZE), os.urandom(NONCE_SIZE)
    derive, cipher = _SCHEMES[scheme]
    return salt + bytes([scheme]) + nonce + seal_chunks(derive(bytes(password), salt), nonce, plaintext, cipher)


def open(password: Buffer, container: Buffer) -> bytes:
    """Return a container's plaintext. Raise Malformed when it is none, Tampered when it does not open."""
    container = bytes(container)
    if len(container) < HEAD_SIZE + TAG_SIZE:
        raise Malformed("unexpected header")
    salt, scheme, nonce = container[:SALT_SIZE], container[SALT_SIZE], container[SALT_SIZE + 1 : HEAD_SIZE]
    if scheme not in _SCHEMES:
        raise Malformed("invalid encryption algorithm ID")
    derive, cipher = _SCHEMES[scheme]
    return open_chunks(derive(bytes(password), salt), nonce, container[HEAD_SIZE:], cipher)


def seal_chunks(
    key: Buffer,
    nonce: bytes,
    plaintext: Buffer,
    cipher: Cipher = Cipher.AES_256_GCM,
    *,
    aad: bytes = b"",
    chunk_size: int = CHUNK_SIZE,
) -> bytes:
    """Return plaintext as chunks, each with a tag, the last one marked; there is always a last one (sse.md 14.2).

    key: 32 bytes (16 for AES-128); nonce: 8 bytes, never twice under one key.
    """
    sealer, view = _aead(key, cipher), memoryview(plaintext)
    first_tag = sealer.encrypt(nonce + struct.pack("<I", 0), b"", aad)
    starts = range(0, max(len(view), 1), chunk_size)
    return b"".join(
        sealer.encrypt(nonce + struct.pack("<I", number), view[start : start + chunk_size], flag + first_tag)
        for number, start in enumerate(starts, 1)
        for flag in [_LAST if start + chunk_size >= len(view) else _MORE]
    )


def open_chunks(
    key: Buffer,
    nonce: bytes,
    sealed: Buffer,
    cipher: Cipher = Cipher.AES_256_GCM,
    *,
    aad: bytes = b"",
    chunk_size: int = CHUNK_SIZE,
) -> bytes:
    """Return the plaintext of a chunk stream; raise Tampered when any of it does not open."""
    opener, view = _aead(key, cipher), memoryview(sealed)
    if not view:
        raise Tampered("the last chunk is missing")
    first_tag = opener.encrypt(nonce + struct.pack("<I", 0), b"", aad)
    step = chunk_size + TAG_SIZE
    return b"".join(
        checked_open(opener, nonce + struct.pack("<I", number), view[start : start + step], flag + first_tag)
        for number, start in enumerate(range(0, len(view), step), 1)
        for flag in [_LAST if start + step >= len(view) else _MORE]
    )


def _aead(key: Buffer, cipher: Cipher) -> Aead:
    return ChaCha20Poly1305(key) if cipher is Cipher.CHACHA20_POLY1305 else AESGCM(key)
