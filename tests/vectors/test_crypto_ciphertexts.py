"""Key ciphertexts as a KES made and judged them."""

import base64
import json
from pathlib import Path

import pytest

from strongroom.crypto import keyciphertext
from strongroom.crypto.keyciphertext import KeyType
from strongroom.errors import Tampered

VECTORS = [
    v
    for v in json.loads((Path(__file__).parent / "kes" / "ciphertexts.json").read_text())
    if v["op"] in ("generate", "encrypt", "decrypt") and "plaintext_length" not in v
]
KINDS = {"AES256": KeyType.AES256, "ChaCha20": KeyType.CHACHA20}


def raw(v, name) -> bytes:
    return base64.b64decode(v.get(name) or "")


@pytest.mark.parametrize("v", VECTORS, ids=lambda v: v["name"])
def test_ciphertext(v):
    key, kind = bytes.fromhex(v["key_hex"]), KINDS[v["key_type"]]
    if v["expect"] == "ok":
        assert keyciphertext.open(key, raw(v, "ciphertext_b64"), raw(v, "context_b64"), kind=kind) == raw(
            v, "plaintext_b64"
        )
    else:
        with pytest.raises(Tampered):
            keyciphertext.open(key, raw(v, "ciphertext_b64"), raw(v, "context_b64"), kind=kind)


ZERO = bytes(32)
APPENDIX = [  # kes.md, appendix A: key, type, context, plaintext, ciphertext
    (ZERO, 1, b"", bytes(16), "zwdDgHeRlIFRnJ7+DIhs/ka7GFK2CFSfDELqg1VCyTQzZ58o7MAdupMLk3ZjlMo2ZUDwldL2o41nAWDc"),
    (
        ZERO,
        1,
        b"",
        bytes(16),
        "lbFBRVMyNTYtR0NNX1NIQTI1NtkgNjY2ODdhYWRmODYyYmQ3NzZjOGZjMThiOGU5ZjhlMjDEEExv7LAd4oz0SaHZrX5LBufEDEKM"
        "E1ow1CDfUFrqv8QgJuy7Sw+jVqz99TK1HV851LT3K4mwwDv46TB2ngWkAJQ=",
    ),
    (
        ZERO,
        2,
        b"",
        bytes(16),
        "lbJYQ0hBQ0hBMjAtUE9MWTEzMDXZIDY2Njg3YWFkZjg2MmJkNzc2YzhmYzE4YjhlOWY4ZTIwxBBAr+aptD4x2+qfOhiErbnkxAxY"
        "s8RmNC1JJXD1hiHEIJ2KqM0jjkME7ndx8nyVseesN83Np0rM5ejVUun+fNFu",
    ),
]
JSON_FORMS = [
    (
        1,
        '{"aead":"AES-256-GCM-HMAC-SHA-256","iv":"xLxIN3tSCkg2xMafuvwUwg==","nonce":"gu0mGwUkwcvMEoi5","bytes'
        '":"WVgRjeIJm3w50C/l+y7y2i6mbNg5NCAqN1zvOYWZKmc="}',
    ),
    (
        2,
        '{"aead":"ChaCha20Poly1305","iv":"s3fSZ6vk5m+DfQA8yZWeUg==","nonce":"8/kHMnCMs3h9NZ2a","bytes":"cw22H'
        'jLq/4cx8507SW4hhSrYbDiMuRao4b5+GE+XfbE="}',
    ),
]
LONGER = base64.b64decode("dDHbTWgo+Yh3u804SYB5OyVMy6RiLeJYBQth1f6KlEU=")


@pytest.mark.parametrize(("key", "kind", "context", "plaintext", "ciphertext"), APPENDIX)
def test_appendix(key, kind, context, plaintext, ciphertext):
    assert keyciphertext.open(key, base64.b64decode(ciphertext), context, kind=KeyType(kind)) == plaintext


@pytest.mark.parametrize(("kind", "text"), JSON_FORMS)
def test_appendix_json(kind, text):
    assert keyciphertext.open(ZERO, text.encode(), b"", kind=KeyType(kind)) == bytes(16)


@pytest.mark.parametrize(
    ("kind", "ciphertext"),
    [
        (1, "s2gmfQHeGdlyL8x1yEWSACUV3GrSoz3t160hugMgzKWgyqesXDVUJ5Dw5Mt076rR1PNiU9X4YjLH14D8a81t2r2xsz4gVZac"),
        (2, "gO4woRIswAJdjUjW7z2ApsSQxJlwB24yjLrmH4eI7sB0uh5nfEJfk9ybTPFft5FRFaZCVBmzhx7OJs9n0WWtxH3sySIxecIK"),
    ],
)
def test_appendix_with_context(kind, ciphertext):
    plaintext = base64.b64decode("CLcJoykFCWZDkEIiUq9bJRqwCwW9ZDvdgu8EMA==")
    assert keyciphertext.open(LONGER, base64.b64decode(ciphertext), bytes(16), kind=KeyType(kind)) == plaintext


def test_static_key_legacy_blob():
    """sse.md 20."""
    key = base64.b64decode("eEm+JI9/q4JhH8QwKvf3LKo4DEBl6QbfvAl1CAbMIv8=")
    blob = (
        '{"aead":"ChaCha20Poly1305","iv":"r4+yfiVbVIYR0Z2I9Fq+6g==","nonce":"2YpwGwE59GcVraI3","bytes":"k/svM'
        'glOU7/Kgwv73heG38NWW575XLcFp3SaxQHDMjJGYyRI3Fiygu2OeutGPXNL"}'
    )
    opened = keyciphertext.open(key, blob.encode(), b'{"key":"value"}')
    assert base64.b64encode(opened) == b"UnPWsZgVI+T4L9WGNzFlP1PsP1Z6hn2Fx8ISeZfDGnA="
