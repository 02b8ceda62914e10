"""Scheduled deletions: put off, cut off in the middle, beside damaged entries and wrong clocks."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from test_kes_outage import Flaky, World

from strongroom.errors import Unavailable
from strongroom.kes.domain.errors import KeyNotFound, KeyPendingDeletion, StoreFailed, StoreUnreachable, WrongState
from strongroom.kes.domain.lifecycle import Generation
from strongroom.kes.domain.settings import LockSettings
from strongroom.kes.handlers import dates
from strongroom.kes.handlers.deletions import Deletions
from strongroom.observe.log import Log


class Breaking(Flaky):
    """A store in which some entries cannot be made (`full`) or deleted (`broken`), and whose clock may differ."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.full: set[str] = set()
        self.made: list[str] = []
        self.clock_ahead = 0.0

    async def create(self, name: str, value: bytes) -> None:
        self.made.append(name)
        if name in self.full:
            raise StoreUnreachable("cut off")
        await super().create(name, value)

    async def delete(self, name: str) -> None:
        if name in self.broken:
            raise StoreFailed("no right to delete")
        await super().delete(name)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("test_kes_outage.Flaky", Breaking)
    made = await World().start(tmp_path, monkeypatch, lock=LockSettings(within=60))
    yield made
    await made.stop()


def _finishing(world: World, now: float | None = None) -> Deletions:
    state = world.app.state
    return Deletions(state.keyring, state.watch, (lambda: now) if now is not None else time.time)


async def _entries(world: World) -> set[str]:
    return set(world.store._values)


async def test_another_date_takes_the_place_of_the_first_in_one_step(world: World) -> None:
    await world.kes.create("mine")
    first = await world.kes.delete_later("mine", 3600)
    world.store.full = {"mine-deletion-", "mine-deletion2-"}
    with pytest.raises(Unavailable):  # a crash, as far as the store can tell
        await world.kes.delete_later("mine", 86400)
    world.store.full = set()
    after_it = await world.kes.lifecycle("mine")
    assert (after_it["state"], after_it["deleted_at"]) == ("pending deletion", first["deleted_at"])
    for seconds in (86400, 60, 7200):
        moved = await world.kes.delete_later("mine", seconds)
        assert await _due(world) == pytest.approx(time.time() + seconds, abs=30)
        assert moved["deleted_at"] == (await world.kes.lifecycle("mine"))["deleted_at"]


async def _due(world: World) -> float:
    found = await dates.deletion_of(lambda name: dates.value_of(world.store, name), "mine")
    assert found is not None
    return found.due


CHANGES = {
    "disable": "mine-disabled-",
    "rotate": "mine-v2-",
    "delete_later": "mine-deletion-",
    "delete": "mine-deleted-",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_store_says_that_it_has_states_before_it_has_the_first(world: World, change: str) -> None:
    await world.kes.create("mine")
    await getattr(world.kes, change)("mine", *([60] if change == "delete_later" else []))
    made = world.store.made
    assert made.index("states-") < made.index(CHANGES[change])


async def test_dates_from_before_a_restore_do_not_count(world: World) -> None:
    await world.kes.create("mine")
    for seconds in (3600, 60, 30):
        await world.kes.delete_later("mine", seconds)
    assert (await world.kes.restore("mine"))["state"] == "enabled"
    await world.kes.generate("mine")
    await world.kes.delete_later("mine", 86400)
    assert await _due(world) > time.time() + 80000
    assert await _entries(world) == {"mine", "mine-deletion-", "generation-", "states-"}


async def test_a_key_whose_deletion_was_put_off_leaves_its_tombstone_alone(world: World) -> None:
    await world.kes.create("mine")
    for seconds in (3600, 7200, 7200):
        await world.kes.delete_later("mine", seconds)
    await _finishing(world, time.time() + 4000).finish()
    with pytest.raises(KeyPendingDeletion):
        await world.kes.generate("mine")
    await _finishing(world, time.time() + 8000).finish()
    assert await _entries(world) == {"mine-deleted-", "generation-", "states-"}


async def test_a_deletion_cannot_be_put_off_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dates, "MOST_DATES", 3)
    await world.kes.create("mine")
    for _ in range(3):
        await world.kes.delete_later("mine", 3600)
    with pytest.raises(WrongState, match="restore"):
        await world.kes.delete_later("mine", 3600)
    await world.kes.restore("mine")
    await world.kes.delete_later("mine", 3600)


