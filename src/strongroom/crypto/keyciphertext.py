"""Small messages sealed under a master key, in every form ever issued. Format: docs/formats/key-ciphertext.md."""

import base64
import binascii
import hmac
import json
import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from strongroom.crypto import aead, dare
from strongroom.crypto.aead import Cipher
from strongroom.crypto.fingerprint import fingerprint
from strongroom.crypto.mac import hmac_sha256
from strongroom.crypto.secret import Buffer
from strongroom.errors import Malformed, Tampered

MAGIC = b"\xd5STRKEY\x01"  # 8 bytes; neither "{" nor 0x95, which begin the legacy forms
OVERHEAD = 16 + 16 + 12  # bytes that the current form adds: tag, iv, nonce
_HEADER = struct.Struct(">8sI8s")
_IV, _NONCE = 16, 12


class KeyType(IntEnum):
    """What a master key is used with; the numbers are those of a stored key (kes.md 5.1)."""

    AES256 = 1
    CHACHA20 = 2


@dataclass(frozen=True, slots=True)
class Version:
    """What a ciphertext's header says about the key that sealed it. Version 1 has no header: no fingerprint then."""

    number: int
    fingerprint: bytes  # the first 8 bytes of `fingerprint(key)`; empty for version 1


def version_of(ciphertext: Buffer) -> Version:
    """Say which version of its key sealed a ciphertext."""
    if len(ciphertext) > _HEADER.size and bytes(ciphertext[:8]) == MAGIC:
        _, number, print8 = _HEADER.unpack_from(ciphertext)
        return Version(number, print8)
    return Version(1, b"")


def seal(key: Buffer, plaintext: Buffer, aad: Buffer, *, kind: KeyType = KeyType.AES256, version: int = 1) -> bytes:
    """Return plaintext sealed to aad: ciphertext ‖ tag ‖ iv ‖ nonce, after a header from version 2 on (kes.md 5.2)."""
    if version < 1:
        raise ValueError(f"key version {version}")
    header = b"" if version == 1 else _HEADER.pack(MAGIC, version, fingerprint(key)[:8])
    random = os.urandom(_IV + _NONCE)  # in one call, because each is a system call
    sealed = aead.seal(_subkey(key, random[:_IV], kind), random[_IV:], plaintext, header + bytes(aad), _CIPHERS[kind])
    return header + sealed + random


def open(key: Buffer, ciphertext: Buffer, aad: Buffer, *, kind: KeyType = KeyType.AES256) -> bytes:
    """Return the plaintext of any form, current, versioned or legacy; raise Tampered when it does not open.

    `key` is the version that `version_of` names. A legacy form names its algorithm: that one is tried first, then
    the key's own type, because keys stored before types existed sealed with either (kes.md 5.3).
    """
    ciphertext = bytes(ciphertext)
    if ciphertext.startswith(MAGIC) and len(ciphertext) > _HEADER.size:
        _, _, print8 = _HEADER.unpack_from(ciphertext)
        if not hmac.compare_digest(print8, fingerprint(key)[:8]):
            raise Tampered("sealed under another key of this name")
        return _open_current(key, ciphertext[_HEADER.size :], ciphertext[: _HEADER.size] + bytes(aad), kind)
    legacy = parse_legacy(ciphertext)
    if legacy is None:
        return _open_current(key, ciphertext, aad, kind)
    named, body = legacy
    try:
        return _open_current(key, body, aad, named)
    except Tampered:
        if named == kind:
            raise
        return _open_current(key, body, aad, kind)


_CIPHERS = {KeyType.AES256: Cipher.AES_256_GCM, KeyType.CHACHA20: Cipher.CHACHA20_POLY1305}


def _subkey(key: Buffer, iv: bytes, kind: KeyType) -> bytes:
    return hmac_sha256(key, iv) if kind is KeyType.AES256 else aead.hchacha20(key, iv)


def _open_current(key: Buffer, body: bytes, aad: Buffer, kind: KeyType) -> bytes:
    if len(body) < OVERHEAD:
        raise Tampered("shorter than its tag, iv and nonce")
    sealed, iv, nonce = body[: -_IV - _NONCE], body[-_IV - _NONCE : -_NONCE], body[-_NONCE:]
    return aead.open(_subkey(key, iv, kind), nonce, sealed, aad, _CIPHERS[kind])


