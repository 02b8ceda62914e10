"""A key store that goes away and comes back; two servers on one OpenBao."""

import asyncio
import signal
import time
from dataclasses import replace
from pathlib import Path

import bao_world
import kes_world
import pytest
from test_kes_states import WITHIN, Two

from strongroom.errors import Unavailable
from strongroom.kes import app
from strongroom.kes.domain.errors import KeyDisabled, KeyExists, KeyNotFound, StoreFailed, StoreUnreachable
from strongroom.kes.domain.settings import AuditSettings, CacheSettings, LockSettings, Settings, TlsSettings
from strongroom.kes.handlers import keyring as keyring_module
from strongroom.kes.handlers import watch
from strongroom.kes.storage.memory import MemoryStore
from strongroom.kes.wire.apikey import ApiKey
from strongroom.observe.log import OFF, Log
from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls


class Flaky(MemoryStore):
    """A store that can be told to be away, to fail when it is read, to hang or to be slow."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.failing = False
        self.back: asyncio.Event | None = None  # hangs until it is set
        self.reads = 0
        self.gate: asyncio.Event | None = None

    async def status(self) -> float:
        await self.trouble()
        return 0.001

    async def trouble(self) -> None:
        if self.back is not None:
            await self.back.wait()
        if self.away:
            raise StoreUnreachable("away")

    async def get(self, name: str) -> bytes:
        await self.trouble()
        if self.failing:
            raise StoreFailed("rubbish")
        self.reads += 1
        if self.gate is not None and not name.endswith("-"):
            await self.gate.wait()
        return await super().get(name)


class World:
    """One server on a flaky store."""

    async def start(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> "World":
        self.store = Flaky()

        async def opened(*_: object) -> Flaky:
            return self.store

        monkeypatch.setattr(app, "open_store", opened)
        monkeypatch.setattr(watch, "PROBE_SECONDS", 0.1)
        kes_world.server().write(folder)
        key = ApiKey.generate()
        settings = Settings(
            host="127.0.0.1",
            port=0,
            admin=key.identity,
            tls=TlsSettings(str(folder / "kes.key"), str(folder / "kes.crt")),
            audit=AuditSettings(console=False),
            **changes,
        )
        self.app = await app.start(settings, log=Log(OFF + 1))
        tls = client_tls(api_key=key, ca=folder / "kes.crt")
        self.kes = KesClient([f"127.0.0.1:{self.app.port}"], tls)
        return self

    async def stop(self) -> None:
        await self.kes.close()
        await self.app.stop(0)


async def test_cached_keys_serve_while_the_store_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CacheSettings(any=0.3, unused=0.0, offline=60)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=LockSettings(within=0.2))
    await world.kes.create("mine")
    made = await world.kes.generate("mine")
    world.store.away = True
    for _ in range(60):
        if (await world.kes.status()).store_reachable is False:
            break
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.7)  # twice the `any` interval: the offline cache goes on
    assert (await world.kes.decrypt("mine", made.ciphertext)).plaintext == made.plaintext
    with pytest.raises(StoreUnreachable):
        await world.kes.ready()
    status = await world.kes.status()
    assert status.raw["keystore_unreachable"]
    assert status.raw["offline_until"] > "2026"
    assert "strongroom_kes_store_offline 1" in await world.kes.metrics(ours=True)
    with pytest.raises(Unavailable, match="failed to read key"):
        await world.kes.generate("other")
    world.store.away = False
    for _ in range(60):
        if world.app.state.watch.offline is None:
            break
        await asyncio.sleep(0.02)
    assert await world.kes.ready()
    await world.stop()


TROUBLES = {
    "away": lambda store: setattr(store, "away", True),
    "failing": lambda store: setattr(store, "failing", True),
    "hanging": lambda store: setattr(store, "back", asyncio.Event()),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("dropped", ["by any", "by unused", "by a change"])
async def test_an_outage_that_nobody_noticed_takes_no_key_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, dropped: str
) -> None:
    """A key that a timer dropped, or that must be read again, in the moment in which the store went away."""
    cache, lock = CacheSettings(any=60, unused=60, offline=60), LockSettings(within=60)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=lock)
    await world.kes.create("mine")
    made = await world.kes.generate("mine")
    keyring = world.app.state.keyring
    TROUBLES[trouble](world.store)
    if dropped == "by any":
        keyring.drop_all()
    elif dropped == "by unused":
        keyring.drop_unused()
        keyring.drop_unused()
    else:
        keyring.epoch += 1
    opened = await asyncio.gather(*(world.kes.decrypt("mine", made.ciphertext) for _ in range(5)))
    assert {one.plaintext for one in opened} == {made.plaintext}
    keyring.drop_all()  # the next tick changes nothing
    assert (await world.kes.decrypt("mine", made.ciphertext)).plaintext == made.plaintext
    assert "strongroom_kes_cache_unconfirmed 1" in await world.kes.metrics(ours=True)
    if trouble != "hanging":
        with pytest.raises(Unavailable):
            await world.kes.generate("other")
    world.store.away = world.store.failing = False
    if world.store.back is not None:
        world.store.back.set()
    await world.app.state.watch.look()
    await world.kes.decrypt("mine", made.ciphertext)
    assert "strongroom_kes_cache_unconfirmed 0" in await world.kes.metrics(ours=True)
    await world.stop()


async def test_what_was_disabled_here_is_never_a_fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CacheSettings(any=60, unused=0, offline=60)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=LockSettings(within=60))
    for name in ("disabled", "deleted"):
        await world.kes.create(name)
        await world.kes.generate(name)
    world.app.state.keyring.drop_all()
    await world.kes.disable("disabled")
    await world.kes.delete("deleted")
    world.store.away = True
    for name in ("disabled", "deleted"):
        with pytest.raises((Unavailable, KeyDisabled, KeyNotFound)):
            await world.kes.generate(name)
    await world.stop()


async def test_a_slow_store_is_asked_again_and_a_lock_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key served because the store is slow is locked as soon as the store has said so."""
    cache = CacheSettings(any=60, unused=0, offline=60)
    monkeypatch.setattr(keyring_module, "PATIENCE_SECONDS", 0.05)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=LockSettings(within=60))
    await world.kes.create("mine")
    await world.kes.disable("mine")
    await world.kes.enable("mine")
    await world.kes.generate("mine")
    await world.store.create("mine-disabled-", b"{}")  # as another server does
    world.store.back = asyncio.Event()
    world.app.state.keyring.drop_all()
    await world.kes.generate("mine")
    world.store.back.set()
    for _ in range(100):
        if not world.app.state.keyring._reads:
            break
        await asyncio.sleep(0.01)
    with pytest.raises(KeyDisabled):
        await world.kes.generate("mine")
    await world.stop()


