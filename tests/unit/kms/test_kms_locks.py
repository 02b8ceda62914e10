"""An operator who looks into kms.db with `sqlite3` while the server runs must not take its write-ahead log away."""

import asyncio
import subprocess
import sys
from pathlib import Path

from strongroom.kms.domain.ports import Write
from strongroom.kms.storage.sqlite import SqliteStore

LOOK = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM entries'); c.close()"


async def put(store: SqliteStore, key: str) -> None:
    stored: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    store.submit([Write(key, b"value")], stored.set_result)
    assert await stored is None


async def test_a_visitor_leaves_the_log_alone(tmp_path: Path) -> None:
    path = tmp_path / "kms.db"
    first = SqliteStore(path)
    await put(first, "a")
    first.close()
    store = SqliteStore(path)  # the file is there already, as at every start but the first
    try:
        await put(store, "b")
        log = Path(f"{path}-wal")
        inode = log.stat().st_ino
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", LOOK, str(path)], check=True)
        assert log.exists(), "the last connection that closes removes the log: the server's lock was lost"
        assert log.stat().st_ino == inode
        await put(store, "c")
    finally:
        store.close()
