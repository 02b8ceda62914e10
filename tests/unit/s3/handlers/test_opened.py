"""A seal is opened once while its data key is at hand, and not one moment longer."""

import asyncio
from dataclasses import replace

import pytest

from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.records import ObjectVersion, PartRecord
from strongroom.s3.domain.sealing import new_seal, open_seal
from strongroom.s3.handlers import opened
from strongroom.s3.handlers.opened import OpenedSeals
from strongroom.s3.outside.counted_keys import CountedKeys
from strongroom.s3.outside.key_cache import CachedKeys
from strongroom.s3.outside.static_key import StaticKey

VERSION = ObjectVersion("k", "null", 1, 5, 37, b"etag", True, meta=b"record")


class World:
    def __init__(self):
        self.now = 0.0
        self.cached = CachedKeys(StaticKey("my-key", bytes(32)), "my-key", lambda: self.now, lambda: 300.0)
        self.keys = CountedKeys(self.cached)
        self.seals = OpenedSeals(self.keys)

    async def opened(self, kind=Kind.S3, **options):
        made = await new_seal(Encryption(kind, **options), "b", "k", self.keys)
        return await open_seal(made.metadata, "b", "k", self.keys)


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("kind", [Kind.S3, Kind.KMS])
async def test_a_seal_is_found_again_for_the_same_row(world, kind):
    seal = await world.opened(kind)
    assert world.seals.get("b", VERSION) is None
    world.seals.put("b", VERSION, seal)
    assert world.seals.get("b", replace(VERSION)) is seal


@pytest.mark.parametrize("changes", [{"key": "l"}, {"size": 6}, {"meta": b"other"}, {"etag": b"other"}])
async def test_any_change_of_what_a_seal_vouches_for_is_another_row(world, changes):
    world.seals.put("b", VERSION, await world.opened())
    assert world.seals.get("b", replace(VERSION, **changes)) is None
    assert world.seals.get("c", VERSION) is None


async def test_a_forgotten_data_key_takes_its_seals_with_it(world):
    world.seals.put("b", VERSION, await world.opened())
    world.cached.forget("my-key")
    assert world.seals.get("b", VERSION) is None
    seal = await world.opened()  # the same data key, fetched anew, is another object
    assert world.seals.get("b", VERSION) is None
    world.seals.put("b", VERSION, seal)
    assert world.seals.get("b", VERSION) is seal


async def test_time_ends_a_seal_with_its_data_key(world):
    world.seals.put("b", VERSION, await world.opened())
    world.now = 299.0
    assert world.seals.get("b", VERSION) is not None
    world.now = 301.0
    assert world.seals.get("b", VERSION) is None


async def test_seals_that_cannot_be_used_do_not_stay_in_memory(world, monkeypatch):
    monkeypatch.setattr(opened, "TIDY_SECONDS", 0.001)
    world.seals.put("b", VERSION, await world.opened())
    world.cached.forget("my-key")
    tidying = asyncio.create_task(world.seals.tidy())
    while world.seals._kept:
        await asyncio.sleep(0.001)
    tidying.cancel()


async def test_uses_are_counted_like_those_of_the_data_key(world):
    world.seals.put("b", VERSION, await world.opened())
    before = world.keys.success
    world.seals.get("b", VERSION)
    assert world.keys.success == before + 1
    world.seals.put("b", VERSION, await world.opened())
    assert world.keys.success == before + 3  # making and opening


async def test_nothing_is_kept_where_data_keys_are_not(world):
    keys = StaticKey("my-key", bytes(32))
    made = await new_seal(Encryption(Kind.S3), "b", "k", keys)
    seals = OpenedSeals(keys)
    seal = await open_seal(made.metadata, "b", "k", keys)
    await keys.close()
    seals.put("b", VERSION, seal)
    assert seals.get("b", VERSION) is None


async def test_multipart_objects_and_new_seals_are_not_kept(world):
    parts = replace(VERSION, parts=(PartRecord(1, 5, 37, b""),))
    world.seals.put("b", parts, await world.opened())
    assert world.seals.get("b", parts) is None
    world.seals.put("b", VERSION, await new_seal(Encryption(Kind.S3), "b", "k", world.keys))
    assert world.seals.get("b", VERSION) is None


async def test_the_least_recently_used_goes_first(world, monkeypatch):
    monkeypatch.setattr(opened, "LIMIT", 2)
    seal = await world.opened()
    one, two, three = (replace(VERSION, meta=bytes([n])) for n in range(3))
    world.seals.put("b", one, seal)
    world.seals.put("b", two, seal)
    world.seals.get("b", one)
    world.seals.put("b", three, seal)
    assert [world.seals.get("b", each) is seal for each in (one, two, three)] == [True, False, True]
