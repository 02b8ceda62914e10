"""What happens when the disk fails or fills up, and when a folder is not ours to use."""

import asyncio
import errno
import os

import apsw
import pytest

from strongroom.errors import BadSettings, Unavailable
from strongroom.s3.domain.ports import DiskFull, NoSuchKey, StoreClosed
from strongroom.s3.domain.records import ListQuery, NewVersion
from strongroom.s3.storage import folders, fsck, turns
from strongroom.s3.storage.files import open_store

LARGE = os.urandom(300_000)


class FailingDisk(apsw.VFS):
    """A SQLite VFS over the real one. Set fail to "sync" or "full": then that fails in files ending with suffix."""

    def __init__(self, name: str, suffix: str = "-wal") -> None:
        self.fail = ""
        self.suffix = suffix
        super().__init__(name, "")

    def xOpen(self, name, flags):
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        self.disk = disk
        self.name = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        super().__init__("", name, flags)

    def _fails(self, how):
        return self.disk.fail == how and self.name.endswith(self.disk.suffix)

    def xSync(self, flags):
        if self._fails("sync"):
            raise apsw.IOError("fsync failed")
        super().xSync(flags)

    def xWrite(self, data, offset):
        if self._fails("full"):
            raise apsw.FullError("no space left")
        super().xWrite(data, offset)


async def put(store, key, body=b"x", check=None):
    staged = store.stage("b", len(body))
    staged.write(body)
    return await store.put("b", NewVersion(key, len(body), b"e", b"m"), staged, check)


async def named(request_name, tmp_path):
    disk = FailingDisk(request_name)
    store = await open_store(tmp_path / "data", vfs=request_name)
    await store.create_bucket("b")
    return disk, store


async def test_a_failed_fsync_stops_writing_until_a_restart(tmp_path):
    disk, store = await named("failing-sync", tmp_path)
    await put(store, "before")
    disk.fail = "sync"
    results = await asyncio.gather(*(put(store, f"k{n}") for n in range(5)), return_exceptions=True)
    assert all(isinstance(r, StoreClosed) for r in results)
    disk.fail = ""
    with pytest.raises(StoreClosed):
        await put(store, "after")
    with pytest.raises(StoreClosed):
        await put(store, "large", LARGE)
    assert (await store.get("b", "before")).size == 1
    await store.close()
    again = await open_store(tmp_path / "data")
    await put(again, "after")
    await again.close()
    assert fsck.check_folder(tmp_path / "data").problems == []


async def test_a_full_disk_refuses_and_recovers(tmp_path):
    disk, store = await named("failing-full", tmp_path)
    await put(store, "before")
    disk.fail = "full"
    results = await asyncio.gather(*(put(store, f"k{n}") for n in range(5)), return_exceptions=True)
    assert all(isinstance(r, DiskFull) for r in results), results
    disk.fail = ""
    await put(store, "after")
    assert [e.key for e in (await store.list("b", ListQuery())).entries] == ["after", "before"]
    await store.close()


async def test_a_full_disk_while_a_body_is_written(tmp_path, monkeypatch):
    _, store = await named("failing-none", tmp_path)

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(folders.os, "write", full)
    staged = store.stage("b", len(LARGE))
    with pytest.raises(DiskFull):
        staged.write(LARGE)
    staged.discard()
    monkeypatch.undo()
    assert list((tmp_path / "data").glob("buckets/*/tmp/*")) == []
    await store.close()


async def test_a_body_that_cannot_be_synced_stops_writing(tmp_path, monkeypatch):
    _, store = await named("failing-body", tmp_path)

    def fail(descriptor):
        raise OSError(errno.EIO, "disk")

    monkeypatch.setattr(folders.os, "fdatasync", fail)
    with pytest.raises(StoreClosed):
        await put(store, "k", LARGE)
    monkeypatch.undo()
    with pytest.raises(StoreClosed):
        await put(store, "small")
    with pytest.raises(NoSuchKey):
        await store.get("b", "k")
    await store.close()


async def test_one_server_a_folder(tmp_path):
    store = await open_store(tmp_path)
    with pytest.raises(BadSettings, match="in use by another server"):
        await open_store(tmp_path)
    await store.close()
    await (await open_store(tmp_path)).close()


async def test_foreign_folders_and_formats_are_refused(tmp_path):
    (tmp_path / "other" / ".minio.sys").mkdir(parents=True)
    with pytest.raises(BadSettings, match="import"):
        await open_store(tmp_path / "other")
    store = await open_store(tmp_path / "new")
    store._system._connection.pragma("user_version", 2)
    await store.close()
    with pytest.raises(BadSettings, match="format 2"):
        await open_store(tmp_path / "new")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadSettings):
        await open_store(tmp_path / "file")
    with pytest.raises(BadSettings, match="after its server"):
        await open_store(tmp_path / "none", worker=True)


async def test_nobody_waits_for_ever_when_even_rolling_back_fails(tmp_path, monkeypatch):
    _, store = await named("failing-rollback", tmp_path)
    committer = store._bucket("b")._pen().committer

    def fail(*arguments):
        raise apsw.IOError("disk")

    monkeypatch.setattr(committer, "_once", fail)
    monkeypatch.setattr(committer, "_roll_back", fail)
    results = await asyncio.gather(*(put(store, f"k{n}") for n in range(3)), return_exceptions=True)
    assert all(isinstance(r, StoreClosed) for r in results)
    monkeypatch.undo()
    await store.close()


async def test_turns_that_fail_are_a_passing_trouble(tmp_path, monkeypatch):
    _, store = await named("failing-turns", tmp_path)

    def fail(descriptor, how):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(turns.fcntl, "flock", fail)
    with pytest.raises(Unavailable):
        await put(store, "k")
    monkeypatch.undo()
    await put(store, "k")
    await store.close()
