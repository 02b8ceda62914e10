"""Admin containers and configuration files as a reference server wrote them."""

import base64
import json
from pathlib import Path

import pytest

from strongroom.crypto import context, keyciphertext, madmin
from strongroom.crypto.aead import Cipher

MC = json.loads((Path(__file__).parent / "mc" / "admin_payloads.json").read_text())
FILE = json.loads((Path(__file__).parent / "sse" / "admin.json").read_text())


@pytest.mark.parametrize("v", [v for v in FILE["madmin_containers"] if v["container_base64"]], ids=lambda v: v["path"])
def test_container(v):
    opened = madmin.open(FILE["root_password"].encode(), base64.b64decode(v["container_base64"]))
    assert opened.decode() == v["plaintext"]


@pytest.mark.parametrize("v", MC, ids=lambda v: f"{v['name']}-{v['direction']}")
def test_container_of_mc(v):
    """Both directions; what we seal opens again and is as long."""
    sealed, secret = base64.b64decode(v["payload_base64"]), v["secret_key"].encode()
    assert madmin.open(secret, sealed).decode() == v["plaintext"]
    ours = madmin.seal(secret, v["plaintext"].encode())
    assert madmin.open(secret, ours).decode() == v["plaintext"]
    assert len(ours) == len(sealed)


@pytest.mark.parametrize("v", [v for v in FILE["backend_encryption"] if v["base64"]], ids=lambda v: v["file"])
def test_configuration_file(v):
    data, meta = base64.b64decode(v["base64"]), v["metadata"]
    sealed_key = base64.b64decode(meta["kmskey"])
    key = keyciphertext.open(bytes.fromhex(FILE["kms_key_hex"]), sealed_key, context.canonical(v["context"]))
    assert key.hex() == v["dek_hex"]
    start = 5 + int.from_bytes(data[1:5], "little")
    cipher = Cipher.AES_256_GCM if meta["algorithm"] == "AES-256-GCM" else Cipher.CHACHA20_POLY1305
    assert madmin.open_chunks(key, base64.b64decode(meta["nonce"]), data[start:], cipher).decode() == v["plaintext"]
