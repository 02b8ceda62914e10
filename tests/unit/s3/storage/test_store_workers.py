"""Several worker processes on one folder, and the limits of the writing side."""

import asyncio
import os
from dataclasses import replace

import pytest

from strongroom.errors import Unavailable
from strongroom.s3.domain.ports import NoSuchBucket, NoSuchVersion
from strongroom.s3.domain.records import VERSIONING, ListQuery, NewVersion, PartRecord
from strongroom.s3.storage import admission, bodies, checkpoints, committer, files, fsck, open_buckets
from strongroom.s3.storage.files import open_store

LARGE = os.urandom(300_000)


async def put(store, key, body=b"x", check=None):
    staged = store.stage("b", len(body))
    staged.write(body)
    return await store.put("b", NewVersion(key, len(body), b"e", b"m"), staged, check)


async def test_workers_see_each_other(tmp_path):
    first = await open_store(tmp_path)
    second = await open_store(tmp_path, worker=True)
    await first.create_bucket("b")
    await put(second, "k")
    assert (await first.get("b", "k")).size == 1
    await first.configure("b", {VERSIONING: b"Enabled", "policy": b"p"})
    assert (await second.bucket("b")).config == {"policy": b"p"}
    versions = await asyncio.gather(*(put(store, "k") for store in (first, second) for _ in range(20)))
    assert len({v.version_id for v in versions}) == 40
    assert (await second.usage("b")).versions == 41
    await second.save("users/a", b"1")
    assert await first.load("users/a") == b"1"
    opened = second.open("b", await second.get("b", "k"))
    await first.delete_bucket("b", force=True)
    for store in (first, second):
        with pytest.raises(NoSuchBucket):
            await put(store, "k")
    opened.close()
    await second.close()
    await first.close()
    assert fsck.check_folder(tmp_path).problems == []


async def test_a_write_on_its_way_into_a_deleted_bucket_is_refused(tmp_path):
    first = await open_store(tmp_path)
    second = await open_store(tmp_path, worker=True)
    await first.create_bucket("b")
    handle = second._bucket("b")
    staged = second.stage("b", None)
    staged.write(LARGE)
    await first.delete_bucket("b")
    with pytest.raises(NoSuchBucket):
        await handle.write(lambda tx: None)
    with pytest.raises((NoSuchBucket, Unavailable)):
        await handle.write_staged(staged, lambda tx, *rest: None)
    await second.close()
    await first.close()


async def put_or_discard(store, key, body):
    """What a handler does."""
    staged = store.stage("b", len(body))
    staged.write(body)
    try:
        await store.put("b", NewVersion(key, len(body), b"e", b"m"), staged)
    except BaseException:
        staged.discard()
        raise


@pytest.mark.parametrize("turns", [0, 1, 5])
async def test_a_cancelled_writer_disturbs_nobody(tmp_path, turns):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    tasks = [asyncio.create_task(put_or_discard(store, f"k{n}", LARGE if n % 2 else b"x")) for n in range(40)]
    for _ in range(turns):
        await asyncio.sleep(0.001)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len((await store.list("b", ListQuery())).entries) >= 26
    await store.close()
    report = fsck.check_folder(tmp_path)
    assert (report.problems, report.unneeded_files) == ([], 0)


async def test_the_queue_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(admission, "WRITES", 8)
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    most = 0

    async def watch():
        nonlocal most
        while True:
            most = max(most, store._bucket("b").pending)
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(put(store, f"k{n}") for n in range(200)))
    watcher.cancel()
    assert most <= 8
    assert (await store.usage("b")).versions == 200
    await store.close()


async def test_an_idle_committer_ends_and_starts_again(tmp_path, monkeypatch):
    monkeypatch.setattr(committer, "IDLE_SECONDS", 0.01)
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    for n in range(5):
        await put(store, f"k{n}")
        await asyncio.sleep(0.03 * (n % 2))
    await asyncio.sleep(0.1)
    assert store._bucket("b")._pen().committer.idle
    assert (await store.usage("b")).versions == 5
    await store.close()


async def test_the_log_is_checkpointed_and_restarts(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "START_PAGES", 200)
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    body = os.urandom(20_000)
    for _ in range(40):
        await asyncio.gather(*(put(store, f"k{n}", body) for n in range(20)))
    log = store._bucket("b").folder / "index.db-wal"
    assert log.stat().st_size < 15_000_000  # 800 writes made 19 MB of pages
    await store.close()
    assert log.stat().st_size == 0


