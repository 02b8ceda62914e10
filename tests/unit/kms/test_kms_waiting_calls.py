"""A request that waited finds the server as it is now: unmounted, sealed, restored."""

import asyncio
import threading

import pytest
from kms_replay import ask, post, unsealed

from strongroom.kms.handlers.passwords import Passwords
from strongroom.kms.outside import snapshot


async def waiting_write(replay):
    """Start to store a user whose password is being hashed; return the task and what lets it go on."""
    go = threading.Event()

    def hasher(password, salt):
        go.wait(10)
        return b"hash"

    replay.core.passwords = Passwords(hasher)
    await ask(replay, "POST", "sys/auth/userpass", {"type": "userpass"})
    path, root = "auth/userpass/users/ann", replay.known["root"]
    task = asyncio.create_task(post(replay, path, {"password": "p"}, root))
    await asyncio.sleep(0.02)
    return task, go


async def test_a_user_of_an_unmounted_method_is_not_stored(tmp_path):
    replay = await unsealed(tmp_path)
    task, go = await waiting_write(replay)
    prefix = replay.core.live.mounts.get("auth/userpass/").prefix
    await ask(replay, "DELETE", "sys/auth/userpass")
    go.set()
    assert (await task)[0] == 404
    assert replay.core.store.keys(prefix, "", 10) == []


async def test_a_user_is_not_stored_by_a_server_that_sealed(tmp_path):
    replay = await unsealed(tmp_path)
    task, go = await waiting_write(replay)
    before = list(replay.core.store.dump())
    await ask(replay, "PUT", "sys/seal")
    go.set()
    assert await task == (503, {"errors": ["Vault is sealed"]})
    assert list(replay.core.store.dump()) == before


async def restore(replay, path, backup):
    """Upload a backup as a client does."""
    from strongroom.messages import Peer, Request

    class Upload:
        buffered, length = None, len(backup)

        async def feed(self, sink):
            sink(memoryview(backup))

    target = "/v1/sys/storage/raft/" + path
    headers = {"x-vault-token": replay.known["root"]}
    return await replay.pipeline(Request("POST", target, target, "", headers, (), Peer("::1", 1)), Upload())


@pytest.mark.parametrize("path", ["snapshot", "snapshot-force"])
async def test_nobody_reads_or_writes_while_a_backup_is_restored(tmp_path, path):
    replay = await unsealed(tmp_path)
    core, root = replay.core, replay.known["root"]
    core.write_snapshot, core.read_snapshot, core.spool = snapshot.write, snapshot.read, snapshot.spool
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    await ask(replay, "PUT", "kv/a", {"n": 1})
    saved = await replay.request("GET", "/v1/sys/storage/raft/snapshot", {"X-Vault-Token": root}, b"")
    backup = b"".join(bytes(piece) for piece in saved.body.source)
    await ask(replay, "PUT", "kv/a", {"n": 2})
    await ask(replay, "PUT", "kv/b", {"n": 2})
    submit, held = core.store.submit, []
    core.store.submit = lambda writes, done: held.append((writes, done))
    task = asyncio.create_task(restore(replay, path, backup))
    while not held:
        await asyncio.sleep(0.01)
    assert (await post(replay, "kv/c", {"n": 3}, root))[0] == 503
    assert core.tick() is None
    assert (await restore(replay, path, backup)).status == 503
    core.store.submit = submit
    for writes, done in held:
        submit(writes, done)
    assert (await task).status == 204
    if path == "snapshot":
        assert (await ask(replay, "GET", "kv/a"))["data"] == {"n": 1}
        assert (await replay.request("GET", "/v1/kv/b", {"X-Vault-Token": root}, b"")).status == 404
        assert (await post(replay, "kv/c", {"n": 3}, root))[0] == 204
    else:
        assert core.unsealed is None
