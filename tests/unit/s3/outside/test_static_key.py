"""Data keys from a key in the settings."""

from strongroom.s3.outside import static_key
from strongroom.s3.outside.static_key import StaticKey


async def test_opened_data_keys_are_kept_until_it_closes(monkeypatch):
    monkeypatch.setattr(static_key, "KEPT", 2)
    keys = StaticKey("my-key", bytes(32))
    made = [await keys.generate("my-key", b"context") for _ in range(3)]
    assert keys.kept("my-key", made[0].ciphertext, b"context") is None
    opened = [await keys.unseal("", each.ciphertext, b"context") for each in made]
    assert [each.plaintext for each in made] == opened
    assert keys.kept("my-key", made[0].ciphertext, b"context") is None  # the first of three goes
    assert keys.kept("", made[2].ciphertext, b"context") is opened[2]
    assert keys.kept("other", made[2].ciphertext, b"context") is None
    assert keys.kept("my-key", made[2].ciphertext, b"other") is None
    await keys.close()
    assert keys.kept("my-key", made[2].ciphertext, b"context") is None
