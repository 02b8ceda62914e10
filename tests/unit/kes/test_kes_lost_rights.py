"""A store that denies something: by a policy, or because it does not know us any more. Only the first has no states."""

import asyncio
import os

import pytest

from strongroom.crypto.keyciphertext import KeyType
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.errors import KeyDisabled, StoreDenied, StoreShut
from strongroom.kes.domain.lifecycle import (
    GENERATION,
    STATES,
    Disabled,
    Event,
    Generation,
    disabled_entry,
    encode_entry,
)
from strongroom.kes.domain.records import Moment, StoredKey
from strongroom.kes.domain.settings import CacheSettings, LockSettings
from strongroom.kes.handlers import watch as watch_module
from strongroom.kes.handlers.keyring import Keyring
from strongroom.kes.handlers.watch import Watch
from strongroom.kes.storage.memory import MemoryStore
from strongroom.observe.log import OFF, Log


class Denying(MemoryStore):
    """Denies the entries that end in one of `denied`, with `error`."""

    denied: tuple[str, ...] = ()
    error: type[StoreDenied] = StoreDenied

    async def get(self, name: str) -> bytes:
        if name.endswith(self.denied):
            raise self.error(name)
        return await super().get(name)


async def world() -> tuple[Denying, Keyring, Watch]:
    """Return a store with a disabled key `mine`, its key ring and its watch, which has looked once."""
    store = Denying()
    stored = StoredKey(os.urandom(32), KeyType.AES256, os.urandom(32), Moment(0, 0), "")
    await store.create("mine", storedkey.encode(stored))
    await store.create(disabled_entry("mine"), encode_entry(Disabled()))
    await store.create(STATES, b"{}")
    await store.create(GENERATION, encode_entry(Generation(3, "ab")))
    keyring = Keyring(store)
    watch = Watch(keyring, CacheSettings(), LockSettings(), Log(OFF + 1))
    keyring.noticed = watch.noticed
    await watch.look()
    return store, keyring, watch


async def test_a_lost_login_does_not_make_a_disabled_key_usable() -> None:
    store, keyring, _ = await world()
    store.denied, store.error = (disabled_entry("mine"),), StoreShut
    with pytest.raises(StoreShut):
        await keyring.get("mine")
    store.denied = ()
    with pytest.raises(KeyDisabled):
        (await keyring.get("mine")).check_usable()


@pytest.mark.parametrize("error", [StoreShut, StoreDenied])
async def test_states_that_were_seen_are_not_forgotten_when_the_generation_is_denied(error: type[StoreDenied]) -> None:
    store, keyring, watch = await world()
    store.denied, store.error = (GENERATION,), error
    with pytest.raises(StoreDenied):
        await watch.look()
    assert keyring.with_states
    with pytest.raises(KeyDisabled):
        (await keyring.get("mine")).check_usable()


async def test_a_store_that_denies_our_names_from_the_start_has_no_states() -> None:
    store, keyring, watch = await world()
    store.denied, watch.generation = ("-",), Generation()
    await watch.look()
    assert not keyring.with_states
    (await keyring.get("mine")).check_usable()


async def resumed(watch: Watch, after: str) -> list[Event]:
    """Return what a client hears at once that comes back with a generation."""
    stream, found = watch.events(after), []
    try:
        async with asyncio.timeout(0.05):
            async for event in stream:
                found.append(event)
    except TimeoutError:
        return found
    finally:
        await stream.aclose()
    return found


async def test_who_left_between_two_events_of_a_generation_hears_the_second() -> None:
    _, _, watch = await world()
    watch.tell("disabled", "one")  # of one look at the store
    watch.tell("disabled", "two")
    kinds = [(event.kind, event.name) for event in await resumed(watch, "3-ab")]
    assert kinds[-2:] == [("disabled", "one"), ("disabled", "two")]


async def test_who_may_have_missed_an_event_that_is_let_go_of_must_forget_everything() -> None:
    _, _, watch = await world()
    for number in range(watch_module.KEPT_EVENTS + 1):
        watch.tell("disabled", f"k{number}")
    assert [event.kind for event in await resumed(watch, "3-ab")] == ["reset"]
