"""Key versions and states over two key servers on one key store."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import kes_world
import pytest

from strongroom.audit.chain import verify
from strongroom.errors import Error
from strongroom.kes import app
from strongroom.kes.domain.errors import KeyDisabled, KeyExists, KeyNotFound, KeyPendingDeletion, NotAuthentic
from strongroom.kes.domain.policy import Policy
from strongroom.kes.domain.settings import (
    AuditSettings,
    CacheSettings,
    FsSettings,
    LockSettings,
    Settings,
    StoreSettings,
    TlsSettings,
)
from strongroom.kes.wire.apikey import ApiKey
from strongroom.observe.log import OFF, Log
from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls

WITHIN = 0.4  # seconds: the lock bound in these tests


class Two:
    """Two servers, a client of each with the admin's identity, and one of the first as a mere user."""

    def __init__(self, folder: Path, store: StoreSettings) -> None:
        kes_world.server().write(folder)
        self.folder, self.store = folder, store
        self.admin, self.user = ApiKey.generate(), ApiKey.generate()

    def settings(self, name: str) -> Settings:
        policy = Policy("user", ("/v1/key/generate/mine*",), (), (self.user.identity,))
        return Settings(
            host="127.0.0.1",
            port=0,
            admin=self.admin.identity,
            policies=(policy,),
            tls=TlsSettings(str(self.folder / "kes.key"), str(self.folder / "kes.crt")),
            store=self.store,
            cache=CacheSettings(any=300, unused=300, offline=60),
            lock=LockSettings(within=WITHIN),
            audit=AuditSettings(console=False, file=str(self.folder / f"{name}.audit")),
        )

    async def start(self) -> "Two":
        self.apps = [await app.start(self.settings(name), log=Log(OFF + 1)) for name in ("one", "two")]
        self.one, self.two = (self.client(running, self.admin) for running in self.apps)
        self.as_user = self.client(self.apps[0], self.user)
        return self

    def client(self, running: app.App, key: ApiKey) -> KesClient:
        tls = client_tls(api_key=key, ca=self.folder / "kes.crt")
        return KesClient([f"127.0.0.1:{running.port}"], tls)

    async def stop(self) -> None:
        for client in (self.one, self.two, self.as_user):
            await client.close()
        for running in self.apps:
            await running.stop(0)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    made = await Two(tmp_path, FsSettings(str(tmp_path / "keys"))).start()
    yield made
    await made.stop()


async def _until_refused(client: KesClient, name: str, kind: type[Error] = KeyDisabled) -> float:
    start = time.monotonic()
    while time.monotonic() - start < 10:
        try:
            await client.generate(name)
        except kind:
            return time.monotonic() - start
        await asyncio.sleep(0.01)
    raise AssertionError("never refused")


async def test_a_disabled_key_is_refused_at_once_here_and_soon_elsewhere(two: Two) -> None:
    await two.one.create("mine")
    made = await two.two.generate("mine", b"c")
    await two.one.disable("mine")
    for work in (
        two.one.generate("mine"),
        two.one.decrypt("mine", made.ciphertext, b"c"),
        two.one.encrypt("mine", b""),
    ):
        with pytest.raises(KeyDisabled):
            await work
    await _until_refused(two.two, "mine")
    assert (await two.two.lifecycle("mine"))["state"] == "disabled"
    await two.two.enable("mine")
    assert (await two.two.decrypt("mine", made.ciphertext, b"c")).plaintext == made.plaintext
    while True:
        try:
            assert (await two.one.decrypt("mine", made.ciphertext, b"c")).plaintext == made.plaintext
            break
        except KeyDisabled:
            await asyncio.sleep(0.01)


async def test_rotation(two: Two) -> None:
    await two.one.create("mine")
    first = await two.one.generate("mine", b"c")
    assert (first.version, len(first.ciphertext)) == (1, 76)
    await two.two.generate("mine")
    after = await two.one.rotate("mine")
    assert after["version"] == 2
    second = await two.one.generate("mine", b"c")
    assert second.version == 2
    assert second.fingerprint == after["versions"][1]["fingerprint"] != first.fingerprint
    for client in (two.one, two.two):  # the other server has not heard of version 2, and finds it
        opened = await client.decrypt("mine", second.ciphertext, b"c")
        assert (opened.plaintext, opened.version) == (second.plaintext, 2)
        opened = await client.decrypt("mine", first.ciphertext, b"c")
        assert (opened.plaintext, opened.version) == (first.plaintext, 1)


async def test_hmac_stays_the_same_over_rotations(two: Two) -> None:
    await two.one.create("mine")
    before = await two.one.hmac("mine", b"m")
    await two.one.rotate("mine")
    assert await two.one.hmac("mine", b"m") == before


async def test_scheduled_deletion_and_restore(two: Two) -> None:
    await two.one.create("mine")
    made = await two.one.generate("mine")
    document = await two.one.delete_later("mine", 3600)
    assert document["state"] == "pending deletion"
    with pytest.raises(KeyPendingDeletion):
        await two.one.decrypt("mine", made.ciphertext)
    await two.one.restore("mine")
    assert (await two.one.decrypt("mine", made.ciphertext)).plaintext == made.plaintext
    await two.one.delete_later("mine", 0)
    with pytest.raises(KeyNotFound):
        await two.one.lifecycle("mine")
    with pytest.raises(KeyNotFound):
        await two.one.generate("mine")