async def test_a_body_whose_file_is_gone_says_so(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    old = await put(store, "k", LARGE)
    middle = await put(store, "m", b"y" * 50_000)
    await put(store, "k", LARGE[:200_000])
    await put(store, "m", b"z" * 50_000)
    await asyncio.sleep(0.05)
    found = await store.get("b", "m")
    for version in (old, middle):
        with pytest.raises(NoSuchVersion):
            store.open("b", replace(version, place=replace(version.place, body=None)))
    body = store.open("b", found)
    assert body.inline == b"z" * 50_000
    await store.close()


async def many_parts(store, count):
    upload = await store.create_upload("b", "k", b"")
    piece = LARGE[:140_000]
    for number in range(1, count + 1):
        staged = store.stage("b", len(piece))
        staged.write(piece)
        await store.put_part("b", upload, PartRecord(number, len(piece), 0, b""), staged)
    return await store.complete_upload(
        "b", upload, range(1, count + 1), NewVersion("k", len(piece) * count, b"e", b"m")
    ), piece * count


async def test_an_object_of_many_parts_is_readable_while_it_is_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "OPEN_AT_ONCE", 3)
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    version, whole = await many_parts(store, 8)
    readers = [store.open("b", version) for _ in range(2)]
    await store.delete("b", "k")
    buffer = bytearray(len(whole))
    for reader in readers:
        await asyncio.sleep(0.02)
        assert reader.read_into(0, memoryview(buffer)) == len(whole)
        assert buffer == whole
        assert reader.read_into(139_990, memoryview(buffer)[:30]) == 30
        assert len(reader._open) == 3
        reader.close()
    with pytest.raises(NoSuchVersion):
        store.open("b", version)
    await store.close()
    assert fsck.check_folder(tmp_path).unneeded_files == 0


async def test_another_process_cuts_a_long_reading_short(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "OPEN_AT_ONCE", 3)
    first = await open_store(tmp_path)
    second = await open_store(tmp_path, worker=True)
    await first.create_bucket("b")
    version, whole = await many_parts(first, 5)
    reader = first.open("b", version)
    await second.delete("b", "k")
    await second.close()
    with pytest.raises(NoSuchVersion):
        reader.read_into(0, memoryview(bytearray(len(whole))))
    reader.close()
    await first.close()


async def test_only_some_buckets_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(open_buckets, "MOST_OPEN", 4)
    store = await open_store(tmp_path)
    names = [f"b{n:02d}" for n in range(12)]
    for name in names:
        await store.create_bucket(name, config={"tags": name.encode()})
    for _ in range(3):
        for name in names:
            staged = store.stage(name, None)
            staged.write(b"x")
            await store.put(name, NewVersion("k", 1, b"e", b"m"), staged)
            assert len(store._buckets.opened()) <= 4
    walking = store.walk("b00")
    assert (await anext(walking)).key == "k"
    assert [b.name for b in await store.buckets()] == names
    await store.configure("b03", {"tags": b"new"})
    assert [dict(b.config)["tags"] for b in await store.buckets()][2:5] == [b"b02", b"new", b"b04"]
    assert [(await store.usage(name)).versions for name in names] == [1] * 12
    await walking.aclose()
    await store.close()


async def test_a_bucket_closes_only_when_its_readers_are_done(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    await put(store, "k1")
    await put(store, "k2")
    walking = store.walk("b")
    await anext(walking)
    await store.delete_bucket("b", force=True)
    assert (await anext(walking)).key == "k2"
    await walking.aclose()
    await store.close()
    assert list((tmp_path / "buckets").iterdir()) == []


async def test_a_restarted_worker_cleans_up_beside_the_others(tmp_path):
    first = await open_store(tmp_path)
    await first.create_bucket("b")
    crashed = await open_store(tmp_path, worker=True)
    staged = {store: store.stage("b", len(LARGE)) for store in (first, crashed)}
    for one in staged.values():
        one.write(LARGE)
    home = first._bucket("b").folder
    os.close(crashed._opened.generation._lock)  # as if killed
    again = await open_store(tmp_path, worker=True)
    assert await again.cleaned() == 1
    assert [path.name for path in (home / "tmp").iterdir()] == [staged[first].name]
    await first.put("b", NewVersion("k", len(LARGE), b"e", b"m"), staged[first])
    assert sorted(path.name for path in (tmp_path / "generations").iterdir()) == sorted(
        ["gate", str(first.generation), str(again.generation)]
    )
    await crashed._buckets.close()
    await again.close()
    await first.close()
    assert [path.name for path in (tmp_path / "generations").iterdir()] == ["gate"]
    assert fsck.check_folder(tmp_path).problems == []


async def test_buckets_are_opened_before_they_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WARM", 3)
    store = await open_store(tmp_path)
    for number in range(5):
        await store.create_bucket(f"b{number}")
    await store.close()
    store = await open_store(tmp_path)
    uuid = store._buckets.names()["b1"].uuid
    (tmp_path / "buckets" / uuid / "index.db").write_bytes(b"no database" * 500)
    await store.warm()
    assert list(store._buckets._open) == ["b0", "b2"]
    await store.close()
