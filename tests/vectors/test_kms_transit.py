"""Exported keys of the original: its ciphertexts open, its HMACs and signatures verify under our code."""

import json
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from strongroom.errors import Error
from strongroom.kms.domain.transit.byok import restore
from strongroom.kms.domain.transit.record import Key, KeyVersion, private_text, public_text
from strongroom.kms.domain.transit.signing import How, hmac_text, sign, verify, verify_hmac
from strongroom.kms.domain.transit.symmetric import Ciphers

FILE = json.loads((Path(__file__).parent / "kms/transit.json").read_text())
SYMMETRIC = [entry for entry in FILE["keys"] if "mode" in entry]
HMAC = next(entry for entry in FILE["keys"] if entry["type"] == "hmac")
SIGNING = [entry for entry in FILE["keys"] if "mode" not in entry and entry["type"] != "hmac"]


def symmetric(entry):
    key = Key(entry["key"], entry["type"], derived=entry["mode"] != "plain", convergent=entry["mode"] == "convergent")
    version = KeyVersion(b64decode(entry["export"]["1"]), b64decode(entry["hmac_key"]["1"]), 0)
    key.versions, key.latest = {1: version}, 1
    return key


@pytest.mark.parametrize("entry", SYMMETRIC, ids=lambda e: e["key"])
def test_recorded_ciphertexts(entry):
    """All open; convergent ones are made alike, but those with associated data (overrides/kms.json)."""
    ciphers = Ciphers(symmetric(entry))
    for op in entry["ops"]:
        context, associated = b64decode(op.get("context", "")), b64decode(op.get("associated_data", ""))
        plaintext = b64decode(op["plaintext"])
        assert ciphers.decrypt(op["ciphertext"], context, associated) == plaintext
        again, _ = ciphers.encrypt(plaintext, context, associated, 0)
        assert ciphers.decrypt(again, context, associated) == plaintext
        assert (again == op["ciphertext"]) is (entry["mode"] == "convergent" and not associated)
    data = b64decode(entry["hmac"]["input"])
    for algorithm in ("sha2-256", "sha2-512"):
        assert hmac_text(ciphers.key, 1, data, algorithm) == entry["hmac"][algorithm]


def signing(entry):
    text = entry["signing-key"]["1"]
    if entry["type"] == "ed25519":
        material = b64decode(text)[:32]
    else:
        private = serialization.load_pem_private_key(text.encode(), None)
        form = serialization.PrivateFormat.PKCS8
        material = private.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
    key = Key(entry["key"], entry["type"], exportable=True)
    key.versions, key.latest = {1: KeyVersion(material, b64decode(entry["hmac-key"]["1"]), 0)}, 1
    return key, material


def how_of(op):
    return How(
        op.get("hash_algorithm", "sha2-256"),
        op.get("signature_algorithm", "pss"),
        op.get("marshaling_algorithm", "asn1"),
        op.get("prehashed", False),
        op.get("salt_length", "auto"),
    )


@pytest.mark.parametrize("entry", SIGNING, ids=lambda e: e["key"])
def test_recorded_signatures(entry):
    key, material = signing(entry)
    assert private_text(entry["type"], material).strip() == entry["signing-key"]["1"].strip()
    assert public_text(entry["type"], material).strip() == entry["public-key"]["1"].strip()
    checked = 0
    for op in entry["signatures"]:
        if op["status"] != 200:
            continue
        how = how_of(op)
        data = b64decode(op["input"])
        assert verify(key, op["signature"], data, b"", how), op
        assert not verify(key, op["signature"], data + b"x", b"", how)
        made, _ = sign(key, 1, data, b"", how)
        assert verify(key, made, data, b"", how)
        checked += 1
    assert checked >= 5
    assert verify_hmac(key, entry["hmac_of_msg"], b"msg", "sha2-256")


@pytest.mark.parametrize("entry", [*SIGNING, HMAC], ids=lambda e: e["key"])
def test_what_a_key_cannot_sign(entry):
    """The recorded refusals: our code refuses as well."""
    key = signing(entry)[0] if entry is not HMAC else hmac_key()
    for op in entry["signatures"]:
        if op["status"] != 200:
            with pytest.raises(Error) as refused:
                sign(key, 1, b64decode(op["input"]), b"", how_of(op))
            assert [str(refused.value)] == op["errors"]


def hmac_key():
    key = Key(HMAC["key"], "hmac", exportable=True)
    material = b64decode(HMAC["hmac-key"]["1"])
    key.versions, key.latest = {1: KeyVersion(material, material, 0)}, 1
    return key


def test_recorded_hmac_key():
    assert hmac_text(hmac_key(), 1, b"msg", "sha2-256") == HMAC["hmac_of_msg"]
    assert verify_hmac(hmac_key(), HMAC["hmac_of_msg"], b"msg", "sha2-256")


def test_the_original_s_backup_restores():
    key = restore(FILE["backup_of_aes256_gcm96_plain"])
    entry = next(e for e in SYMMETRIC if e["key"] == "aes256-gcm96-plain")
    assert Ciphers(key).decrypt(entry["ops"][2]["ciphertext"], b"", b"") == b"hello"
