"""How fast the object store is without the server around it, beside plain SQLite on the same disk.

python benchmarks/store.py [--seconds 2] [--rows 100000] [--folder DIR]
"""

import argparse
import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from strongroom.s3.domain.records import ListQuery, NewVersion
from strongroom.s3.storage.files import FilesStore, open_store

META = os.urandom(300)
ETAG = os.urandom(16)


def percentile(sorted_values: list[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))] * 1000


async def put(store: FilesStore, key: str, body: bytes) -> None:
    """Put one object."""
    staged = store.stage("b", len(body))
    staged.write(body)
    await store.put("b", NewVersion(key, len(body), ETAG, META), staged)


async def writers(store: FilesStore, count: int, size: int, seconds: float) -> str:
    """Run count writers for a while."""
    body = os.urandom(size)
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def one(writer: int) -> None:
        number = 0
        while (before := time.perf_counter()) < end:
            number += 1
            await put(store, f"w{size}/{writer:02d}/{random.randrange(10**9)}-{number}", body)
            took.append(time.perf_counter() - before)

    began = time.perf_counter()
    await asyncio.gather(*map(one, range(count)))
    rate = len(took) / (time.perf_counter() - began)
    took.sort()
    p50, p99, longest = (percentile(took, share) for share in (0.5, 0.99, 1))
    return f"{rate:9,.0f}/s  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  max {longest:6.1f} ms"


async def fill(store: FilesStore, rows: int) -> None:
    """Make a bucket of many small objects."""
    body = os.urandom(1000)
    for at in range(0, rows, 256):
        await asyncio.gather(
            *(put(store, f"list/{n // 1000:04d}/{n:08d}", body) for n in range(at, min(rows, at + 256)))
        )


async def timed(function: Callable[[int], object], seconds: float) -> float:
    """Return calls per second."""
    count = 0
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        for _ in range(50):
            found = function(count)
            if asyncio.iscoroutine(found):
                await found
            count += 1
    return count / (time.perf_counter() - began)


def sqlite_alone(folder: Path, size: int, group: int, seconds: float) -> float:
    """Rows per second of plain SQLite with group rows per commit: what the disk and the library allow."""
    connection = apsw.Connection(str(folder / "plain.db"))
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS o(key TEXT PRIMARY KEY, meta BLOB, body BLOB)")
    body = os.urandom(size)
    count = 0
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        rows = [(f"{random.randrange(10**9)}-{count + n}", META, body) for n in range(group)]
        with connection:
            connection.executemany("INSERT INTO o VALUES (?, ?, ?)", rows)
        count += group
    rate = count / (time.perf_counter() - began)
    connection.close()
    return rate


async def run(folder: Path, seconds: float, rows: int) -> None:
    """Print all figures."""
    store = await open_store(folder / "store")
    await store.create_bucket("b")
    for size in (4096, 65536, 1 << 20):
        for count in (1, 16, 64):
            print(f"put {size:8} B, {count:2} writers  {await writers(store, count, size, seconds)}", flush=True)
    for size, group in ((4096, 1), (4096, 16), (4096, 64)):
        print(f"plain SQLite {size} B, {group:2} rows a commit {sqlite_alone(folder, size, group, seconds):9,.0f}/s")
    began = time.perf_counter()
    await fill(store, rows)
    print(f"fill {rows} rows of 1,000 B          {rows / (time.perf_counter() - began):9,.0f}/s")
    keys = [f"list/{n // 1000:04d}/{n:08d}" for n in range(rows)]
    random.shuffle(keys)
    print(f"get                              {await timed(lambda n: store.get('b', keys[n % rows]), seconds):9,.0f}/s")

    def page(n: int, **more: str) -> object:
        return store.list("b", ListQuery(prefix="list/", after=keys[n % rows], **more))

    rate = await timed(page, seconds)
    print(f"page of 1,000 keys                {1000 / rate:8.2f} ms")
    rate = await timed(lambda n: store.list("b", ListQuery(prefix="list/", delimiter="/")), seconds)
    print(f"all {rows // 1000} common prefixes          {1000 / rate:8.2f} ms")
    await store.close()


def main() -> None:
    """Run in a temporary folder on the disk that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="store-bench-", dir=arguments.folder))
    try:
        asyncio.run(run(folder, arguments.seconds, arguments.rows))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