async def test_a_deleted_name_is_used_again_only_on_demand(two: Two) -> None:
    await two.one.create("mine")
    made = await two.one.generate("mine")
    await two.one.rotate("mine")
    newer = await two.one.generate("mine")
    old = await two.one.lifecycle("mine")
    await two.one.delete("mine")
    for client in (two.one, two.two):
        with pytest.raises(KeyExists):
            await client.create("mine")
        with pytest.raises(KeyExists):
            await client.import_key("mine", bytes(32))
    assert await two.one.keys() == []
    fresh = await two.one.recreate("mine")
    assert fresh["former_fingerprints"] == [one["fingerprint"] for one in old["versions"]]
    with pytest.raises(
        NotAuthentic, match=f"sealed by fingerprint {made.fingerprint}, this key is {fresh['fingerprint']}"
    ):
        await two.one.decrypt("mine", made.ciphertext)
    with pytest.raises(NotAuthentic):
        await two.one.decrypt("mine", newer.ciphertext)
    await two.one.delete("mine")
    again = await two.one.recreate("mine")
    assert len(again["former_fingerprints"]) == 3


async def test_a_deletion_that_was_cut_off_is_finished(two: Two, tmp_path: Path) -> None:
    """What a crash leaves: a tombstone with the key still there, or further versions without their first."""
    keys = tmp_path / "keys"
    await two.one.create("mine")
    await two.one.rotate("mine")
    first, second = (keys / "mine").read_bytes(), (keys / "mine-v2-").read_bytes()
    await two.one.delete("mine")
    assert not {"mine", "mine-v2-"} & {one.name for one in keys.iterdir()}
    (keys / "mine").write_bytes(first)
    await _until_refused(two.two, "mine", KeyNotFound)
    (keys / "mine").unlink()
    (keys / "mine-v2-").write_bytes(second)
    (keys / "mine-disabled-").write_text("{}")
    fresh = await two.one.recreate("mine")
    assert (fresh["version"], fresh["state"]) == (1, "enabled")
    (keys / "mine-v2-").write_bytes(second)
    assert (await two.two.lifecycle("mine"))["version"] == 1
    await two.one.delete("mine")
    (keys / "mine-v2-").write_bytes(second)
    before = (keys / "generation-").read_bytes()
    with pytest.raises(KeyNotFound):
        await two.one.delete("mine")
    assert not (keys / "mine-v2-").exists()
    assert (keys / "generation-").read_bytes() != before


async def test_events_reach_listeners_and_can_be_resumed(two: Two) -> None:
    for name in ("mine", "other"):
        await two.one.create(name)
        await two.two.generate(name)
    heard: list[dict[str, Any]] = []
    user_heard: list[dict[str, Any]] = []

    async def listen(client: KesClient, into: list[dict[str, Any]], after: str = "") -> None:
        async for event in client.events(after):
            into.append(event)

    tasks = [asyncio.create_task(listen(two.two, heard)), asyncio.create_task(listen(two.as_user, user_heard))]
    await asyncio.sleep(0.2)
    assert heard[0]["event"] == "reset"
    await two.one.disable("mine")
    await two.one.disable("other")
    await _until_refused(two.two, "other")
    await asyncio.sleep(WITHIN)
    for task in tasks:
        task.cancel()
    told = {(one["event"], one.get("key")) for one in heard}
    assert {("disabled", "mine"), ("disabled", "other"), ("heartbeat", None)} <= told
    assert {one.get("key") for one in user_heard} == {"mine", None}  # nothing of keys that it may not use
    seen = next(one["generation"] for one in user_heard if one["event"] == "disabled")
    later: list[dict[str, Any]] = []
    task = asyncio.create_task(listen(two.one, later, after=seen))
    await asyncio.sleep(0.2)
    task.cancel()
    told = [(one["event"], one.get("key")) for one in later]
    assert told[:2] == [("disabled", "mine"), ("disabled", "other")]  # what was told under it comes again


async def test_an_old_policy_does_not_grant_the_new_routes(two: Two) -> None:
    from strongroom.errors import Denied

    await two.one.create("mine")
    for work in (two.as_user.disable("mine"), two.as_user.lifecycle("mine"), two.as_user.rotate("mine")):
        with pytest.raises(Denied):
            await work


async def test_every_use_is_audited_and_a_flipped_byte_is_found(two: Two, tmp_path: Path) -> None:
    await two.one.create("mine")
    made = await two.one.generate("mine")
    await two.one.decrypt("mine", made.ciphertext)
    await two.one.hmac("mine", b"")
    await two.stop()
    lines = (tmp_path / "one.audit").read_bytes().splitlines()
    key = (tmp_path / "one.audit.key").read_bytes()
    assert verify(lines, key).lines == len(lines)
    used = [line for line in lines if b'"key":"mine","version":1' in line]
    assert len(used) == 3  # generate, decrypt, hmac
    await two.start()
    for place in range(len(lines)):
        bad = list(lines)
        bad[place] = bad[place].replace(b'"time":"2', b'"time":"3', 1)
        with pytest.raises(Error, match=f"line {place + 1}:"):
            verify(bad, key)
    for changed in (lines[:2] + lines[3:], [lines[1], lines[0], *lines[2:]]):
        with pytest.raises(Error):
            verify(changed, key)
