"""Changes of one key that arrive at one server together."""

import asyncio
from pathlib import Path

import pytest
from test_kes_outage import Flaky, World

from strongroom.kes.domain.errors import KeyExists, KeyNotFound
from strongroom.kes.domain.settings import LockSettings


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
