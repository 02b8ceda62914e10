"""The server's own entries at rest, in MinIO's form. Format: docs/formats/backend-entry.md."""

import base64
import binascii
import json
import os
import struct
from dataclasses import dataclass

from strongroom.crypto import context, madmin
from strongroom.crypto.aead import Cipher
from strongroom.errors import Malformed
from strongroom.s3.domain.ports import DataKey

VERSION = 1
MAX_METADATA = 1024 * 1024  # bytes
_HEAD = struct.Struct("<BI")
_SYSTEM = ".minio.sys"
_CIPHERS = {"AES-256-GCM": Cipher.AES_256_GCM, "ChaCha20-Poly1305": Cipher.CHACHA20_POLY1305}


@dataclass(frozen=True, slots=True)
class Entry:
    """A sealed entry: the data key's name and ciphertext, then a chunk stream under that data key."""

    key_name: str
    data_key: bytes
    cipher: Cipher
    nonce: bytes
    chunks: bytes


def contexts(name: str) -> tuple[bytes, bytes]:
    """Return the contexts to open an entry with: the one that is written, and an older one (sse.md 1.2)."""
    return context.canonical({_SYSTEM: f"{_SYSTEM}/{name}"}), context.canonical({_SYSTEM: name})


def is_sealed(data: bytes) -> bool:
    """Say whether bytes begin as a sealed entry; JSON does not."""
    return data[:1] == bytes([VERSION])


def key_name_of(data: bytes) -> str:
    """Return the name of the key that an entry is sealed under; "" for one that lies in clear or cannot be read."""
    try:
        return parse(data).key_name if is_sealed(data) else ""
    except Malformed:
        return ""


def seal(made: DataKey, plaintext: bytes) -> bytes:
    """Return an entry under a fresh data key, which was made with the first of `contexts`."""
    nonce = os.urandom(madmin.NONCE_SIZE)
    fields = {
        "keyid": made.key_name,
        "kmskey": base64.b64encode(made.ciphertext).decode(),
        "algorithm": "AES-256-GCM",
        "nonce": base64.b64encode(nonce).decode(),
    }
    metadata = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    return _HEAD.pack(VERSION, len(metadata)) + metadata + madmin.seal_chunks(made.plaintext.reveal(), nonce, plaintext)


def parse(data: bytes) -> Entry:
    """Read a sealed entry; raise Malformed. `madmin.open_chunks` opens its chunks."""
    try:
        version, size = _HEAD.unpack_from(data)
        if version != VERSION or size > MAX_METADATA or len(data) < _HEAD.size + size:
            raise ValueError(f"version {version}, {len(data)} bytes")
        fields = json.loads(data[_HEAD.size : _HEAD.size + size])
        nonce = base64.b64decode(fields["nonce"], validate=True)
        if len(nonce) != madmin.NONCE_SIZE:
            raise ValueError(f"a nonce of {len(nonce)} bytes")
        data_key = base64.b64decode(fields["kmskey"], validate=True)
        cipher = _CIPHERS[fields["algorithm"]]
        return Entry(str(fields["keyid"]), data_key, cipher, nonce, data[_HEAD.size + size :])
    except (struct.error, binascii.Error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Malformed(f"sealed entry: {error}") from error
