import base64
import json
from pathlib import Path

import pytest

from strongroom.errors import Malformed, Tampered
from strongroom.s3.domain import backend_entry
from strongroom.s3.outside.entry_seal import SealedEntries
from strongroom.s3.outside.static_key import StaticKey

FILE = json.loads((Path(__file__).parents[3] / "vectors" / "sse" / "admin.json").read_text())
KEYS = StaticKey("my-key", bytes.fromhex(FILE["kms_key_hex"]))


@pytest.mark.parametrize("v", [v for v in FILE["backend_encryption"] if v["base64"]], ids=lambda v: v["file"])
async def test_entries_of_the_original_open(v):
    assert (await SealedEntries(KEYS).open(v["file"], base64.b64decode(v["base64"]))).decode() == v["plaintext"]


async def test_entries_open_under_their_name_only():
    entries = SealedEntries(KEYS)
    sealed = await entries.seal("iam/users/a", b'{"secret":"s"}')
    assert b"secret" not in sealed
    assert await entries.open("iam/users/a", sealed) == b'{"secret":"s"}'
    with pytest.raises(Tampered):
        await entries.open("iam/users/b", sealed)
    with pytest.raises(Tampered):
        await entries.open("iam/users/a", sealed[:-1] + bytes([sealed[-1] ^ 1]))
    for broken in (sealed[:20], b"\x01", b"\x01\xff\xff\xff\xff{}", b"\x01\x02\x00\x00\x00{}"):
        with pytest.raises(Malformed):
            await entries.open("iam/users/a", broken)


async def test_an_older_context_and_entries_in_clear_are_read():
    entries = SealedEntries(KEYS)
    made = await KEYS.generate("", backend_entry.contexts("x")[1])
    assert await entries.open("x", backend_entry.seal(made, b"old")) == b"old"
    assert await entries.open("x", b'{"clear":1}') == b'{"clear":1}'
