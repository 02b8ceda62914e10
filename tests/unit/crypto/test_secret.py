import pickle

import pytest

from strongroom.crypto import aead
from strongroom.crypto.secret import Secret
from strongroom.errors import Tampered


def test_a_secret_does_not_show_itself():
    secret = Secret(b"hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        hash(secret)


def test_a_secret_compares_and_wipes():
    secret = Secret(bytearray(b"hunter2"))
    assert secret == Secret(b"hunter2") != Secret(b"hunter3")
    assert secret != b"hunter2"
    assert bytes(secret) == b"hunter2" == secret.reveal()
    secret.wipe()
    assert bytes(secret) == bytes(7)
    assert len(secret) == 7


@pytest.mark.parametrize("cipher", aead.Cipher)
def test_aead(cipher):
    sealed = aead.seal(bytes(32), bytes(12), b"text", b"aad", cipher)
    assert aead.open(bytes(32), bytes(12), sealed, b"aad", cipher) == b"text"
    for broken, aad in ((sealed, b""), (sealed[:15], b"aad"), (b"", b"aad")):
        with pytest.raises(Tampered):
            aead.open(bytes(32), bytes(12), broken, aad, cipher)
    with pytest.raises(ValueError, match="31 bytes"):
        aead.aead(bytes(31), cipher)
