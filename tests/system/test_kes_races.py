"""Changes of one key that arrive at one server together; ends in the middle of things."""

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_kes_outage import Flaky, World

from strongroom.errors import BadSettings, Unavailable
from strongroom.kes import app, stores
from strongroom.kes.domain.errors import KeyExists, KeyNotFound, StoreUnreachable
from strongroom.kes.domain.settings import AuditSettings, CacheSettings, FsSettings, LockSettings
from strongroom.kes.handlers import lifecycle


class Paused(Flaky):
    """A store in which creating `mine` waits for the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = asyncio.Event()

    async def create(self, name: str, value: bytes) -> None:
        if name == "mine":
            self.waiting.set()
            await self.open.wait()
        await super().create(name, value)


async def test_a_create_that_meets_a_delete_makes_no_key_under_the_old_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_kes_outage.Flaky", Paused)
    world = await World().start(tmp_path, monkeypatch, lock=LockSettings(within=60))
    await world.kes.create("mine")
    world.store.open.clear()
    world.store.waiting.clear()
    creating = asyncio.create_task(world.kes.create("mine"))  # has looked for a tombstone
    await world.store.waiting.wait()
    deleting = asyncio.create_task(world.kes.delete("mine"))
    await asyncio.sleep(0.1)
    world.store.open.set()
    with pytest.raises(KeyExists):
        await creating
    await deleting
    with pytest.raises(KeyNotFound):
        await world.kes.generate("mine")
    with pytest.raises(KeyExists):  # the name was used
        await world.kes.create("mine")
    await world.stop()


async def test_many_changes_at_once_leave_a_whole_key_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().start(tmp_path, monkeypatch, lock=LockSettings(within=60))
    kes = world.kes
    await kes.create("mine")
    changes = [kes.rotate, kes.disable, kes.enable, kes.delete, kes.recreate, kes.create, kes.lifecycle] * 5
    await asyncio.gather(*(change("mine") for change in changes), return_exceptions=True)
    entries = set(world.store._values)
    if "mine" not in entries:
        assert entries <= {"mine-deleted-", "generation-", "states-"}
    else:
        assert await kes.lifecycle("mine")
    assert not world.app.state.keyring.changes._locks
    await world.stop()


@pytest.mark.parametrize("forgets", [False, True])
async def test_a_key_that_is_dropped_the_moment_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    """The read runs beside its request, so that a timer or a change may come between the two."""
    cache, lock = CacheSettings(any=60, unused=0, offline=60), LockSettings(within=60)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=lock)
    await world.kes.create("mine")
    made = await world.kes.generate("mine")
    keyring, get, loop = world.app.state.keyring, world.store.get, asyncio.get_running_loop()

    def drop() -> None:
        if forgets:
            keyring.epoch += 1
            keyring.forget("mine")
        keyring.drop_all()

    async def then_drop(name: str) -> bytes:
        value = await get(name)
        if name == "mine" and not dropped:
            dropped.append(name)
            loop.call_soon(drop)
        return value

    dropped: list[str] = []
    monkeypatch.setattr(world.store, "get", then_drop)
    keyring.with_states = False
    keyring.drop_all()
    assert (await world.kes.decrypt("mine", made.ciphertext)).plaintext == made.plaintext
    assert dropped
    await world.stop()


async def test_a_key_that_is_changed_while_it_is_waited_for_is_no_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, lock = CacheSettings(any=60, unused=0, offline=60), LockSettings(within=60)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=lock)
    await world.kes.create("mine")
    await world.kes.generate("mine")
    keyring = world.app.state.keyring
    world.store.back = asyncio.Event()
    keyring.drop_all()
    waiting = asyncio.create_task(keyring.get("mine"))
    await asyncio.sleep(0.1)
    keyring.epoch += 1  # as after a disable
    keyring.forget("mine")
    with pytest.raises(StoreUnreachable, match="new state"):
        await waiting
    assert "mine" not in keyring.entries
    world.store.back.set()
    await world.stop()


async def test_a_key_that_cannot_be_read_now_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion without the fingerprint would forget what the name once was; a damaged entry can be deleted."""
    world = await World().start(tmp_path, monkeypatch, lock=LockSettings(within=60))
    await world.kes.create("mine")
    world.store.failing = True
    with pytest.raises(Unavailable):
        await world.kes.delete("mine")
    world.store.failing = False
    assert await world.kes.generate("mine")
    assert "mine-deleted-" not in world.store._values
    world.store._values["mine"] = b"rubbish"
    await world.kes.delete("mine")
    assert "mine" not in world.store._values
    await world.stop()


