"""Keys in files (kes.md 6.3)."""

import errno
import os
import time
from pathlib import Path

import pytest

from strongroom.errors import BadSettings
from strongroom.kes.domain.errors import KeyExists, StoreFailed, StoreUnreachable
from strongroom.kes.storage.fs import FileStore

BAD = [".", "..", ".my-key", "my.key", "/my-key", "\\my-key", "my-key/", "my/key", "./my-key", "./../my-key", ""]


async def test_a_file_is_the_value_and_nobody_elses(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    await store.create("mine", b"value")
    assert (tmp_path / "mine").read_bytes() == b"value"
    assert oct((tmp_path / "mine").stat().st_mode & 0o777) == "0o600"
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", BAD)
async def test_names_that_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for work in (store.create(name, b"x"), store.get(name), store.delete(name)):
        with pytest.raises(StoreFailed, match="key name contains invalid character"):
            await work


async def test_foreign_entries_are_not_listed(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    await store.create("mine", b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").write_text("x")
    assert await store.names("", "", 10) == ["mine"]
    with pytest.raises(KeyExists):
        await store.create("folder", b"x")
    with pytest.raises(StoreFailed):
        await store.get("folder")


async def test_a_vanished_folder_is_unreachable(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "keys")
    (tmp_path / "keys").rmdir()
    for work in (
        store.status(),
        store.create("mine", b"x"),
        store.get("mine"),
        store.delete("mine"),
        store.names("", "", 9),
    ):
        with pytest.raises(StoreUnreachable):
            await work


async def test_a_folder_that_was_unmounted_has_no_missing_keys(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "keys")
    await store.create("mine", b"x")
    store._device += 1  # the mount point is another file system than what was mounted there
    for work in (
        store.status(),
        store.create("new", b"x"),
        store.get("other"),
        store.delete("other"),
        store.names("", "", 9),
    ):
        with pytest.raises(StoreUnreachable, match="another file system"):
            await work
    assert not (tmp_path / "keys" / "new").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadSettings, match="is not a directory"):
        FileStore(tmp_path / "file")


def test_what_a_crash_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    old, young, foreign = (tmp_path / name for name in (".mine.0123456789abcdef", ".new.0123456789abcdef", ".profile"))
    for path in (old, young, foreign):
        path.write_text("x")
    for path in (old, foreign):
        os.utime(path, (time.time() - 7200,) * 2)
    FileStore(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {young.name, foreign.name}


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP])
async def test_a_file_system_without_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def no_links(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_links)
    store = FileStore(tmp_path)
    await store.create("mine", b"value")
    with pytest.raises(KeyExists):
        await store.create("mine", b"other")
    assert await store.get("mine") == b"value"
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]
    monkeypatch.setattr(os, "fsync", no_links)
    with pytest.raises(StoreFailed):
        await store.create("full", b"value")
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


async def test_folders_that_cannot_be_synced_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def files_only(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    store = FileStore(tmp_path)
    await store.create("mine", b"value")
    assert await store.get("mine") == b"value"
    await store.delete("mine")
