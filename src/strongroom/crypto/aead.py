"""The two AEADs, one call each, and HChaCha20."""

import struct
from enum import IntEnum
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as _StreamCipher
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from strongroom.crypto.secret import Buffer
from strongroom.errors import Tampered

KEY_SIZE = 32  # bytes
NONCE_SIZE = 12  # bytes
TAG_SIZE = 16  # bytes

Aead: TypeAlias = AESGCM | ChaCha20Poly1305


class Cipher(IntEnum):
    """The numbers are those of a DARE header (sse.md 2.1)."""

    AES_256_GCM = 0
    CHACHA20_POLY1305 = 1


_KINDS: dict[int, type[AESGCM] | type[ChaCha20Poly1305]] = {0: AESGCM, 1: ChaCha20Poly1305}


def aead(key: Buffer, cipher: Cipher = Cipher.AES_256_GCM) -> Aead:
    """Return the library's object for a 32-byte key; worth keeping when many messages are sealed under it."""
    if len(key) != KEY_SIZE:
        raise ValueError(f"a key of {len(key)} bytes")
    return _KINDS[cipher](key)


def seal(key: Buffer, nonce: Buffer, plaintext: Buffer, aad: Buffer, cipher: Cipher = Cipher.AES_256_GCM) -> bytes:
    """Return ciphertext ‖ 16-byte tag. A nonce must not be used twice under one key."""
    return aead(key, cipher).encrypt(nonce, plaintext, aad)


def open(key: Buffer, nonce: Buffer, sealed: Buffer, aad: Buffer, cipher: Cipher = Cipher.AES_256_GCM) -> bytes:
    """Return the plaintext of ciphertext ‖ tag; raise Tampered when the tag does not verify."""
    return checked_open(aead(key, cipher), nonce, sealed, aad)


def checked_open(opened_with: Aead, nonce: Buffer, sealed: Buffer, aad: Buffer) -> bytes:
    """As `open`, with an object of `aead`."""
    if len(sealed) < TAG_SIZE:
        raise Tampered("shorter than an authentication tag")
    try:
        return opened_with.decrypt(nonce, sealed, aad)
    except InvalidTag as error:
        raise Tampered("the authentication tag does not verify") from error


_CONSTANTS = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)  # "expand 32-byte k" (RFC 8439, 2.3)
_WORDS = struct.Struct("<16I")


def hchacha20(key: Buffer, nonce: Buffer) -> bytes:
    """Return the 32-byte subkey of a 32-byte key and a 16-byte nonce (draft-irtf-cfrg-xchacha-03, 2.2).

    A ChaCha20 block is the permuted state plus the first state. HChaCha20 wants words 0-3 and 12-15 without that
    addition, and those words of the first state are known: the constants and the nonce.
    """
    if len(nonce) != 16:
        raise ValueError(f"a nonce of {len(nonce)} bytes")
    stream = _StreamCipher(algorithms.ChaCha20(bytes(key), bytes(nonce)), mode=None).encryptor()
    block = _WORDS.unpack(stream.update(bytes(64)))
    added = _CONSTANTS + struct.unpack("<4I", nonce)
    ends = block[:4] + block[12:]
    return struct.pack("<8I", *((word - plus) & 0xFFFFFFFF for word, plus in zip(ends, added, strict=True)))
