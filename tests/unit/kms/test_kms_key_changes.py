"""Keys change only once their records are durable: no storage failure makes later writes unreadable."""

import asyncio
import json

import pytest
from kms_replay import ask, post, unsealed

from strongroom.errors import Unavailable


class Flaky:
    """A store whose next batch can be made to fail, as a database that is restarted; what comes later succeeds."""

    def __init__(self, store):
        self._store, self.failing, self.held = store, False, None

    def __getattr__(self, name):
        return getattr(self._store, name)

    def submit(self, writes, done):
        if self.held is not None:
            self.held.append((writes, done))
        elif self.failing:
            self.failing = False
            asyncio.get_running_loop().call_soon(done, Unavailable("the database restarts"))
        else:
            self._store.submit(writes, done)


async def world(folder):
    replay = await unsealed(folder)
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    await ask(replay, "PUT", "kv/before", {"a": "1"})
    core = replay.core
    core.store = core.live.entries.store = Flaky(core.store)
    return replay


async def unsealed_again(replay):
    replay.core.close()
    await replay.request("PUT", "/v1/sys/unseal", {}, json.dumps({"key": replay.known["k"]}).encode())
    assert replay.core.unsealed is not None


@pytest.mark.parametrize("path", ["sys/rotate", "sys/rotate/root", "sys/rotate/config"])
async def test_what_was_acknowledged_is_readable_after_a_failed_change_of_keys(tmp_path, path):
    replay = await world(tmp_path)
    root = replay.known["root"]
    replay.core.store.failing = True
    change = asyncio.ensure_future(post(replay, path, {"interval": "48h"}, root))
    await asyncio.sleep(0)
    written = await post(replay, "kv/after", {"a": "2"}, root)  # in the same moment
    assert (await change)[0] >= 500
    late = await post(replay, "kv/late", {"a": "3"}, root)
    assert late[0] == 500, "a server that does not know what is stored writes nothing"
    again = await post(replay, "sys/rotate", {}, root)
    assert again[0] >= 500
    await unsealed_again(replay)
    assert (await ask(replay, "GET", "kv/before"))["data"] == {"a": "1"}
    if written[0] < 300:
        assert (await ask(replay, "GET", "kv/after"))["data"] == {"a": "2"}


async def test_nothing_is_sealed_under_a_key_that_is_not_durable(tmp_path):
    replay = await world(tmp_path)
    core, store = replay.core, replay.core.store
    keyring = core.live.entries.keyring
    store.held = []
    change = asyncio.ensure_future(core.rotate_keyring(1))
    await asyncio.sleep(0)
    assert keyring.newest.number == 1
    held, store.held = store.held, None
    for writes, done in held:
        store.submit(writes, done)
    await change
    assert keyring.newest.number == 2


async def test_changes_of_keys_at_once_come_one_after_the_other(tmp_path):
    replay = await world(tmp_path)
    root = replay.known["root"]
    paths = ["sys/rotate", "sys/rotate/root", "sys/rotate", "sys/rotate/config", "sys/rotate/root"]
    answers = await asyncio.gather(*(post(replay, path, {"interval": "48h"}, root) for path in paths))
    assert {status for status, _ in answers} == {204}
    await ask(replay, "PUT", "kv/after", {"a": "2"})
    await unsealed_again(replay)
    assert (await ask(replay, "GET", "kv/after"))["data"] == {"a": "2"}
    assert (await ask(replay, "GET", "sys/key-status"))["data"]["term"] == 3


async def test_a_due_rotation_happens_once(tmp_path):
    replay = await world(tmp_path)
    await ask(replay, "POST", "sys/rotate/config", {"interval": "24h"})
    assert (await ask(replay, "GET", "sys/rotate/config"))["data"]["interval"] == "24h0m0s"
    replay.clock.ahead = 25 * 3600 * 10**9
    await replay.core.rotate_if_due()
    await replay.core.rotate_if_due()
    assert replay.core.live.entries.keyring.newest.number == 2


async def test_a_rekey_that_is_being_stored_takes_no_second_quorum(tmp_path):
    replay = await world(tmp_path)
    key, store = replay.known["k"], replay.core.store
    root = replay.known["root"]
    begun = (await ask(replay, "PUT", "sys/rotate/root/init", {"secret_shares": 1, "secret_threshold": 1}))["data"]
    assert (begun["started"], begun["progress"], begun["verification_required"]) == (True, 0, False)
    store.held = []
    body = {"key": key, "nonce": begun["nonce"]}
    first = asyncio.ensure_future(post(replay, "sys/rotate/root/update", body, root))
    for _ in range(3):
        await asyncio.sleep(0)
    second = await post(replay, "sys/rotate/root/update", body, root)
    held, store.held = store.held, None
    for writes, done in held:
        store.submit(writes, done)
    status, answer = await first
    assert (status, second[0]) == (200, 400)
    replay.known["k"] = answer["data"]["keys"][0]
    await unsealed_again(replay)
