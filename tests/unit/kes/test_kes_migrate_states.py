"""`kes migrate`: the states of keys hold in the target too, whatever is copied and whatever is there."""

import json
from pathlib import Path

import pytest

from strongroom.crypto.fingerprint import fingerprint
from strongroom.crypto.keyciphertext import KeyType
from strongroom.errors import AlreadyExists, BadSettings
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.lifecycle import Deleted, encode_entry
from strongroom.kes.domain.records import Moment, StoredKey
from strongroom.kes.handlers.loading import load
from strongroom.kes.migrate import Migration, WasDeleted, _copy
from strongroom.kes.storage.fs import FileStore
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
        target = await store(b="2", states_="{}", generation_='{"number":5,"random":"r"}')
        assert await _copy(source, target, wanted) == 1
        number = json.loads(await target.get("generation-"))["number"]  # its servers go on from there
        assert number == (6 if wanted.force else 5)  # and look again at keys that may be others now
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


def _key(byte: int) -> bytes:
    return storedkey.encode(StoredKey(bytes([byte]) * 32, KeyType.AES256, bytes(32), Moment(1), ""))


async def _deleted_in_target(value: bytes) -> MemoryStore:
    mark = fingerprint(storedkey.decode(value).key).hex()
    target = await store(states_="{}")
    await target.create("a-deleted-", encode_entry(Deleted((mark,), mark)))
    return target


async def test_a_key_that_was_deleted_in_the_target_comes_back_only_by_force() -> None:
    """As when a backup is to bring back a key that was deleted by mistake."""
    source = MemoryStore()
    await source.create("a", _key(1))
    with pytest.raises(WasDeleted):
        await _copy(source, await _deleted_in_target(_key(1)), Migration())
    told: list[str] = []
    merged = await _deleted_in_target(_key(1))
    assert await _copy(source, merged, Migration(merge=True, other=told.append)) == 0
    assert (told, await merged.names("a", "", 9)) == (["a"], ["a-deleted-"])
    forced = await _deleted_in_target(_key(1))
    assert await _copy(source, forced, Migration(force=True)) == 1
    assert (await load(forced, "a", with_states=True, warn=print)).state == "enabled"
    another = await _deleted_in_target(_key(2))  # another key had the name
    assert await _copy(source, another, Migration()) == 1
    assert (await load(another, "a", with_states=True, warn=print)).former


async def test_force_leaves_nothing_of_the_key_that_was_there() -> None:
    source = MemoryStore()
    await source.create("a", _key(1))
    target = await store(b="1", b_disabled_="{}", states_="{}")
    for name in ("a", "a-v2-", "a-v3-"):
        await target.create(name, _key(2))
    for name in ("a-disabled-", "a-deletion-", "a-deletion2-", "a-deletion3-"):
        await target.create(name, b'{"due":1}')
    await _copy(source, target, Migration(force=True))
    assert set(target._values) == {"a", "b", "b-disabled-", "states-", "generation-"}
    assert (await load(target, "a", with_states=True, warn=print)).state == "enabled"


async def test_a_store_is_not_overwritten_with_itself(tmp_path: Path) -> None:
    """Under two names: what is overwritten would be deleted before it is read."""
    (tmp_path / "link").symlink_to(tmp_path / "keys")
    source = FileStore(tmp_path / "keys")
    for name in ("a", "a-v2-"):
        await source.create(name, _key(1))
    with pytest.raises(BadSettings, match="the same key store"):
        await _copy(source, FileStore(tmp_path / "link"), Migration(force=True))
    assert await source.names("", "", 9) == ["a", "a-v2-"]
