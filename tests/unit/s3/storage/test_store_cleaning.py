"""Cleaning up after crashes, and checking a folder."""

import os

import pytest

from strongroom.errors import Tampered
from strongroom.s3.domain.ports import NoSuchKey
from strongroom.s3.domain.records import NewVersion, PartRecord
from strongroom.s3.storage import fsck
from strongroom.s3.storage.files import open_store

LARGE = os.urandom(300_000)


async def put(store, key, body=b"x", check=None):
    staged = store.stage("b", len(body))
    staged.write(body)
    return await store.put("b", NewVersion(key, len(body), b"e", b"m"), staged, check)


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
