"""Stored keys and ciphertexts that an original KES wrote, opened end to end by our server."""

import base64
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import kes_world
import pytest

from strongroom.errors import Error
from strongroom.kes import app
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.errors import NoHmacKey, StoredKeyDamaged
from strongroom.kes.domain.records import WIRE_NAMES
from strongroom.kes.domain.settings import AuditSettings, FsSettings, Settings, TlsSettings
from strongroom.kes.wire.apikey import ApiKey
from strongroom.observe.log import OFF, Log
from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls

INDEX = kes_world.load("keystore-fs/index.json")
CIPHERTEXTS = kes_world.load("ciphertexts.json")
FILES = kes_world.VECTORS / "keystore-fs"


@pytest.fixture
async def kes(tmp_path: Path) -> AsyncIterator[KesClient]:
    """A client of a server on the recorded files and the hand-made ones."""
    kes_world.server().write(tmp_path)
    keys = tmp_path / "keys"
    keys.mkdir()
    for one in INDEX["written_by_kes"]:
        (keys / one["name"]).write_bytes((FILES / one["file"]).read_bytes())
    for one in INDEX["hand_made"]:
        (keys / one["name"]).write_text(one["content"], newline="")
    key = ApiKey.generate()
    settings = Settings(
        host="127.0.0.1",
        port=0,
        admin=key.identity,
        tls=TlsSettings(str(tmp_path / "kes.key"), str(tmp_path / "kes.crt")),
        store=FsSettings(str(keys)),
        audit=AuditSettings(console=False),
    )
    running = await app.start(settings, log=Log(OFF + 1))
    async with KesClient([f"127.0.0.1:{running.port}"], client_tls(api_key=key, ca=tmp_path / "kes.crt")) as client:
        yield client
    await running.stop(0)


@pytest.mark.parametrize("one", INDEX["written_by_kes"], ids=lambda one: one["name"])
def test_files_of_an_original_are_read_and_written_byte_for_byte(one: dict[str, Any]) -> None:
    value = (FILES / one["file"]).read_bytes()
    stored, parsed = storedkey.decode(value), one["parsed"]
    assert stored.key.hex() == parsed["key_hex"]
    assert stored.hmac_key is not None
    assert stored.hmac_key.hex() == parsed["hmac_key_hex"]
    assert (stored.type, stored.created_by) == (parsed["type"], parsed["created_by"])
    assert (stored.created_at.seconds, stored.created_at.nanos) == (parsed["seconds"], parsed["nanos"])
    assert storedkey.encode(stored) == value


@pytest.mark.parametrize("one", [*INDEX["written_by_kes"], *INDEX["hand_made"]], ids=lambda one: one["name"])
async def test_stored_keys(one: dict[str, Any], kes: KesClient) -> None:
    expected = _described(one)
    if "message" in expected:
        for work in (kes.describe(one["name"]), kes.generate(one["name"]), kes.hmac(one["name"], b"Hello World")):
            with pytest.raises(Error, match=expected["message"]):
                await work
        return
    found = await kes.describe(one["name"])
    assert {name: value for name, value in dataclasses.asdict(found).items() if value} == expected
    made = await kes.generate(one["name"], b"c")
    assert (await kes.decrypt(one["name"], made.ciphertext, b"c")).plaintext == made.plaintext
    mac = one.get("hmac_of_Hello_World_b64") or one.get("hmac", {}).get("result", {}).get("hmac")
    if mac:
        assert base64.b64encode(await kes.hmac(one["name"], b"Hello World")).decode() == mac
    else:
        with pytest.raises(NoHmacKey):
            await kes.hmac(one["name"], b"Hello World")


def _described(one: dict[str, Any]) -> dict[str, Any]:
    """Return the recorded description; where the original dropped the connection, what kes.md 5.4 recommends."""
    describe = one["describe"]
    if one["name"] == "p-nohmac":
        return {"name": "p-nohmac", "algorithm": "AES256", "created_at": "1970-01-01T00:00:00Z"}
    if "transport_error" in describe:
        return {"message": "failed to read key"}
    return describe.get("result", describe)


def test_appendix_a_is_written_byte_for_byte() -> None:
    content = next(one["content"] for one in INDEX["hand_made"] if one["name"] == "appendix-a")
    stored = storedkey.decode(content.encode())
    assert WIRE_NAMES[stored.type] == "AES256"
    assert storedkey.encode(stored) == content.encode()


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_every_prefix_of_a_stored_key_is_a_key_or_damaged(cut: int) -> None:
    value = (FILES / "aes-1").read_bytes()[:cut]
    with pytest.raises(StoredKeyDamaged):
        storedkey.decode(value)


async def test_ciphertexts(kes: KesClient) -> None:
    """All of them, over the wire; keys that the file store lacks are imported first."""
    known: set[str] = {one["name"] for one in INDEX["written_by_kes"]}
    failures = []
    for case in CIPHERTEXTS:
        if "key_name" not in case:
            continue  # size limits, below
        if case["key_name"] not in known:
            await kes.import_key(case["key_name"], bytes.fromhex(case["key_hex"]), case["key_type"])
            known.add(case["key_name"])
        problem = await _try(kes, case)
        if problem:
            failures.append(f"{case['name']}: {problem}")
    assert not failures, "\n".join(failures)


async def _try(kes: KesClient, case: dict[str, Any]) -> str:
    name, context = case["key_name"], base64.b64decode(case.get("context_b64") or "")
    if case["op"] == "hmac":
        if case["hmac_key_hex"] != _hmac_key(name):
            return ""  # the recorder's key had another HMAC key than the stored file
        mac = await kes.hmac(name, base64.b64decode(case["message_b64"]))
        return "" if base64.b64encode(mac).decode() == case["hmac_b64"] else "another HMAC"
    try:
        opened = await kes.decrypt(name, base64.b64decode(case["ciphertext_b64"]), context)
    except Error as error:
        return "" if case["expect"] == "error" and str(error) == case["message"] else f"{error!r}"
    if case["expect"] != "ok":
        return "opened, although the original refuses"
    expected = base64.b64decode(case["plaintext_b64"] or "")
    return "" if opened.plaintext == expected else "another plaintext"


def _hmac_key(name: str) -> str:
    file = FILES / name
    stored = storedkey.decode(file.read_bytes()) if file.exists() else None
    return stored.hmac_key.hex() if stored is not None and stored.hmac_key else ""


@pytest.mark.parametrize("case", [one for one in CIPHERTEXTS if "key_name" not in one], ids=lambda case: case["name"])
async def test_size_limits(case: dict[str, Any], kes: KesClient) -> None:
    plaintext = b"x" * case["plaintext_length"]
    if case["expect"] == "error":
        with pytest.raises(Error, match=case["message"]):
            await kes.encrypt("aes-1", plaintext)
    else:
        assert len(await kes.encrypt("aes-1", plaintext)) == case["ciphertext_length"]