async def test_a_reload_during_an_outage_loses_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CacheSettings(any=60, unused=0, offline=60)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=LockSettings(within=60))
    await world.kes.create("mine")
    made = await world.kes.generate("mine")
    world.store.away = True
    await world.app.reload(world.app.state.settings)
    assert (await world.kes.decrypt("mine", made.ciphertext)).plaintext == made.plaintext
    world.store.away = False
    await world.app.reload(world.app.state.settings)
    assert not world.app.state.keyring.entries
    await world.stop()


async def test_a_look_at_the_generation_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that hangs must not keep the next one, over another connection, from seeing a lock."""
    world = await World().start(tmp_path, monkeypatch, lock=LockSettings(within=0.2))
    looking = world.app.state.watch
    world.store.back = asyncio.Event()
    await asyncio.sleep(0.3)
    world.store.back = None  # what hangs goes on hanging
    seen = looking.read_at
    await asyncio.sleep(1.5)
    assert looking.read_at > seen
    assert looking.failures > 0
    await world.stop()


async def test_offline_mode_ends_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CacheSettings(any=60, unused=0, offline=0.6)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=LockSettings(within=60))
    await world.kes.create("mine")
    await world.kes.generate("mine")
    world.store.away = True
    for _ in range(100):
        if world.app.state.watch.offline is not None:
            break
        await asyncio.sleep(0.01)
    await world.kes.generate("mine")
    await asyncio.sleep(1)
    with pytest.raises(Unavailable):
        await world.kes.generate("mine")
    await world.stop()


async def test_a_strict_lock_serves_no_key_that_may_have_been_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, lock = CacheSettings(any=60, unused=0, offline=60), LockSettings(within=60, strict=True)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=lock)
    await world.kes.create("mine")
    await world.kes.generate("mine")
    world.store.away = True
    world.app.state.keyring.drop_all()
    await world.kes.generate("mine")  # expired, but its state was current a moment ago
    world.app.state.keyring.epoch += 1  # somebody changed something
    with pytest.raises(Unavailable):
        await world.kes.generate("mine")
    await world.stop()


async def test_without_offline_mode_keys_leave_as_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().start(tmp_path, monkeypatch, cache=CacheSettings(any=0.3, unused=0.0, offline=0))
    await world.kes.create("mine")
    await world.kes.generate("mine")
    world.store.away = True
    await world.kes.generate("mine")
    await asyncio.sleep(0.5)
    with pytest.raises(Unavailable, match="failed to read key"):
        await world.kes.generate("mine")
    await world.stop()


async def test_a_strict_lock_refuses_when_states_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = LockSettings(within=0.2, strict=True)
    world = await World().start(tmp_path, monkeypatch, lock=lock, cache=CacheSettings(any=60, unused=0, offline=60))
    await world.kes.create("mine")
    await world.kes.generate("mine")
    world.store.away = True
    await asyncio.sleep(0.4)
    with pytest.raises(StoreUnreachable):
        await world.kes.generate("mine")
    await world.stop()


async def test_unused_keys_leave_and_used_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().start(tmp_path, monkeypatch, cache=CacheSettings(any=60, unused=0.4, offline=0))
    for name in ("used", "idle"):
        await world.kes.create(name)
        await world.kes.generate(name)
    for _ in range(20):
        await world.kes.generate("used")
        await asyncio.sleep(0.05)
    assert set(world.app.state.keyring.entries) == {"used"}
    await world.stop()


async def test_many_misses_of_one_key_make_one_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().start(tmp_path, monkeypatch, lock=LockSettings(within=60))
    await world.kes.create("mine")
    world.store.gate, world.store.reads = asyncio.Event(), 0
    tasks = [asyncio.create_task(world.kes.generate("mine")) for _ in range(20)]
    await asyncio.sleep(0.3)
    world.store.gate.set()
    made = await asyncio.gather(*tasks)
    assert len({one.plaintext for one in made}) == 20
    assert world.store.reads == 1
    await world.stop()


async def test_not_found_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().start(tmp_path, monkeypatch)
    with pytest.raises(KeyNotFound):
        await world.kes.generate("mine")
    await world.kes.create("mine")
    await world.kes.generate("mine")
    await world.stop()


async def test_two_servers_on_one_openbao(tmp_path: Path) -> None:
    async with bao_world.bao(tmp_path) as bao:
        two = await Two(tmp_path, bao.store(prefix="minio")).start()
        for number in range(5):
            name = f"mine-{number}"
            await two.one.create(name)
            made = await two.two.generate(name, b"c")
            await two.one.disable(name)
            start = time.monotonic()
            while time.monotonic() - start < 10:
                try:
                    await two.two.generate(name)
                except KeyDisabled:
                    break
                await asyncio.sleep(0.02)
            assert time.monotonic() - start < WITHIN + 2
            await two.two.enable(name)
            assert (await two.two.decrypt(name, made.ciphertext, b"c")).plaintext == made.plaintext
        await two.stop()


async def test_a_revoked_token_is_replaced(tmp_path: Path) -> None:
    async with bao_world.bao(tmp_path) as bao:
        from strongroom.kes.storage.vault import VaultStore

        store = await VaultStore.connect(bao.store(), print)
        await store.create("mine", b"value")
        await bao.root.write("auth/token/revoke", {"token": store._client.token})
        assert await store.get("mine") == b"value"
        await store.close()


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_write_that_meets_itself_has_created_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """As after a lost answer, when the client tries again."""
    async with bao_world.bao(tmp_path) as bao:
        from strongroom.kes.storage.vault import VaultStore

        engine = "kv" if version == "v1" else "kv2"
        store = await VaultStore.connect(bao.store(engine=engine, version=version), print)
        write = store._client.write

        async def twice(path: str, document: object) -> object:
            await write(path, document)
            return await write(path, document)

        monkeypatch.setattr(store._client, "write", twice)
        await store.create("mine", b"value")
        assert await store.get("mine") == b"value"
        with pytest.raises(KeyExists):
            await store.create("mine", b"other")
        await store.close()


async def unseal_key(log: Path) -> str:
    """Return the key that the development server prints some time after it answers."""
    for _ in range(100):
        for line in log.read_text().splitlines():
            if "Unseal Key" in line:
                return line.split(":")[1].strip()
        await asyncio.sleep(0.1)
    raise TimeoutError("no unseal key")


async def test_sealing_and_unsealing_openbao(tmp_path: Path) -> None:
    async with bao_world.bao(tmp_path) as bao:
        from strongroom.kes.storage.vault import VaultStore

        store = await VaultStore.connect(bao.store(ping=0.1), print)
        await store.create("mine", b"value")
        await bao.root.call("PUT", "sys/seal")
        with pytest.raises(StoreUnreachable):
            await store.status()
        with pytest.raises(StoreUnreachable):
            await store.get("mine")
        key = await unseal_key(tmp_path / "bao.log")
        await bao.root.call("PUT", "sys/unseal", {"key": key})
        for _ in range(100):
            try:
                assert await store.get("mine") == b"value"
                break
            except Unavailable:
                await asyncio.sleep(0.1)
        else:
            pytest.fail("the store did not come back")
        await store.close()


async def test_a_frozen_openbao_takes_no_cached_key_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that accepts connections and answers none: the worst kind of outage."""
    monkeypatch.setattr(watch, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(keyring_module, "PATIENCE_SECONDS", 0.2)
    async with bao_world.bao(tmp_path) as bao:
        cache = CacheSettings(any=0.3, unused=0, offline=60)
        two = Two(tmp_path, bao.store(prefix="minio"))
        monkeypatch.setattr(two, "settings", lambda name, make=two.settings: replace(make(name), cache=cache))
        await two.start()
        made = {}
        for name in ("mine", "mine-2"):
            await two.one.create(name)
            made[name] = await two.one.generate(name)
        bao.process.send_signal(signal.SIGSTOP)
        try:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                for name, sealed in made.items():
                    assert (await two.one.decrypt(name, sealed.ciphertext)).plaintext == sealed.plaintext
                await asyncio.sleep(0.01)
            assert not (await two.one.status()).store_reachable
        finally:
            bao.process.send_signal(signal.SIGCONT)
        for _ in range(100):
            if two.apps[0].state.watch.offline is None:
                break
            await asyncio.sleep(0.1)
        await two.one.disable("mine")
        with pytest.raises(KeyDisabled):
            await two.one.decrypt("mine", made["mine"].ciphertext)
        await two.stop()


async def test_an_exact_vault_policy_still_serves_its_key(tmp_path: Path) -> None:
    """A policy for one key's path denies our marks; the key works as with an original KES, states do not."""
    async with bao_world.bao(tmp_path) as bao:
        two = await Two(tmp_path, bao.store(engine="tight", prefix="minio")).start()
        await two.one.create("only")
        made = await two.one.generate("only")
        assert (await two.two.decrypt("only", made.ciphertext)).plaintext == made.plaintext
        with pytest.raises(Unavailable):
            await two.one.disable("only")
        await two.stop()
