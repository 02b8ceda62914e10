import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.crypto import keyciphertext
from strongroom.crypto.fingerprint import fingerprint
from strongroom.crypto.keyciphertext import KeyType
from strongroom.errors import Tampered

KEY, OTHER = bytes(range(32)), bytes(32)
CONTEXT = b'{"bucket":"bucket/object"}'


@pytest.mark.parametrize("kind", KeyType)
@pytest.mark.parametrize("version", [1, 2, 70000])
def test_what_was_sealed_opens_again(kind, version):
    sealed = keyciphertext.seal(KEY, b"data key", CONTEXT, kind=kind, version=version)
    assert keyciphertext.open(KEY, sealed, CONTEXT, kind=kind) == b"data key"
    assert keyciphertext.version_of(sealed).number == version
    assert len(sealed) == 8 + 44 + (20 if version > 1 else 0)
    for key, context in ((OTHER, CONTEXT), (KEY, b""), (KEY, CONTEXT + b" ")):
        with pytest.raises(Tampered):
            keyciphertext.open(key, sealed, context, kind=kind)


def test_version_1_is_the_form_of_the_original():
    assert len(keyciphertext.seal(KEY, bytes(32), CONTEXT)) == 76
    assert keyciphertext.version_of(bytes(76)) == keyciphertext.Version(1, b"")


def test_a_later_version_names_its_key():
    sealed = keyciphertext.seal(KEY, b"", CONTEXT, version=3)
    assert keyciphertext.version_of(sealed) == keyciphertext.Version(3, fingerprint(KEY)[:8])
    with pytest.raises(Tampered, match="another key"):
        keyciphertext.open(OTHER, sealed, CONTEXT)
    with pytest.raises(ValueError, match="version 0"):
        keyciphertext.seal(KEY, b"", CONTEXT, version=0)


@given(st.integers(0, 2**20), st.integers(0, 7), st.sampled_from([1, 2]))
@settings(max_examples=100, deadline=None)
def test_any_changed_bit_is_refused(place, bit, version):
    sealed = bytearray(keyciphertext.seal(KEY, b"0123456789abcdef", CONTEXT, version=version))
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(Tampered):
        keyciphertext.open(KEY, bytes(sealed), CONTEXT)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"{", b"\x95", keyciphertext.MAGIC, b"\x95\xb1AES256-GCM_SHA256"])
)
@settings(max_examples=200, deadline=None)
def test_garbage_is_refused(garbage, start):
    with pytest.raises(Tampered):
        keyciphertext.open(KEY, start + garbage, CONTEXT)


def legacy(sealed: bytes, name: str) -> bytes:
    fields = {"aead": name, "iv": sealed[-28:-12], "nonce": sealed[-12:], "bytes": sealed[:-28]}
    return json.dumps({k: v if k == "aead" else base64.b64encode(v).decode() for k, v in fields.items()}).encode()


def test_a_legacy_form_may_name_the_other_algorithm():
    """Keys stored before types existed sealed with ChaCha20 on a processor without AES (kes.md 5.3)."""
    chacha = keyciphertext.seal(KEY, b"dek", CONTEXT, kind=KeyType.CHACHA20)
    assert keyciphertext.open(KEY, legacy(chacha, "ChaCha20Poly1305"), CONTEXT) == b"dek"
    assert keyciphertext.open(KEY, legacy(chacha, "AES-256-GCM-HMAC-SHA-256"), CONTEXT, kind=KeyType.CHACHA20) == b"dek"


def test_the_master_key_form_of_2018():
    sealed = keyciphertext.seal_master(KEY, "my-key", bytes(32), CONTEXT)
    assert len(sealed) == 64
    assert keyciphertext.open_master(KEY, "my-key", sealed, CONTEXT) == bytes(32)
    for key_id, data, context in (
        ("other", sealed, CONTEXT),
        ("my-key", sealed[:-1], CONTEXT),
        ("my-key", sealed, b""),
    ):
        with pytest.raises(Tampered):
            keyciphertext.open_master(KEY, key_id, data, context)


def test_fingerprint():
    assert fingerprint(KEY) == fingerprint(bytearray(KEY)) != fingerprint(OTHER)
    assert len(fingerprint(KEY)) == 16


def test_the_subkey_is_an_hmac() -> None:
    """Our HMAC is written out for speed; the library's is the oracle."""
    import hmac

    from strongroom.crypto.mac import hmac_sha256

    for size in (0, 1, 31, 32, 33, 64):
        key, message = bytes(range(size)), bytes(range(size))
        assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")
