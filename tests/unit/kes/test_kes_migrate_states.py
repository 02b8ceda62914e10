"""`kes migrate`: the states of keys hold in the target too, whatever is copied and whatever is there."""

import json

import pytest

from strongroom.errors import AlreadyExists
from strongroom.kes.migrate import Migration, _copy
from strongroom.kes.storage.memory import MemoryStore


async def store(**entries: str) -> MemoryStore:
    found = MemoryStore()
    for name, value in entries.items():
        await found.create(name.replace("_", "-"), value.encode())
    return found


async def test_a_pattern_brings_the_mark_that_there_are_states() -> None:
    source = await store(prod="1", prod_disabled_="{}", test="2", states_="{}", generation_="g")
    target = MemoryStore()
    assert await _copy(source, target, Migration("prod")) == 1
    assert set(target._values) == {"prod", "prod-disabled-", "states-", "generation-"}


async def test_what_belongs_to_all_keys_is_in_nobodys_way() -> None:
    source = await store(a="1", states_="{}", generation_="source")
    for wanted in (Migration(), Migration(merge=True), Migration(force=True)):
        target = await store(b="2", states_="{}", generation_="target")
        assert await _copy(source, target, wanted) == 1
        assert await target.get("generation-") == b"target"  # its servers go on from there
    with pytest.raises(AlreadyExists):
        await _copy(source, await store(a="other"), Migration())


async def test_a_trial_leaves_nothing_behind() -> None:
    source, target = await store(a="1", states_=json.dumps({})), MemoryStore()
    assert await _copy(source, target, Migration(dry_run=True)) == 1
    assert not target._values


async def test_merging_leaves_another_key_of_the_same_name_alone_with_its_states() -> None:
    source = await store(a="1", a_disabled_="{}", a_v2_="2", b="1", b_deletion_="{}", states_="{}")
    target = await store(a="other", b="1")
    told: list[str] = []
    for dry_run in (True, False):
        assert await _copy(source, target, Migration(merge=True, dry_run=dry_run, other=told.append)) == 0
    assert told == ["a", "a"]
    assert set(target._values) == {"a", "b", "b-deletion-", "states-", "generation-"}  # b: what was cut off goes on


async def test_servers_of_the_target_hear_of_states_that_came() -> None:
    source = await store(a="1", a_disabled_="{}", states_="{}", generation_='{"number":7,"random":"r"}')
    target = await store(a="1", states_="{}", generation_='{"number":3,"random":"s"}')
    await _copy(source, target, Migration(merge=True))
    assert json.loads(await target.get("generation-"))["number"] == 4
    before = await target.get("generation-")
    await _copy(source, target, Migration(merge=True))
    assert await target.get("generation-") == before  # nothing came
