"""Copies of a running store, and the guard of free space."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from strongroom.errors import AlreadyExists
from strongroom.s3.domain.ports import DiskFull
from strongroom.s3.domain.records import ListQuery, NewVersion
from strongroom.s3.storage import backup, fsck, space
from strongroom.s3.storage.files import open_store


async def put(store, key, body):
    staged = store.stage("b", len(body))
    staged.write(body)
    return await store.put("b", NewVersion(key, len(body), b"e", b"m"), staged)


@pytest.mark.parametrize("linked", [True, False])
async def test_a_backup_of_a_busy_store_is_whole(tmp_path, monkeypatch, linked):
    if not linked:

        def other_file_system(source, target):
            if not os.path.exists(source):
                raise FileNotFoundError(source)
            raise OSError(18, "cross-device")

        monkeypatch.setattr(backup.os, "link", other_file_system)
    store = await open_store(tmp_path / "data")
    await store.create_bucket("b")
    await store.create_bucket("empty")
    await store.save("users/a", b"sealed")
    large = os.urandom(200_000)
    for n in range(20):
        await put(store, f"k{n:02d}", large if n % 2 else b"small")
    stop = asyncio.Event()

    async def busy():
        n = 0
        while not stop.is_set():
            n += 1
            await put(store, f"k{n % 20:02d}", large if n % 3 else b"small")

    working = asyncio.create_task(busy())
    copied = await asyncio.to_thread(backup.backup, tmp_path / "data", tmp_path / "copy")
    stop.set()
    await working
    assert copied.buckets == 2
    assert fsck.check_folder(tmp_path / "copy", deep=True).problems == []
    with pytest.raises(AlreadyExists):
        backup.backup(tmp_path / "data", tmp_path / "copy")
    await store.close()
    again = await open_store(tmp_path / "copy")
    await again.cleaned()
    assert len((await again.list("b", ListQuery())).entries) == 20
    assert await again.load("users/a") == b"sealed"
    await put(again, "new", large)
    await again.close()


def test_bodies_are_refused_before_the_disk_is_full(tmp_path, monkeypatch):
    free = 300 * 2**20
    monkeypatch.setattr(space.os, "statvfs", lambda path: SimpleNamespace(f_blocks=10**9, f_frsize=1, f_bavail=free))
    now = [0.0]
    guard = space.Space(tmp_path, lambda: now[0])
    guard.check(200 * 2**20)
    with pytest.raises(DiskFull):
        guard.check(100 * 2**20)
    guard.check(10 * 2**20)
    now[0] = 2.0
    guard.check(250 * 2**20)
    free = 10 * 2**20
    now[0] = 4.0
    with pytest.raises(DiskFull):
        guard.check(1)


async def test_figures_tell_what_was_done(tmp_path):
    store = await open_store(tmp_path)
    await store.create_bucket("b")
    await asyncio.gather(*(put(store, f"k{n}", b"x") for n in range(20)))
    figures = store.figures()
    assert (figures.writes, figures.refused, figures.pending, figures.stopped) == (20, 0, 0, ())
    assert 0 < figures.groups <= 20
    assert figures.free_bytes > 0
    await store.close()
