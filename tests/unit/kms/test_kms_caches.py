"""What is kept in memory is bounded by its size, and a write that is not durable yet is always seen."""

from kms_replay import ask, post, unsealed

from strongroom.kms.domain import acl, entries, tokens
from strongroom.kms.domain.barrier import Keyring
from strongroom.kms.domain.entries import Entries, Work
from strongroom.kms.domain.ports import Write
from strongroom.kms.handlers import audit_device, transit_keys
from strongroom.kms.storage.memory import MemoryStore


class Slow(MemoryStore):
    """A store that takes batches when it is told to."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def submit(self, writes, done):
        self.waiting.append((writes, done))

    def take(self):
        waiting, self.waiting = self.waiting, []
        for writes, done in waiting:
            super().submit(writes, done)


def test_kept_entries_are_bounded_by_bytes_and_number(monkeypatch):
    monkeypatch.setattr(entries, "CACHE_BYTES", 10_000)
    monkeypatch.setattr(entries, "CACHE_ENTRIES", 100)
    monkeypatch.setattr(entries, "LARGEST", 2000)
    store, keyring = MemoryStore(), Keyring.fresh(0)
    for number in range(300):
        store.submit([Write(f"k{number}", keyring.seal(f"k{number}", b"x" * 300))], lambda error: None)
    store.submit([Write("big", keyring.seal("big", b"x" * 3000))], lambda error: None)
    kept = Entries(store, keyring)
    for number in range(300):
        assert kept.get(f"k{number}") == b"x" * 300
        assert kept.get(f"missing{number}") is None
        assert kept._held == sum(len(key) + len(value or b"") for key, value in kept._cache.items()) <= 10_000
        assert len(kept._cache) <= 100
    assert kept.get("big") == b"x" * 3000
    assert "big" not in kept._cache
    kept.forget()
    assert kept._held == 0


def test_what_is_not_durable_yet_is_never_dropped(monkeypatch):
    monkeypatch.setattr(entries, "CACHE_BYTES", 1000)
    store = Slow()
    kept = Entries(store, Keyring.fresh(0))
    for number in range(20):
        work = Work(kept)
        work.put(f"k{number}", b"%d" % number * 200)
        work.commit()
    assert [kept.get(f"k{number}") for number in range(20)] == [b"%d" % number * 200 for number in range(20)]
    store.take()
    assert kept.get("fresh") is None
    assert kept._held <= 1000
    assert [kept.get(f"k{number}") for number in range(20)] == [b"%d" % number * 200 for number in range(20)]


async def test_long_names_and_paths_are_not_kept(tmp_path):
    replay = await unsealed(tmp_path)
    root = replay.known["root"]
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(tmp_path / "a.log")}})
    await ask(replay, "PUT", "sys/policies/acl/p", {"policy": 'path "a/*" { capabilities = ["read"] }'})
    token = (await ask(replay, "POST", "auth/token/create", {"policies": "p"}))["auth"]["client_token"]
    known = audit_device._quoted_short.cache_info().currsize
    for number in range(30):
        name = f"{number:0>600}"
        assert (await post(replay, "a/" + name, {name: "x"}, token))[0] == 403
        assert (await post(replay, "a/" + name, {name: "x"}, "wrong"))[0] == 403
    device = replay.core.audit.devices[0]
    assert all(len(name) <= audit_device.SHORT for name in device._names)
    assert audit_device._quoted_short.cache_info().currsize - known < 5
    for rules in replay.core.live.policies._acls.values():
        assert all(len(path) <= acl.CACHED_LENGTH for path, _ in rules._found)
    assert root


async def test_what_has_expired_goes_in_batches_and_is_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "SWEEP", 7)
    monkeypatch.setattr(tokens, "DEAD", 5)
    replay = await unsealed(tmp_path)
    for number in range(40):
        await ask(replay, "POST", "auth/token/create", {"ttl": "1m" if number % 4 else "10h"})
    live, store = replay.core.live, replay.core.store
    store.submit([Write("sys/expire/000000000001/hgone", b"x")], lambda error: None)  # its token is gone already
    replay.clock.ahead += 120 * 10**9
    ticket, batches = replay.core.tick(), 0
    while ticket is not None:
        ticket, batches = replay.core.sweep(), batches + 1
    assert batches == 5  # 31 of 7 each
    assert len(store.keys("sys/expire/", "", 100)) == len(store.keys("sys/token/id/", "", 100)) - 1 == 10
    assert len(live.tokens._by_text) <= 2 * 11
    assert len(live.tokens._by_hash) == 11


async def test_tokens_and_keys_that_are_kept_ready_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "CACHED", 10)
    monkeypatch.setattr(transit_keys, "LOADED", 5)
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    made = [(await ask(replay, "POST", "auth/token/create", {}))["auth"]["client_token"] for _ in range(30)]
    for number, token in enumerate(made):
        await ask(replay, "GET", "auth/token/lookup-self", token=token)
        await ask(replay, "POST", f"transit/encrypt/k{number}", {"plaintext": ""})
    live = replay.core.live
    assert len(live.tokens._by_text) <= 10
    assert len(live.tokens._by_hash) <= 10
    assert all(len(backend._loaded) <= 5 for backend in live.backends.values() if hasattr(backend, "_loaded"))
    await ask(replay, "POST", "auth/token/revoke", {"token": made[0]})
    assert (await replay.request("GET", "/v1/auth/token/lookup-self", {"X-Vault-Token": made[0]}, b"")).status == 403
