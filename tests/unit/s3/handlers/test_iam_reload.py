"""A process takes over what another one changed among users and policies, and reads no more than that."""

import time

import pytest

from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.iam.records import User
from strongroom.s3.domain.principals import Credential
from strongroom.s3.handlers.iam_store import REMEMBERED, REVISION, ROOT, ClearEntries, IamStore
from strongroom.s3.storage.memory import MemoryStore


class Counting(MemoryStore):
    """Notes which entries are read."""

    def __init__(self):
        super().__init__()
        self.read = []

    async def load(self, name):
        if name.startswith(ROOT):
            self.read.append(name)
        return await super().load(name)


@pytest.fixture
async def pair():
    store = Counting()
    made = []
    for _ in range(2):
        iam = IamStore(Directory(Credential("root", "s", root=True), ready=False), store, ClearEntries(), time.time)
        await iam.load()
        iam.directory.ready = True
        made.append(iam)
    for number in range(20):
        await made[0].save("users", f"user-{number}", User(secret="secret-00"))
    await made[1].reload()
    store.read.clear()
    return *made, store


async def test_only_what_changed_is_read(pair):
    mine, other, store = pair
    assert len(other.directory.users) == 20
    await mine.save("users", "user-3", User(secret="changed-00"))
    await mine.remove("users", "user-4")
    await mine.save("users", "new", User(secret="secret-00"))
    await other.reload()
    assert store.read == [f"{ROOT}users/{name}" for name in ("user-3", "user-4", "new")]
    assert other.directory.users["user-3"].secret == "changed-00"
    assert "user-4" not in other.directory.users
    assert "new" in other.directory.users
    store.read.clear()
    await other.reload()
    assert store.read == []


async def test_both_may_change_at_once(pair):
    mine, other, _ = pair
    await other.save("users", "of-other", User(secret="secret-00"))
    await mine.save("users", "of-mine", User(secret="secret-00"))
    await mine.remove("users", "user-0")
    await mine.reload()
    await other.reload()
    assert set(mine.directory.users) == set(other.directory.users)
    assert {"of-mine", "of-other"} <= set(mine.directory.users)


async def test_who_has_missed_too_much_reads_all(pair):
    mine, other, store = pair
    for number in range(REMEMBERED + 1):
        await mine.save("users", f"many-{number}", User(secret="secret-00"))
    await mine.remove("users", "user-1")
    await other.reload()
    assert len(store.read) == 20 + REMEMBERED
    assert set(other.directory.users) == set(mine.directory.users)


async def test_a_revision_of_an_older_server_means_all(pair):
    mine, other, store = pair
    await store.save(REVISION, b"8 random")
    await other.reload()
    assert len(store.read) == 20
    await mine.save("users", "new", User(secret="secret-00"))
    await other.reload()
    assert "new" in other.directory.users
