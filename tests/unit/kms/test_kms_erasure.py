"""Deleting erases: no byte of a deleted entry is left in the files when the batch is durable."""

import asyncio
import os

from strongroom.kms.domain.ports import Write
from strongroom.kms.storage.sqlite import SqliteStore, open_folder


async def commit(store, *writes):
    done = asyncio.get_running_loop().create_future()
    store.submit(writes, lambda error: done.set_exception(error) if error else done.set_result(None))
    await done


def everything(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm"))


async def test_an_erased_entry_is_gone_from_database_and_log(tmp_path):
    store = SqliteStore(open_folder(tmp_path))
    secrets = {f"s/{i}": os.urandom(3000) for i in range(20)}
    await commit(store, *[Write(key, value) for key, value in secrets.items()])
    assert secrets["s/3"][100:164] in everything(tmp_path)
    await commit(store, Write("s/3", None, erase=True))
    left = everything(tmp_path)
    value = secrets["s/3"]
    assert not any(value[i : i + 32] in left for i in range(0, len(value) - 32, 16))
    assert secrets["s/4"][100:164] in left
    store.close()
