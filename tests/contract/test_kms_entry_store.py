"""What every EntryStore promises."""

import asyncio
from itertools import count

import pytest
from postgres import Postgres

from strongroom.kms.domain.ports import Write
from strongroom.kms.storage.memory import MemoryStore
from strongroom.kms.storage.sqlite import SqliteStore, open_folder

NUMBERS = count()


@pytest.fixture(scope="module")
def database():
    server = Postgres().start()
    yield server
    server.stop()


@pytest.fixture(params=["inmem", "sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "inmem":
        made = MemoryStore()
    elif request.param == "sqlite":
        made = SqliteStore(open_folder(tmp_path))
    else:
        from strongroom.kms.storage.postgresql import PostgresStore

        server = request.getfixturevalue("database")
        made = PostgresStore(server.url(), f"kms_{next(NUMBERS)}")
        assert made.acquire("http://here")
    yield made
    made.close()


async def write(store, *writes):
    done = asyncio.get_running_loop().create_future()
    store.submit(writes, lambda error: done.set_exception(error) if error else done.set_result(None))
    await asyncio.wait_for(done, 10)


async def put(store, *keys):
    await write(store, *[Write(key, key.encode()) for key in keys])


async def test_what_was_put_is_there_and_replaced(store):
    assert store.get("a") is None
    await put(store, "a", "b/c")
    assert (store.get("a"), store.get("b/c"), store.get("b")) == (b"a", b"b/c", None)
    await write(store, Write("a", b"2"))
    assert store.get("a") == b"2"


async def test_deleting_what_is_not_there_is_no_error(store):
    await put(store, "a")
    await write(store, Write("a", None), Write("zzz", None, erase=True))
    assert store.get("a") is None


async def test_list_shows_one_level_in_byte_order(store):
    many = [f"p/f/{i}" for i in range(600)]
    await put(store, "p/a", "p/a/x", "p/a/y", "p/A", "p/a.b", "p/zz/deep/er", "q", "p/保", *many)
    assert store.names("p/") == ["A", "a", "a.b", "a/", "f/", "zz/", "保"]
    assert store.names("p/a/") == ["x", "y"]
    assert len(store.names("p/f/")) == 600
    assert store.names("nothing/") == []
    assert store.names("") == ["p/", "q"]


async def test_keys_pages_through_whole_keys(store):
    await put(store, *[f"k/{i:03}" for i in range(10)], "other")
    first = store.keys("k/", "", 4)
    assert first == ["k/000", "k/001", "k/002", "k/003"]
    assert store.keys("k/", first[-1], 100) == [f"k/{i:03}" for i in range(4, 10)]
    assert store.keys("k/", "k/009", 100) == []


async def test_batches_apply_in_order(store):
    await asyncio.gather(*[write(store, Write("n", str(i).encode())) for i in range(200)])
    assert store.get("n") == b"199"


async def test_only_the_newest_term_writes(database):
    from strongroom.kms.storage.postgresql import Fenced, PostgresStore

    one, two = (PostgresStore(database.url(), "kms_terms") for _ in range(2))
    assert one.acquire("http://one")
    assert not two.acquire("http://two")
    assert one.leader().address == "http://one"
    await put(one, "a")
    with pytest.raises(Fenced):
        await put(two, "a")
    one._lock.close()  # what a lost connection does: the lock is free, the server does not know yet
    for _ in range(200):  # the server notices in its own time
        if two.acquire("http://two"):
            break
        await asyncio.sleep(0.02)
    assert two.beat()
    with pytest.raises(Fenced):
        await put(one, "b")
    assert not one.beat()
    assert two.beat()
    await put(two, "c")
    assert (two.get("a"), two.get("b"), two.get("c")) == (b"a", None, b"c")
    assert one.leader().address == "http://two"
    one.close()
    two.close()
