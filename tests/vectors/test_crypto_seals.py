"""Seals as a reference server stored them, whole and damaged, through the S3 box's own reader."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from strongroom.crypto import dare, hierarchy
from strongroom.crypto.secret import Secret
from strongroom.errors import Tampered
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.etags import multipart_etag
from strongroom.s3.domain.key_errors import ObjectTampered
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import MULTIPART, describe
from strongroom.s3.domain.sealing import open_seal
from strongroom.s3.outside.static_key import StaticKey
from strongroom.s3.wire.errors import status_and_text

HERE = Path(__file__).parent
OBJECTS = json.loads((HERE / "sse" / "objects.json").read_text())
LEGACY = json.loads((HERE / "sse" / "legacy.json").read_text())
OVERRIDES = json.loads((HERE / "overrides" / "sse.json").read_text())["legacy.json"]
KEYS = StaticKey(OBJECTS["kms_key_name"], bytes.fromhex(OBJECTS["kms_key_hex"]))
KINDS = {"sse-s3": Kind.S3, "sse-kms": Kind.KMS, "sse-kms-context": Kind.KMS, "sse-c": Kind.C}


def plain(label: str, size: int) -> bytes:
    return b"".join(hashlib.sha256(f"{label}:{n}".encode()).digest() for n in range(size // 32 + 1))[:size]


def shown_etag(stored, kind, object_key):
    if len(stored) == 32 or "-" in stored:
        return stored
    return hierarchy.open_etag(object_key, bytes.fromhex(stored)).hex() if kind is Kind.S3 else stored[-32:]


def metadata(entries):
    return {name: base64.b64decode(value).decode("latin-1") for name, value in entries.items()}


@pytest.mark.parametrize("v", OBJECTS["objects"], ids=lambda v: v["name"])
async def test_object(v):
    stored = metadata(v["internal_metadata_base64"])
    info = describe(stored)
    assert info.kind is KINDS[v["mode"]]
    assert dict(info.context) == (v["context"] or {})
    assert info.multipart == ("parts" in v)
    customer = Secret(bytes.fromhex(v["customer_key_hex"])) if v["customer_key_hex"] else None
    seal = await open_seal(stored, v["bucket"], v["object"], KEYS, customer)
    assert shown_etag(v["stored_etag"], info.kind, seal.keys.object_key) == v["etag_returned"]
    if v.get("ciphertext_base64") is not None:
        assert seal.open_small(base64.b64decode(v["ciphertext_base64"]), v["size"]) == plain(
            v["plaintext_label"], v["size"]
        )
    if v.get("checksum_blob_plain_hex"):
        blob = base64.b64decode(v["internal_metadata_base64"]["x-minio-internal-crc"])
        assert seal.open_checksum(blob).hex() == v["checksum_blob_plain_hex"]
    if "parts" in v:
        assert multipart_etag([part["etag_returned"] for part in v["parts"]]) == v["etag_returned"]
    with pytest.raises((Refused, Tampered)):
        await open_seal(stored, v["bucket"], v["object"] + "2", KEYS, customer)


async def answer(v):
    """Return status, code and text of a GET as far as the seal decides it, and the plaintext."""
    stored = metadata(v["internal_metadata_base64"])
    if v["name"].startswith("multipart flag"):  # an entry without a value, which the recording left out
        stored[MULTIPART] = ""
    bucket, _, key = v["object"].partition("/")
    customer = Secret(bytes.fromhex(LEGACY["customer_key_hex"])) if v["mode"] == "c" else None
    try:
        seal = await open_seal(stored, bucket, key, KEYS, customer)
        part = 1 if seal.info.multipart else None
        opener = seal.opener(part)
        plaintext = bytes(opener.feed(base64.b64decode(v["ciphertext_base64"])))
        opener.finish()
    except Refused as refused:
        status, text = status_and_text(refused)
        return status, [refused.code, text], b""
    except Tampered:
        return 500, None, b""
    return 200, None, plaintext


SIZES = [v for v in LEGACY["cases"] if "stored size" in v["name"]]  # sizes are not the seal's business
CASES = [v for v in LEGACY["cases"] if v not in SIZES]


@pytest.mark.parametrize("v", SIZES, ids=lambda v: v["name"])
def test_sizes_that_no_sealed_stream_has(v):
    """Refused as recorded, but 500 instead of 206 (docs/reference/s3-encryption.md)."""
    with pytest.raises(Tampered):
        dare.plain_size(int(v["name"].rpartition(" ")[2]))
    assert [*status_and_text(ObjectTampered())] == [500, v["get_error"][1]]
    assert ObjectTampered().code == v["get_error"][0]


@pytest.mark.parametrize("v", CASES, ids=lambda v: v["name"])
async def test_legacy(v):
    status, error, plaintext = await answer(v)
    expected = OVERRIDES.get(v["name"], {})
    assert status == expected.get("status", v["get_status"])
    if status == 200:
        assert plaintext == plain(v["plaintext_label"], v["plaintext_size"])
    elif error is not None:
        assert error == v["get_error"]


HTTP = json.loads((HERE / "sse" / "http.json").read_text())
STORED = [v for v in HTTP["transcripts"] if "internal_metadata_base64" in v]


@pytest.mark.parametrize("v", STORED, ids=lambda v: v["name"])
async def test_what_a_server_stored_with_a_key_server(v):
    """Data keys that a KES sealed have the form of the static key's, and open with the imported key."""
    path = f"bkt/{v['name'].rpartition(' ')[2]}"
    sealed = base64.b64decode(v["dek_ciphertext_base64"])
    assert len(sealed) == v["checked"]["dek_ciphertext_length"]
    stored = metadata(v["internal_metadata_base64"])
    keys = StaticKey("my-key", bytes.fromhex(HTTP["kms_key_hex"]))
    seal = await open_seal(stored, *path.split("/"), keys, None)
    assert seal.info.key_name == "my-key"
    with pytest.raises((Refused, Tampered)):
        await open_seal(stored, "bkt", "another", keys, None)


def test_all_cases_are_there():
    assert len(LEGACY["cases"]) == 39
    assert set(OVERRIDES) <= {v["name"] for v in CASES}