async def test_one_deletion_that_fails_keeps_no_other_from_its_time(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        await world.kes.create(name)
        await world.kes.delete_later(name, 60)
    world.store._values["a-deletion-"] = b"rubbish"
    world.store.broken = {"b"}
    world.app.state.watch.log = Log()
    finishing = _finishing(world, time.time() + 100)
    await finishing.finish()
    assert {"a", "b"} <= await _entries(world)
    assert not {"c", "c-deletion-"} & await _entries(world)
    told = capsys.readouterr().err
    assert "level=ERROR" in told
    assert "key 'a' cannot be deleted" in told
    assert "key 'b' cannot be deleted" in told
    await finishing.finish()
    assert capsys.readouterr().err == ""  # told once a minute
    world.store.broken = set()
    finishing._later.clear()
    await finishing.finish()
    assert "b" not in await _entries(world)


async def test_a_search_goes_on_behind_a_damaged_date(world: World) -> None:
    for name in ("a", "b"):
        await world.kes.create(name)
        await world.kes.delete_later(name, 60)
    world.store._values["a-deletion-"] = b"rubbish"
    world.app.state.keyring.entries.clear()  # as after a restart
    await _finishing(world, time.time() + 100).finish()
    assert "b" not in await _entries(world)


async def test_a_clock_that_is_ahead_of_the_stores_deletes_nothing_early(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.kes.create("mine")
    await world.kes.delete_later("mine", 3600)
    world.app.state.watch.log = Log()
    world.store.clock_ahead = 86400.0
    world.app.entrance.server.now = lambda: time.time() + 86400
    assert (await world.kes.lifecycle("mine"))["state"] == "pending deletion"
    ahead = _finishing(world, time.time() + 86400)
    for _ in range(3):
        await ahead.finish()
    assert "mine" in await _entries(world)
    assert capsys.readouterr().err.count("86400 s ahead of the key store's") == 1
    world.store.clock_ahead = 0.0
    ahead._later.clear()
    await ahead.finish()
    assert "mine" not in await _entries(world)


async def test_a_clock_that_is_behind_the_stores_shortens_no_waiting_time(world: World) -> None:
    await world.kes.create("mine")
    world.store.clock_ahead = -86400.0
    await world.kes.delete_later("mine", 3600)
    assert await _due(world) == pytest.approx(time.time() + 86400 + 3600, abs=30)


async def test_a_damaged_generation_is_replaced_and_hides_no_lock(world: World) -> None:
    await world.kes.create("mine")
    await world.kes.disable("mine")
    await world.kes.enable("mine")
    await world.kes.generate("mine")
    world.store._values["generation-"] = b"rub"
    world.store._values["mine-disabled-"] = b"{}"  # by another server, which could not tell by a generation
    await world.app.state.watch.look()
    with pytest.raises(Exception, match="key is disabled"):
        await world.kes.generate("mine")
    assert (await world.kes.enable("mine"))["state"] == "enabled"
    assert json.loads(world.store._values["generation-"])["number"] > 1_700_000_000


async def test_a_lost_generation_goes_on_above_all_earlier_ones(world: World) -> None:
    """Clients remember the number under which a key was locked, and take no older word for its being enabled."""
    await world.kes.create("mine")
    for _ in range(3):
        await world.kes.disable("mine")
        await world.kes.enable("mine")
    locked = json.loads(world.store._values["generation-"])["number"]
    await world.store.delete("generation-")  # a crash in the middle of a change
    world.app.state.watch.generation = Generation()  # and every key server starts again
    await world.kes.disable("mine")
    assert json.loads(world.store._values["generation-"])["number"] > locked


async def test_background_work_outlives_what_nobody_foresaw(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = world.app.state.watch
    watch.log = Log()
    done = asyncio.Event()
    failures = [RuntimeError("a fault"), RuntimeError("a fault"), StoreFailed("denied")]

    async def work() -> None:
        if failures:
            raise failures.pop(0)
        done.set()

    watch.every(0.01, work)
    async with asyncio.timeout(5):
        await done.wait()
    told = capsys.readouterr().err
    assert [told.count("a fault"), told.count("denied")] == [1, 1]


async def test_a_probe_that_meets_a_fault_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fault() -> float:
        raise RuntimeError("a fault")

    monkeypatch.setattr(world.store, "status", fault)
    for _ in range(100):
        if world.app.state.watch.offline is not None:
            break
        await asyncio.sleep(0.02)
    assert "a fault" in str(world.app.state.watch.offline)
    monkeypatch.undo()
    world.app.state.watch._alarm.set()
    for _ in range(200):
        if world.app.state.watch.offline is None:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the probe has ended")


async def test_an_absent_key_has_no_date(world: World) -> None:
    with pytest.raises(KeyNotFound):
        await world.kes.delete_later("nope", 60)
