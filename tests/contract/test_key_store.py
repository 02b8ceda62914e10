"""What every KeyStore promises (kes/domain/ports.py)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import bao_world
import pytest

from strongroom.errors import NotFound
from strongroom.kes.domain.errors import KeyExists, KeyNotFound
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.storage.fs import FileStore
from strongroom.kes.storage.memory import MemoryStore
from strongroom.kes.storage.vault import VaultStore

KINDS = ("memory", "fs", "vault-v1", "vault-v2", "vault-v1-transit", "vault-v2-no-prefix")
_VAULTS = {
    "vault-v1": {"version": "v1", "prefix": "minio"},
    "vault-v2": {"version": "v2", "engine": "kv2", "prefix": "minio"},
    "vault-v1-transit": {"version": "v1", "prefix": "transit", "transit_key": "wrap"},
    "vault-v2-no-prefix": {"version": "v2", "engine": "kv2"},
}


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeyStore]:
    kind = request.param
    if kind == "memory":
        yield MemoryStore()
    elif kind == "fs":
        yield FileStore(tmp_path / "deep" / "keys")
    else:
        async with bao_world.bao(tmp_path) as bao:
            made = await VaultStore.connect(bao.store(**_VAULTS[kind]), print)
            yield made
            await made.close()


async def test_what_was_created_is_there(store: KeyStore) -> None:
    await store.create("my-key", b"value")
    assert await store.get("my-key") == b"value"
    assert await store.status() >= 0


async def test_a_taken_name_stays_what_it_was(store: KeyStore) -> None:
    await store.create("my-key", b"first")
    with pytest.raises(KeyExists):
        await store.create("my-key", b"second")
    assert await store.get("my-key") == b"first"


async def test_what_is_not_there_is_not_found(store: KeyStore) -> None:
    with pytest.raises(KeyNotFound):
        await store.get("nope")


async def test_a_deleted_name_is_free_again(store: KeyStore) -> None:
    await store.create("my-key", b"first")
    await store.delete("my-key")
    with pytest.raises(KeyNotFound):
        await store.get("my-key")
    await store.create("my-key", b"second")
    assert await store.get("my-key") == b"second"


async def test_deleting_nothing_fails_as_not_found_or_not_at_all(store: KeyStore) -> None:
    try:
        await store.delete("nope")
    except NotFound:
        return


async def test_names_are_sorted_and_come_in_pages(store: KeyStore) -> None:
    assert await store.names("", "", 10) == []
    for name in ("my-key", "my-key2", "0-key", "1-key"):
        await store.create(name, b"x")
    assert await store.names("", "", 10) == ["0-key", "1-key", "my-key", "my-key2"]
    assert await store.names("my", "", 10) == ["my-key", "my-key2"]
    assert await store.names("my", "", 1) == ["my-key"]
    assert await store.names("my", "my-key", 1) == ["my-key2"]
    assert await store.names("", "my-key2", 5) == []


async def test_marks_and_long_names_are_stored_like_keys(store: KeyStore) -> None:
    for name in ("generation-", "k-disabled-", "k-v2-", "a" * 80 + "-disabled-", "_"):
        await store.create(name, b'{"a":"b"}')
        assert await store.get(name) == b'{"a":"b"}'
        await store.delete(name)


async def test_one_of_many_creators_wins(store: KeyStore) -> None:
    results = await asyncio.gather(*(store.create("race", str(n).encode()) for n in range(8)), return_exceptions=True)
    winners = [n for n, result in enumerate(results) if result is None]
    assert all(isinstance(result, KeyExists) for result in results if result is not None)
    assert (await store.get("race")).decode() in {str(n) for n in winners}
    assert len(winners) == 1 or "Vault" in store.description  # KV v1 cannot promise it (limitations)


async def test_everything_listed_can_be_deleted(store: KeyStore) -> None:
    for number in range(5):
        await store.create(f"key-{number}", b"x")
    for name in await store.names("", "", 100):
        await store.delete(name)
    assert await store.names("", "", 100) == []
