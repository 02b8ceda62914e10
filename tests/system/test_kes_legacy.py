"""What clients of earlier years ask for (kes.md 1.7)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from test_kes_states import Two

from strongroom.errors import Malformed
from strongroom.kes.domain.errors import KeyDisabled, NotAuthentic
from strongroom.kes.domain.settings import FsSettings
from strongroom.net.client import HttpClient
from strongroom.sdk.tls import client_tls


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    made = await Two(tmp_path, FsSettings(str(tmp_path / "keys"))).start()
    yield made
    await made.stop()


async def test_bulk_decrypt(two: Two) -> None:
    await two.one.create("mine")
    keys = [await two.one.generate("mine", str(number).encode()) for number in range(3)]
    await two.one.rotate("mine")
    keys.append(await two.one.generate("mine", b"3"))
    items = [(key.ciphertext, str(number).encode()) for number, key in enumerate(keys)]
    assert await two.one.decrypt_all("mine", items) == [key.plaintext for key in keys]
    assert await two.two.decrypt_all("mine", items) == [key.plaintext for key in keys]
    assert await two.one.decrypt_all("mine", []) == []
    with pytest.raises(NotAuthentic):
        await two.one.decrypt_all("mine", [*items, (keys[0].ciphertext, b"other")])
    with pytest.raises(Malformed, match="too many ciphertexts"):
        await two.one.decrypt_all("mine", items * 300)
    await two.one.disable("mine")
    with pytest.raises(KeyDisabled):
        await two.one.decrypt_all("mine", items)


@pytest.mark.parametrize(
    ("path", "member", "first"),
    [
        ("/v1/key/list/*", "name", "a-key"),
        ("/v1/policy/list/*", "name", "user"),
        ("/v1/identity/list/*", "identity", ""),
    ],
)
async def test_lists_line_by_line(path: str, member: str, first: str, two: Two) -> None:
    for name in ("b-key", "a-key"):
        await two.one.create(name)
    tls = client_tls(api_key=two.admin, ca=two.folder / "kes.crt")
    async with HttpClient(tls=tls) as http:
        url = f"https://127.0.0.1:{two.apps[0].port}{path}"
        answer = await http.request("GET", url, headers=(("Accept", "application/x-ndjson"),))
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.body.splitlines()]
    names = [line[member] for line in lines]
    assert names == sorted(names)
    assert names[0].startswith(first)
    if member == "identity":
        assert {line["identity"]: line.get("policy", line.get("admin")) for line in lines} == {
            two.admin.identity: True,
            two.user.identity: "user",
        }


async def test_enclaves_are_ignored(two: Two) -> None:
    tls = client_tls(api_key=two.admin, ca=two.folder / "kes.crt")
    async with HttpClient(tls=tls) as http:
        url = f"https://127.0.0.1:{two.apps[0].port}/v1/key/create/mine?enclave=x"
        answer = await http.request("POST", url, headers=(("Kes-Enclave", "y"),))
    assert answer.status == 200
    assert await two.one.keys() == ["mine"]
