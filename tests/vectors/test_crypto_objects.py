"""Objects as a reference server stored them open with our keys, streams, ETags and checksum blobs."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from strongroom.crypto import context, dare, hierarchy, keyciphertext
from strongroom.crypto.hierarchy import Domain
from strongroom.crypto.secret import Secret

FILE = json.loads((Path(__file__).parent / "sse" / "objects.json").read_text())
PREFIX = "X-Minio-Internal-Server-Side-Encryption-"
MODES = {
    "sse-s3": (Domain.SSE_S3, "S3-Sealed-Key"),
    "sse-kms": (Domain.SSE_KMS, "Kms-Sealed-Key"),
    "sse-kms-context": (Domain.SSE_KMS, "Kms-Sealed-Key"),
    "sse-c": (Domain.SSE_C, "Sealed-Key"),
}


def plain(label: str, size: int) -> bytes:
    return b"".join(hashlib.sha256(f"{label}:{n}".encode()).digest() for n in range(size // 32 + 1))[:size]


def metadata(vector, name):
    return base64.b64decode(base64.b64decode(vector["internal_metadata_base64"][PREFIX + name]))


def data_key(vector) -> Secret:
    if vector["customer_key_hex"]:
        return Secret(bytes.fromhex(vector["customer_key_hex"]))
    where = context.path(vector["bucket"], vector["object"])
    used = {**(vector["context"] or {})}
    used.setdefault(vector["bucket"], where)
    sealed = metadata(vector, "S3-Kms-Sealed-Key")
    return Secret(keyciphertext.open(bytes.fromhex(vector["kms_key_hex"]), sealed, context.canonical(used)))


@pytest.mark.parametrize("v", FILE["objects"], ids=lambda v: v["name"])
def test_object(v):
    key = data_key(v)
    assert bytes(key).hex() == v["dek_hex"]
    domain, sealed_key = MODES[v["mode"]]
    where = context.path(v["bucket"], v["object"])
    object_key = hierarchy.open_object_key(metadata(v, sealed_key), key, metadata(v, "Iv"), domain, where)
    assert bytes(object_key).hex() == v["oek_hex"]
    if v.get("stored_etag_unsealed"):
        assert hierarchy.open_etag(object_key, bytes.fromhex(v["stored_etag"])).hex() == v["stored_etag_unsealed"]
    if v.get("checksum_blob_plain_hex"):
        blob = base64.b64decode(v["internal_metadata_base64"]["x-minio-internal-crc"])
        opened = dare.open_small(hierarchy.checksum_key(object_key).reveal(), blob)
        assert opened.hex() == v["checksum_blob_plain_hex"]
    if v.get("ciphertext_base64") is not None:
        sealed = base64.b64decode(v["ciphertext_base64"])
        assert dare.plain_size(len(sealed)) == v["size"]
        assert dare.open_small(object_key.reveal(), sealed) == plain(v["plaintext_label"], v["size"])
    for part in v.get("parts", ()):
        assert dare.sealed_size(part["size"]) == part["stored_size"]


def test_all_objects_are_there():
    assert len(FILE["objects"]) == 50
