"""The barrier keeps values shut to the wrong key, path, term and byte; units of work see what they should."""

import asyncio

import pytest

from strongroom.errors import Tampered, Unavailable
from strongroom.kms.domain.barrier import Keyring, open_with, seal_with
from strongroom.kms.domain.entries import Entries, View, Work
from strongroom.kms.storage.memory import MemoryStore


def test_a_record_opens_only_where_and_how_it_was_sealed():
    ring = Keyring.fresh(0)
    record = ring.seal("a/b", b"secret")
    assert ring.open("a/b", record) == b"secret"
    with pytest.raises(Tampered):
        ring.open("a/c", record)
    with pytest.raises(Tampered):
        Keyring.fresh(0).open("a/b", record)
    for place in range(len(record)):
        broken = bytearray(record)
        broken[place] ^= 1
        with pytest.raises(Tampered):
            ring.open("a/b", bytes(broken))
    for length in range(len(record)):
        with pytest.raises(Tampered):
            ring.open("a/b", record[:length])


def test_rotation_keeps_old_records_readable_and_counts():
    ring = Keyring.fresh(0)
    old = ring.seal("a", b"1")
    ring.adopt(ring.grow(5))
    new = ring.seal("a", b"2")
    assert (ring.newest.number, ring.newest.encryptions) == (2, 1)
    again = Keyring.from_bytes(ring.to_bytes())
    assert (again.open("a", old), again.open("a", new)) == (b"1", b"2")
    assert "1" not in repr(ring) or ring.record.terms[0].key.hex() not in repr(ring)


def test_the_rule_asks_for_a_rotation():
    ring = Keyring.fresh(0)
    assert not ring.due(10**18)
    ring.record.rule.interval = 24 * 3600
    assert ring.due(25 * 3600 * 10**9)
    ring.record.rule.interval, ring.record.rule.max_operations = 0, 1
    ring.seal("a", b"")
    assert ring.due(0)
    ring.record.rule.enabled = False
    assert not ring.due(0)


def test_bare_keys_seal_the_keyring_and_the_root_key():
    sealed = seal_with(bytes(32), "core/keyring", b"x")
    assert open_with(bytes(32), "core/keyring", sealed) == b"x"
    for key, path, record in ((b"1" * 32, "core/keyring", sealed), (bytes(32), "x", sealed), (bytes(32), "x", b"")):
        with pytest.raises(Tampered):
            open_with(key, path, record)


class Slow(MemoryStore):
    """A store whose batches are durable when the test says so."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def submit(self, writes, done):
        self.waiting.append((writes, done))

    def finish(self, error=None):
        for writes, done in self.waiting:
            if error is None:
                super().submit(writes, lambda _: None)
            done(error)
        self.waiting.clear()


async def test_a_reader_waits_for_the_write_that_it_saw():
    store = Slow()
    entries = Entries(store, Keyring.fresh(0))
    writer = Work(entries)
    writer.put("p/a", b"1")
    ticket = writer.commit()
    reader = Work(entries)
    assert reader.get("p/a") == b"1"
    assert reader.names("p/") == ["a"]
    assert reader.waiting
    assert not ticket.done
    waits = asyncio.ensure_future(ticket.wait())
    store.finish()
    await waits
    later = Work(entries)
    assert later.get("p/a") == b"1"
    assert not later.waiting


async def test_a_failed_write_is_forgotten_and_stops_further_ones():
    store = Slow()
    entries = Entries(store, Keyring.fresh(0))
    work = Work(entries)
    work.put("a", b"1")
    ticket = work.commit()
    store.finish(OSError("disk full"))
    with pytest.raises(Unavailable):
        await ticket.wait()
    assert Work(entries).get("a") is None
    work.put("b", b"2")
    with pytest.raises(Unavailable):
        work.commit()


async def test_a_unit_of_work_sees_its_own_writes_and_drops_them():
    entries = Entries(MemoryStore(), Keyring.fresh(0))
    work = Work(entries)
    view = View(work, "m/")
    view.put("a/x", b"1")
    view.put("a/y", b"2")
    view.put("b", b"3")
    assert (view.get("a/x"), view.names(""), view.walk("a/")) == (b"1", ["a/", "b"], ["a/x", "a/y"])
    view.delete("b")
    assert view.names("") == ["a/"]
    work.discard()
    assert view.names("") == []
    view.put("c/d", b"4")
    work.commit()
    work = Work(entries)
    work.delete("m/c/d")
    assert View(work, "m/").names("") == []
    assert work.walk("m/") == []


async def test_what_is_stored_is_sealed():
    store = MemoryStore()
    work = Work(Entries(store, Keyring.fresh(0)))
    work.put("a", b"plain text")
    work.commit()
    assert b"plain text" not in store.get("a")
