"""Keys in a folder: none is used before its name is durable."""

import os

from strongroom.kes.storage.fs import FileStore


async def test_a_key_that_is_read_and_the_folders_of_a_new_store_are_durable(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync

    def note(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    folder = tmp_path / "a" / "b"
    store = FileStore(folder)
    assert synced == [str(tmp_path), str(tmp_path / "a")]
    (folder / "k").write_bytes(b"value")  # somebody else makes a key, and has not synced its name yet
    synced.clear()
    assert await store.get("k") == b"value"
    assert synced == [str(folder)]
    assert folder.stat().st_mode & 0o777 == 0o755 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
