"""Removing and looking through many entries: in slices, to the end, and after a restart as well."""

import asyncio
import json
from contextlib import suppress

import pytest
from kms_replay import Replay, ask, post, unsealed

from strongroom.kms.handlers import removal, rounds
from strongroom.kms.storage.sqlite import SqliteStore, open_folder


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(removal, "ENTRIES", 7)
    monkeypatch.setattr(removal, "TOKENS", 3)
    monkeypatch.setattr(rounds, "PAGE", 4)


async def restarted(replay):
    """Seal and unseal, as a restart does."""
    await ask(replay, "PUT", "sys/seal")
    await replay.request("PUT", "/v1/sys/unseal", {}, json.dumps({"key": replay.known["k"]}).encode())


async def while_busy(replay, task):
    """Return how many health requests were answered before the task ended."""
    answered = 0
    while not task.done():
        await asyncio.sleep(0)
        answered += (await replay.request("GET", "/v1/sys/health", {}, b"")).status == 200
    return answered


async def test_a_large_engine_goes_in_slices_and_completely(tmp_path):
    replay = await unsealed(tmp_path)
    store = replay.core.store
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    prefix = replay.core.live.mounts.get("kv/").prefix
    for number in range(60):
        await ask(replay, "PUT", f"kv/a/{number}", {"n": number})
    task = asyncio.create_task(ask(replay, "DELETE", "sys/mounts/kv"))
    await asyncio.sleep(0)
    assert (await replay.request("GET", "/v1/kv/a/1", {"X-Vault-Token": replay.known["root"]}, b"")).status == 404
    await task
    assert store.keys(prefix, "", 10) == store.keys(removal.MARKERS, "", 10) == []


