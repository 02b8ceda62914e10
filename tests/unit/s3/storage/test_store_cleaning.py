"""Cleaning up after crashes, and checking a folder."""

import os

import pytest

from strongroom.errors import BadSettings, Tampered
from strongroom.s3.domain.ports import NoSuchKey
from strongroom.s3.domain.records import NewVersion, PartRecord
from strongroom.s3.storage import fsck
from strongroom.s3.storage.files import open_store

LARGE = os.urandom(300_000)


async def put(store, key, body=b"x", check=None, bucket="b"):
    staged = store.stage(bucket, len(body))
    staged.write(body)
    return await store.put(bucket, NewVersion(key, len(body), b"e", b"m"), staged, check)


async def test_an_interrupted_deletion_is_finished(tmp_path):
    store = await open_store(tmp_path)
    record = await store.create_bucket("b")
    await put(store, "k")
    await store._bucket("b").write(lambda tx: tx.execute("UPDATE bucket SET deleted = 1") and None)
    store._opened.system.end_generations = lambda numbers: None  # as if killed
    await store.close()
    again = await open_store(tmp_path)
    assert await again.buckets() == []
    assert (await again.create_bucket("b")).uuid != record.uuid
    await again.cleaned()
    with pytest.raises(NoSuchKey):
        await again.get("b", "k")
    await again.close()
    last = await open_store(tmp_path)
    await last.cleaned()
    assert [p.name for p in (tmp_path / "buckets").iterdir()] == [(await last.bucket("b")).uuid]
    await last.close()


async def test_garbage_of_crashed_processes_goes(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    await put(store, "k", LARGE)
    home = store._bucket("b").folder
    (home / "tmp" / f"{store.generation}-aa").write_bytes(b"unfinished")
    (home / "data" / "bb").mkdir(exist_ok=True)
    (home / "data" / "bb" / f"{store.generation}-bb").write_bytes(b"published, no row")
    (home / "data" / "bb" / "foreign").write_bytes(b"not ours")
    (tmp_path / "buckets" / "half-made").mkdir()
    store._opened.system.end_generations = lambda numbers: None
    await store.close()
    again = await open_store(tmp_path)
    mine = home / "tmp" / f"{again.generation}-cc"
    mine.write_bytes(b"in progress")
    assert await again.cleaned() == 2
    assert mine.exists()
    assert (home / "data" / "bb" / "foreign").exists()
    assert not (tmp_path / "buckets" / "half-made").exists()
    assert (await again.get("b", "k")).stored == len(LARGE)
    await again.close()


async def test_buckets_survive_a_system_database_that_is_older_than_they_are(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("old")
    await store.close()
    before = (tmp_path / "system.db").read_bytes()
    store = await open_store(tmp_path)
    for name, keys in (("new", ["k"]), ("empty", []), ("uploads", [])):
        await store.create_bucket(name)
        for key in keys:
            await put(store, key, LARGE, bucket=name)
    await store.create_upload("uploads", "u", b"")
    await store.close()
    (tmp_path / "system.db").write_bytes(before)
    for tail in ("-wal", "-shm"):
        (tmp_path / f"system.db{tail}").unlink(missing_ok=True)
    store = await open_store(tmp_path)
    await store.cleaned()
    assert [record.name for record in await store.buckets()] == ["old"]
    assert len(list((tmp_path / "buckets").iterdir())) == 3  # the empty one is like one that was half made
    await store.close()
    assert "bucket 'new' with 1 versions" in "".join(fsck.check_folder(tmp_path).problems)
    assert fsck.check_folder(tmp_path, repair=True).repaired == 2
    assert fsck.check_folder(tmp_path).problems == []
    store = await open_store(tmp_path)
    assert [record.name for record in await store.buckets()] == ["new", "old", "uploads"]
    assert (await store.get("new", "k")).stored == len(LARGE)
    assert store.open("new", await store.get("new", "k")).stored == len(LARGE)
    await store.close()


async def test_a_folder_without_its_system_database_is_refused(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    await put(store, "k", LARGE)
    await store.close()
    (tmp_path / "system.db").unlink()
    with pytest.raises(BadSettings, match=r"no system\.db"):
        await open_store(tmp_path)
    assert list(tmp_path.glob("buckets/*/data/*/*"))


async def test_bodies_whose_rows_were_lost_are_not_taken_for_garbage(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    await put(store, "k", LARGE)
    home = store._bucket("b").folder
    store._opened.system.end_generations = lambda numbers: None  # as if killed
    await store.close()
    for path in home.glob("index.db*"):
        path.unlink()
    for _ in range(2):
        again = await open_store(tmp_path)
        await again.cleaned()
        await again.close()
    assert len(list(home.glob("data/*/*"))) == 1


async def test_a_repair_keeps_a_body_that_only_the_table_of_files_has_forgotten(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    await put(store, "k", LARGE)
    await store._bucket("b").write(lambda tx: tx.execute("DELETE FROM files") and None)
    await store.close()
    report = fsck.check_folder(tmp_path, repair=True)
    assert len(report.problems) == 1
    assert (report.unneeded_files, report.repaired) == (0, 1)
    assert fsck.check_folder(tmp_path).problems == []
    store = await open_store(tmp_path)
    assert store.open("b", await store.get("b", "k")).stored == len(LARGE)
    await store.close()


async def test_a_check_finds_and_repairs(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    for key in ("short", "gone", "fine", "rotten"):
        await put(store, key, LARGE)
    await put(store, "small")
    upload = await store.create_upload("b", "u", b"")
    staged = store.stage("b", None)
    staged.write(LARGE)
    await store.put_part("b", upload, PartRecord(1, len(LARGE), 0, b""), staged)
    home = store._bucket("b").folder
    paths = {}
    for key in ("short", "gone", "rotten"):
        paths[key] = store._bucket("b").files.path((await store.get("b", key)).place.files[0])
    await store._bucket("b").write(lambda tx: tx.execute("UPDATE bucket SET size = 7") and None)
    await store._bucket("b").write(
        lambda tx: tx.execute("UPDATE versions SET body = x'00' WHERE key = 'small'") and None
    )
    with pytest.raises(Tampered):
        store.open("b", await store.get("b", "small"))
    await store.close()
    os.truncate(paths["short"], 100)
    with open(paths["rotten"], "r+b") as file:
        file.seek(200_000)
        file.write(bytes([LARGE[200_000] ^ 1]))
    os.unlink(paths["gone"])
    (home / "data" / "ab").mkdir(exist_ok=True)
    (home / "data" / "ab" / "1-ab").write_bytes(b"x")
    report = fsck.check_folder(tmp_path, deep=True, repair=True)
    text = "\n".join(report.problems)
    assert len(report.problems) == 5
    assert "short null: file" in text
    assert "has 100 bytes" in text
    assert "gone null: file" in text
    assert "totals are" in text
    assert "rotten null: the bytes of file" in text
    assert "small null: the bytes in the row have changed" in text
    assert (report.versions, report.files, report.unneeded_files, report.repaired) == (5, 5, 1, 2)
    assert len(fsck.check_folder(tmp_path).problems) == 3
