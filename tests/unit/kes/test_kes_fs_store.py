"""Keys in files (kes.md 6.3)."""

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
    with pytest.raises(StoreUnreachable):
        await store.status()
    with pytest.raises(StoreFailed):
        await store.create("mine", b"x")


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