async def test_others_are_answered_while_an_engine_goes(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    for number in range(60):
        await ask(replay, "PUT", f"kv/{number}", {"n": number})
    memory = replay.core.store
    loop = asyncio.get_running_loop()
    submit = memory.submit
    memory.submit = lambda writes, done: loop.call_soon(submit, writes, done)
    task = asyncio.create_task(ask(replay, "DELETE", "sys/mounts/kv"))
    assert await while_busy(replay, task) > 5


async def test_what_was_being_removed_goes_after_a_restart(tmp_path):
    replay = await unsealed(tmp_path)
    store = replay.core.store
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    prefix = replay.core.live.mounts.get("kv/").prefix
    for number in range(30):
        await ask(replay, "PUT", f"kv/{number}", {"n": number})
    submit, batches = store.submit, []

    def two_only(writes, done):
        batches.append(writes)
        if len(batches) <= 2:
            submit(writes, done)

    store.submit = two_only
    task = asyncio.create_task(ask(replay, "DELETE", "sys/mounts/kv"))
    while len(batches) < 3:
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    store.submit = submit
    await restarted(replay)
    assert 0 < len(store.keys(prefix, "", 100)) < 30
    replay.core.tick()
    while store.keys(removal.MARKERS, "", 1):
        await asyncio.sleep(0.01)
    assert store.keys(prefix, "", 1) == []


async def test_the_tokens_of_a_large_auth_method_go_with_it(tmp_path):
    replay = await unsealed(tmp_path)
    for path in ("one", "two"):
        await ask(replay, "POST", f"sys/auth/{path}", {"type": "approle"})
        await ask(replay, "POST", f"auth/{path}/role/r", {"role_id": f"{path}-r", "bind_secret_id": "false"} | CIDR)
    logins = [await post(replay, "auth/one/login", {"role_id": "one-r"}) for _ in range(8)]
    other = (await post(replay, "auth/two/login", {"role_id": "two-r"}))[1]["auth"]["client_token"]
    mine = [made["auth"]["client_token"] for _, made in logins]

    async def works(token):
        return (await replay.request("GET", "/v1/auth/token/lookup-self", {"X-Vault-Token": token}, b"")).status == 200

    assert all([await works(token) for token in mine])
    await ask(replay, "PUT", "sys/leases/revoke-prefix/auth/one")
    assert [await works(token) for token in mine] == [False] * 8
    logins = [await post(replay, "auth/one/login", {"role_id": "one-r"}) for _ in range(8)]
    await ask(replay, "DELETE", "sys/auth/one")
    assert [await works(made["auth"]["client_token"]) for _, made in logins] == [False] * 8
    assert await works(other)


ONE_SHARE = b'{"secret_shares":1,"secret_threshold":1}'
CIDR = {"secret_id_bound_cidrs": "127.0.0.0/8"}


async def test_old_secret_ids_are_swept_page_by_page(tmp_path):
    replay = await unsealed(tmp_path)
    store = replay.core.store
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle"})
    await ask(replay, "POST", "auth/approle/role/r", {"token_policies": "p"})
    for number in range(10):
        await ask(replay, "POST", "auth/approle/role/r/secret-id", {"ttl": "10s" if number % 2 else "1h"})
    prefix = replay.core.live.mounts.get("auth/approle/").prefix + "secret/"
    replay.core.tick()
    replay.clock.ahead += 120 * 10**9
    left = []
    for _ in range(4):
        replay.core.tick()
        left.append(len(store.keys(prefix, "", 100)))
    assert left[0] >= 6
    assert left[-1] == 5


async def test_others_are_answered_while_many_accessors_are_listed(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle"})
    await ask(replay, "POST", "auth/approle/role/r", {"token_policies": "p"})
    made = [(await ask(replay, "POST", "auth/token/create", {}))["auth"]["accessor"] for _ in range(60)]
    secret = [await ask(replay, "POST", "auth/approle/role/r/secret-id") for _ in range(60)]
    task = asyncio.create_task(ask(replay, "LIST", "auth/token/accessors"))
    assert await while_busy(replay, task) > 10
    assert set(made) < set((await task)["data"]["keys"])
    task = asyncio.create_task(ask(replay, "LIST", "auth/approle/role/r/secret-id"))
    assert await while_busy(replay, task) > 10
    assert (await task)["data"]["keys"] == sorted(one["data"]["secret_id_accessor"] for one in secret)
    task = asyncio.create_task(post_list(replay))
    await asyncio.sleep(0)
    await ask(replay, "PUT", "sys/seal")
    assert (await task).status == 503


async def post_list(replay):
    return await replay.request("LIST", "/v1/auth/token/accessors", {"X-Vault-Token": replay.known["root"]}, b"")


async def test_keys_of_every_kind_rotate_by_themselves(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    kinds = ("aes256-gcm96", "ed25519", "ecdsa-p256", "rsa-2048", "chacha20-poly1305", "aes128-gcm96")
    for kind in kinds:
        await ask(replay, "POST", f"transit/keys/{kind}", {"type": kind, "auto_rotate_period": "1h"})
    await ask(replay, "POST", "transit/keys/still", {})
    replay.clock.ahead += 3700 * 10**9

    async def versions():
        return [(await ask(replay, "GET", f"transit/keys/{name}"))["data"]["latest_version"] for name in kinds]

    for _ in range(400):
        replay.core.tick()
        if await versions() == [2] * len(kinds):
            break
        await asyncio.sleep(0.02)
    assert await versions() == [2] * len(kinds)
    assert (await ask(replay, "GET", "transit/keys/still"))["data"]["latest_version"] == 1
    signed = await ask(replay, "POST", "transit/sign/rsa-2048", {"input": ""})
    assert signed["data"]["signature"].startswith("vault:v2:")


async def test_many_names_are_listed_in_order_and_once(tmp_path):
    store = SqliteStore(open_folder(tmp_path / "s"))
    try:
        keys = [f"p/a{number:05}" for number in range(5000)] + [f"p/b/{n}" for n in range(200)]
        keys += ["p/b", "p/c/d/e", "p/z", "q/x"]
        store._writer.executemany("INSERT INTO entries VALUES (?, x'00')", [(key,) for key in keys])
        names = store.names("p/")
        assert names == sorted(
            {key[2:].partition("/")[0] + ("/" if "/" in key[2:] else "") for key in keys if key[0] == "p"}
        )
        assert store.keys("p/", "p/a00010", 2) == ["p/a00011", "p/a00012"]
        assert store.keys("p/", "", 1) == ["p/a00000"]
        assert store.keys("p/b", "p/b", 1) == ["p/b/0"]
    finally:
        store.close()


async def test_an_engine_that_went_in_slices_left_no_byte(tmp_path):
    replay, folder = Replay(tmp_path), tmp_path / "s"
    replay.core.store = store = SqliteStore(open_folder(folder))
    made = json.loads((await replay.request("PUT", "/v1/sys/init", {}, ONE_SHARE)).body)
    replay.known |= {"root": made["root_token"], "k": made["keys"][0]}
    await replay.request("PUT", "/v1/sys/unseal", {}, json.dumps({"key": made["keys"][0]}).encode())
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    for number in range(40):
        await ask(replay, "PUT", f"kv/{number}", {"v": "x" * 500})
    prefix = replay.core.live.mounts.get("kv/").prefix
    values = [store.get(key) for key in store.keys(prefix, "", 100)]

    def left():
        found = b"".join(path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm"))
        return sum(any(value[at : at + 32] in found for at in range(20, 480, 16)) for value in values)

    assert left() == 40
    await ask(replay, "DELETE", "sys/mounts/kv")
    assert left() == 0
    store.close()
