"""What every KeyStore promises (kes/domain/ports.py)."""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import bao_world
import cloud_doubles
import kes_world
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.errors import NotFound
from strongroom.kes import app
from strongroom.kes.domain.errors import KeyExists, KeyNotFound
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.domain.settings import (
    AuditSettings,
    AwsSettings,
    AzureSettings,
    FsSettings,
    GcpSettings,
    KesSettings,
    Settings,
    TlsSettings,
)
from strongroom.kes.outside.aws import AwsStore
from strongroom.kes.outside.azure import AzureStore
from strongroom.kes.outside.gcp import GcpStore
from strongroom.kes.outside.kes import KesStore
from strongroom.kes.storage.fs import FileStore
from strongroom.kes.storage.memory import MemoryStore
from strongroom.kes.storage.vault import VaultStore
from strongroom.observe.log import OFF, Log

KINDS = ("memory", "fs", "vault-v1", "vault-v2", "vault-v1-transit", "vault-v2-no-prefix", "aws", "gcp", "azure", "kes")
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
    elif kind == "aws":
        async with _aws() as made:
            yield made
    elif kind == "kes":
        async with _kes(tmp_path) as made:
            yield made
    elif kind == "gcp":
        async with cloud_doubles.serving(cloud_doubles.Gcp()) as url:
            settings = GcpSettings("p", url, (), "a@b", "1", "k", _rsa_key())
            made = await GcpStore.connect(settings, token_url=f"{url}/token")
            yield made
            await made.close()
    elif kind == "azure":
        async with cloud_doubles.serving(cloud_doubles.Azure()) as url:
            settings = AzureSettings(url, "tenant", "client", "secret")
            made = await AzureStore.connect(settings, login=url, pause=0.01)
            yield made
            await made.close()
    else:
        async with bao_world.bao(tmp_path) as bao:
            made = await VaultStore.connect(bao.store(**_VAULTS[kind]), print)
            yield made
            await made.close()


@asynccontextmanager
async def _aws() -> AsyncIterator[KeyStore]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        port = server.get_host_and_port()[1]
        made = await AwsStore.connect(AwsSettings(f"http://127.0.0.1:{port}", "us-east-1", "", "key", "secret"))
        for name in await made.names("", "", 1000):  # moto keeps its state in the process
            await made.delete(name)
        yield made
        await made.close()
    finally:
        server.stop()


@asynccontextmanager
async def _kes(folder: Path) -> AsyncIterator[KeyStore]:
    """A key server with keys in files, as the key store of another."""
    for one in (kes_world.clients()["admin"], kes_world.server()):
        one.write(folder)
    settings = Settings(
        host="127.0.0.1",
        port=0,
        admin=kes_world.clients()["admin"].identity,
        tls=TlsSettings(str(folder / "kes.key"), str(folder / "kes.crt")),
        store=FsSettings(str(folder / "keys")),
        audit=AuditSettings(console=False),
    )
    running = await app.start(settings, log=Log(OFF + 1))
    paths = (str(folder / name) for name in ("admin.key", "admin.crt", "kes.crt"))
    made = await KesStore.connect(KesSettings((f"https://127.0.0.1:{running.port}",), *paths))
    yield made
    await made.close()
    await running.stop(0)


@functools.cache
def _rsa_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


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
    names = ["generation-", "k-disabled-", "k-v2-", "a" * 80 + "-disabled-"]
    for name in names if "Azure" in store.description else [*names, "_", "a_b"]:
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


async def test_a_clock_on_this_machine_is_ours(store: KeyStore) -> None:
    await store.create("my-key", b"x")
    assert store.clock_ahead == 0.0
