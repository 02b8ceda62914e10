"""What must not be lost: values of an upgraded engine, tokens just renewed, keys, shares, the background work."""

import asyncio
import json
from base64 import b64decode, b64encode

import msgspec
import pytest
from kms_replay import ask, post, unsealed

from strongroom.kms.domain.barrier import open_with
from strongroom.kms.domain.transit.record import Key
from strongroom.kms.handlers.core import Secrets
from strongroom.kms.handlers.sealing import ROOT_KEY

NAMES = ("a", "config", "m/a", "m/m/a", "v/1/a", "v/1/m/a")


async def test_an_upgrade_to_version_2_keeps_every_value(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/k", {"type": "kv"})
    for name in NAMES:
        await ask(replay, "PUT", f"k/{name}", {"is": name})
    await ask(replay, "POST", "sys/mounts/k/tune", {"options": {"version": "2"}})
    for name in NAMES:
        assert (await ask(replay, "GET", f"k/data/{name}"))["data"]["data"] == {"is": name}
    assert (await ask(replay, "GET", "k/metadata/?list=true"))["data"]["keys"] == ["a", "config", "m/", "v/"]


async def test_a_token_renewed_in_its_last_second_is_not_swept(tmp_path):
    replay = await unsealed(tmp_path)
    made = (await ask(replay, "POST", "auth/token/create", {"ttl": "10s"}))["auth"]
    core, token = replay.core, made["client_token"]
    submit, held = core.store.submit, []
    core.store.submit = lambda writes, done: held.append((writes, done))
    replay.clock.ahead += 9 * 10**9
    renewing = asyncio.create_task(post(replay, "auth/token/renew-self", {"increment": "1h"}, token))
    await asyncio.sleep(0)
    replay.clock.ahead += 2 * 10**9  # the renewal is not durable yet when the old end passes
    core.tick()
    core.store.submit = submit
    for writes, done in held:
        submit(writes, done)
    assert (await renewing)[0] == 200
    assert (await post(replay, "auth/token/renew-self", {}, token))[0] == 200
    replay.clock.ahead += 2 * 3600 * 10**9
    core.tick()
    assert core.store.keys("sys/expire/", "", 10) == []


async def backup_of(replay, name):
    await ask(replay, "POST", f"transit/keys/{name}", {"exportable": True, "allow_plaintext_backup": True})
    text = (await ask(replay, "GET", f"transit/backup/{name}"))["data"]["backup"]
    return msgspec.msgpack.decode(b64decode(json.loads(b64decode(text))["key"]), type=Key)


def packed(key):
    body = b64encode(msgspec.msgpack.encode(key)).decode()
    return b64encode(json.dumps({"strongroom_transit": 1, "key": body}).encode()).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "aes512"},
        {"kind": "rsa-2048"},
        {"kind": "aes128-gcm96"},
        {"name": "a/b"},
        {"name": ""},
        {"latest": 2},
        {"latest": 0},
        {"versions": {}},
        {"min_encryption": 2},
    ],
    ids=str,
)
async def test_a_backup_that_holds_no_whole_key_is_refused(tmp_path, changes):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    key = msgspec.structs.replace(await backup_of(replay, "k"), name="other", auto_rotate_period=3600)
    broken = msgspec.structs.replace(key, **changes)
    answer = await post(replay, "transit/restore", {"backup": packed(broken)}, replay.known["root"])
    assert answer == (500, {"errors": ["1 error occurred:\n\t* the backup is not one of a transit key\n\n"]})
    replay.core.tick()
    assert (await post(replay, "transit/restore", {"backup": packed(key)}, replay.known["root"]))[0] == 204


async def test_an_engine_that_fails_does_not_keep_the_others_from_their_work(tmp_path):
    replay = await unsealed(tmp_path)
    for path in ("a", "b"):
        await ask(replay, "POST", f"sys/mounts/{path}", {"type": "transit"})
    live, said, ticked = replay.core.live, [], []

    def broken(work, now):
        raise KeyError("secret")

    live.backends[live.mounts.get("a/").uuid].tick = broken
    live.backends[live.mounts.get("b/").uuid].tick = lambda work, now: ticked.append(now)
    replay.core.warn = said.append
    replay.core.tick()
    assert (said, len(ticked)) == (["background work of a/: KeyError"], 1)


async def test_the_root_key_is_not_replaced_under_a_seal_key_that_has_no_shares_any_more(tmp_path):
    replay = await unsealed(tmp_path)
    core = replay.core
    kept = core.store.get(ROOT_KEY)
    right, core.live.keys.seal = core.live.keys.seal, bytes(32)  # another server, or a backup, brought other shares
    status, answer = await post(replay, "sys/rotate/root", {}, replay.known["root"])
    assert (status, "unseal shares" in answer["errors"][0]) == (400, True)
    assert core.store.get(ROOT_KEY) == kept
    core.live.keys.seal = right
    assert (await post(replay, "sys/rotate/root", {}, replay.known["root"]))[0] == 204
    assert open_with(right, ROOT_KEY, core.store.get(ROOT_KEY)) == core.live.keys.root


class SlowSeal:
    """A seal whose key lies outside, behind a slow line."""

    kind = "transit"

    def __init__(self):
        self.go = asyncio.Event()

    async def wrap(self, key):
        await self.go.wait()
        return b"wrapped"


async def test_a_root_key_is_not_replaced_by_a_server_that_sealed_meanwhile(tmp_path):
    replay = await unsealed(tmp_path)
    core = replay.core
    keys, kept = Secrets(core.live.keys.root, core.live.keys.seal), core.store.get(ROOT_KEY)
    core.auto_seal = SlowSeal()
    task = asyncio.create_task(post(replay, "sys/rotate/root", {}, replay.known["root"]))
    await asyncio.sleep(0)
    core.close()
    core.reopen(keys)
    core.auto_seal.go.set()
    assert (await task)[0] == 503
    assert core.store.get(ROOT_KEY) == kept


async def test_the_new_shares_are_answered_by_a_server_that_seals_meanwhile(tmp_path):
    replay = await unsealed(tmp_path)
    core = replay.core
    nonce = (await post(replay, "sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1}))[1]["nonce"]
    submit, held = core.store.submit, []
    core.store.submit = lambda writes, done: held.append((writes, done))
    task = asyncio.create_task(post(replay, "sys/rekey/update", {"key": replay.known["k"], "nonce": nonce}))
    await asyncio.sleep(0)
    assert held
    root = core.live.keys.root
    replay.core.sealing.seal()
    core.store.submit = submit
    for writes, done in held:
        submit(writes, done)
    status, answer = await task
    assert status == 200
    assert open_with(bytes.fromhex(answer["keys"][0]), ROOT_KEY, core.store.get(ROOT_KEY)) == root


async def test_one_plaintext_with_two_associated_data_has_two_nonces(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    await ask(replay, "POST", "transit/keys/c", {"derived": True, "convergent_encryption": True})
    found = {}
    for associated in ("", "MQ==", "Mg==", "MQ=="):
        body = {"plaintext": "aGVsbG8=", "context": "Y3R4", "associated_data": associated}
        text = (await ask(replay, "POST", "transit/encrypt/c", body))["data"]["ciphertext"]
        assert found.setdefault(associated, text) == text
        opened = await ask(replay, "POST", "transit/decrypt/c", body | {"ciphertext": text})
        assert opened["data"]["plaintext"] == "aGVsbG8="
    assert len({b64decode(text.split(":")[2])[:12] for text in found.values()}) == 3
