import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.crypto import madmin
from strongroom.crypto.madmin import Scheme
from strongroom.errors import Malformed, Tampered

KEY, NONCE = bytes(range(32)), b"12345678"


@pytest.mark.parametrize("scheme", Scheme)
def test_a_container_opens_with_its_password_only(scheme):
    container = madmin.seal(b"secret", b"plaintext", scheme)
    assert container[32] == scheme
    assert len(container) == 41 + 9 + 16
    assert madmin.open(b"secret", container) == b"plaintext"
    with pytest.raises(Tampered):
        madmin.open(b"Secret", container)
    with pytest.raises(Tampered):
        madmin.open(b"secret", container[:-1] + bytes([container[-1] ^ 1]))


def test_what_is_no_container_is_malformed():
    for broken in (b"", bytes(41), bytes(32) + b"\x03" + bytes(30)):
        with pytest.raises(Malformed):
            madmin.open(b"secret", broken)


def test_containers_of_the_specification():
    container = bytes.fromhex(
        "b5c016e93b84b473fc8a37af94936563630c36d6df1841d23a86ee51ca161f9e00ac19116b32f643ff6a56a212b265d8c56195bb0d12ce19"
        "9e13dfdc5272f80c1564da2c6fc2fa18da91d8062de02af5cdafea491c6f3cae1f"
    )
    assert madmin.open(b'xPl.8/rhR"Q_1xLt', container) == bytes(32)
    empty = bytes.fromhex(
        "828aa81599df0651c0461adb82283e8b89956baee9f6e719947ef9cddc849028001dc9d3ac0938f66b07bacc9751437e1985f8a9763c240e81"
    )
    assert madmin.open(b"", empty) == b""


def test_chunks_of_the_specification():
    sealed = bytes.fromhex(
        "691deb7b9ccbee91f48d12c7ad5fe3cd4e1e5e7d394f06b91228ec9a5dd2456ac7de9502a0b4010fb1ee1db94e940458fb"
    )
    key, nonce = b"\x10" + bytes(15), bytes(7) + b"\x02"
    assert madmin.open_chunks(key, nonce, sealed, chunk_size=16) == bytes(17)
    assert madmin.seal_chunks(key, nonce, bytes(17), chunk_size=16) == sealed


@given(st.integers(0, 5), st.integers(-1, 1), st.integers(0, 10_000), st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_chunks_open_and_nothing_changed_does(chunks, off, place, bit):
    plaintext = bytes(max(chunks * 64 + off, 0))
    sealed = madmin.seal_chunks(KEY, NONCE, plaintext, aad=b"a", chunk_size=64)
    assert len(sealed) == len(plaintext) + 16 * max(1, -(-len(plaintext) // 64))
    assert madmin.open_chunks(KEY, NONCE, sealed, aad=b"a", chunk_size=64) == plaintext
    changed = bytearray(sealed)
    changed[place % len(sealed)] ^= 1 << bit
    for broken, aad in ((bytes(changed), b"a"), (sealed, b"b"), (sealed[:-80], b"a"), (sealed + bytes(80), b"a")):
        with pytest.raises(Tampered):
            madmin.open_chunks(KEY, NONCE, broken, aad=aad, chunk_size=64)