_JSON_NAMES = {"AES-256-GCM-HMAC-SHA-256": KeyType.AES256, "ChaCha20Poly1305": KeyType.CHACHA20}
_MSGPACK_NAMES = {
    b"AES256-GCM_SHA256": KeyType.AES256,
    b"AES256": KeyType.AES256,
    b"XCHACHA20-POLY1305": KeyType.CHACHA20,
    b"ChaCha20": KeyType.CHACHA20,
}


def parse_legacy(ciphertext: bytes) -> tuple[KeyType, bytes] | None:
    """Return a legacy form's algorithm and its bytes in the current order; None when it is not a legacy form.

    A random ciphertext begins like a legacy form 1 time in 128, so what does not parse is not an error (kes.md 5.3).
    """
    try:
        if ciphertext[:1] == b"{":
            return _parse_json(ciphertext)
        if ciphertext[:1] == b"\x95":
            return _parse_msgpack(ciphertext)
    except Malformed:
        return None
    return None


def _parse_json(data: bytes) -> tuple[KeyType, bytes]:
    try:
        members = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    if not isinstance(members, dict):
        raise Malformed("not a JSON object")
    fields: dict[str, Any] = {name.lower(): value for name, value in members.items()}
    kind = _JSON_NAMES.get(fields["aead"]) if isinstance(fields.get("aead"), str) else None
    if kind is None or not isinstance(fields.get("id", ""), str):
        raise Malformed("no known aead")
    iv, nonce, sealed = (_base64(fields.get(name)) for name in ("iv", "nonce", "bytes"))
    return _normalised(kind, iv, nonce, sealed)


def _base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise Malformed("not a base64 string")
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (ValueError, binascii.Error) as error:
        raise Malformed("not base64") from error


def _normalised(kind: KeyType, iv: bytes, nonce: bytes, sealed: bytes) -> tuple[KeyType, bytes]:
    if len(iv) != _IV or len(nonce) != _NONCE:
        raise Malformed("iv or nonce of another length")
    return kind, sealed + iv + nonce


def _parse_msgpack(data: bytes) -> tuple[KeyType, bytes]:
    name, at = _msgpack_item(data, 1, _STRINGS)
    _, at = _msgpack_item(data, at, _STRINGS)  # the key's id, which no later server looked at
    iv, at = _msgpack_item(data, at, _BINARIES)
    nonce, at = _msgpack_item(data, at, _BINARIES)
    sealed, at = _msgpack_item(data, at, _BINARIES)
    if name not in _MSGPACK_NAMES or at != len(data):
        raise Malformed("no known algorithm, or bytes behind the end")
    return _normalised(_MSGPACK_NAMES[name], iv, nonce, sealed)


_STRINGS = {0xD9: 1, 0xDA: 2, 0xDB: 4}  # MessagePack's str 8, 16, 32: the width of the length
_BINARIES = {0xC4: 1, 0xC5: 2, 0xC6: 4}  # bin 8, 16, 32


def _msgpack_item(data: bytes, at: int, widths: dict[int, int]) -> tuple[bytes, int]:
    """Return one string or byte field and the place behind it."""
    lead = data[at] if at < len(data) else 0
    if widths is _STRINGS and 0xA0 <= lead <= 0xBF:  # fixstr
        size, start = lead & 0x1F, at + 1
    elif lead in widths:
        start = at + 1 + widths[lead]
        size = int.from_bytes(data[at + 1 : start], "big")
    else:
        raise Malformed("another MessagePack type")
    if start + size > len(data):
        raise Malformed("cut short")
    return data[start : start + size], start + size


def open_master(key: Buffer, key_id: str, ciphertext: Buffer, aad: Buffer) -> bytes:
    """Open a data key sealed under a master key of 2018 to April 2021 (sse.md 1.4): 64 bytes, a DARE stream.

    Raises Tampered when it does not open.
    """
    if len(ciphertext) != 32 + dare.OVERHEAD:
        raise Tampered("not the length of a data key")
    return dare.open_small(hmac.digest(key, key_id.encode() + bytes(aad), "sha256"), ciphertext)


def seal_master(key: Buffer, key_id: str, plaintext: Buffer, aad: Buffer) -> bytes:
    """Seal as `open_master` opens: for tests, and never for new objects."""
    return dare.seal_small(hmac.digest(key, key_id.encode() + bytes(aad), "sha256"), plaintext)