async def test_a_stream_that_its_client_leaves_is_closed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to the garbage collector: that makes a task, which may outlive the loop."""
    world = await World().start(tmp_path, monkeypatch, lock=LockSettings(within=60))
    hooks, left = sys.get_asyncgen_hooks(), list[str]()

    def note(generator: AsyncGenerator[object, None]) -> None:
        left.append(generator.__qualname__)
        hooks.finalizer(generator)

    sys.set_asyncgen_hooks(finalizer=note)
    try:
        call = SimpleNamespace(state=world.app.state, identity=world.app.state.settings.admin)
        lines = lifecycle._lines(call, "")
        assert [await anext(lines), b"reset" in await anext(lines)] == [b"", True]
        await lines.aclose()
        async with aclosing(world.kes.events()) as events:
            assert (await anext(events))["event"] == "reset"
        await world.stop()
        gc.collect()
    finally:
        sys.set_asyncgen_hooks(finalizer=hooks.finalizer)
    assert [name for name in left if "Watch" in name or "_lines" in name or "_events" in name] == []


class Failing(Flaky):
    """A store in which predefined keys cannot be made."""

    async def create(self, name: str, value: bytes) -> None:
        raise StoreUnreachable("away")


@pytest.mark.parametrize("changes", [{"keys": ("first",)}, {"audit": AuditSettings(file="/no/such/folder/a")}])
async def test_a_start_that_fails_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setattr("test_kes_outage.Flaky", Failing)
    start = app.start

    async def with_changes(settings: app.Settings, **more: object) -> app.App:
        return await start(replace(settings, **changes), **more)

    monkeypatch.setattr(app, "start", with_changes)
    with pytest.raises((Unavailable, BadSettings)):
        await World().start(tmp_path, monkeypatch)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_ciphertext_of_a_rotation_that_was_not_heard_of_opens_under_a_key_that_is_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World().start(tmp_path, monkeypatch, lock=LockSettings(within=60))
    await world.kes.create("mine")
    await world.kes.rotate("mine")
    made = await world.kes.generate("mine")
    keyring = world.app.state.keyring
    keyring.forget("mine")
    keyring.with_states = False  # as on a server that looked before the store had its first state
    assert (await world.kes.decrypt("mine", made.ciphertext)).plaintext == made.plaintext
    await world.stop()


async def test_a_reload_keeps_keys_in_memory_and_lets_requests_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World().start(tmp_path, monkeypatch)
    await world.kes.create("mine")
    made = await world.kes.generate("mine")
    closed: list[str] = []

    async def close() -> None:
        closed.append("memory")

    world.store.close = close
    monkeypatch.setattr(app, "open_store", lambda *_: pytest.fail("a memory store was made anew"))
    await world.app.reload(world.app.state.settings)
    assert (await world.kes.decrypt("mine", made.ciphertext)).plaintext == made.plaintext
    files = replace(world.app.state.settings, store=FsSettings(str(tmp_path / "keys")))
    monkeypatch.setattr(app, "open_store", stores.open_store)
    monkeypatch.setattr(app, "RETIRE_SECONDS", 0.2)
    await world.app.reload(files)
    assert not closed
    await asyncio.sleep(0.4)
    assert closed == ["memory"]
    await world.stop()
