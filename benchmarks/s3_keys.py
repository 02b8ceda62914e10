"""What keys cost and how fast they lock: an S3 server with two key servers of ours, in one process each way it counts.

    python benchmarks/s3_keys.py [--objects 1000000] [--buckets 100] [--only usage,lock,rewrap,encrypt]

usage    seconds of `GET /minio/kms/v1/key/usage` with so many objects in so many buckets
lock     seconds from the answer to `disable` until a GET is refused: through the stream of the server that was asked,
         through another server, and without any stream; `lock_within` is 5 s, as by default
rewrap   objects a second that a keyrotate job seals anew, of 4 KiB, SSE-KMS with Bucket Keys
encrypt  the same for plain objects that are encrypted where they lie
"""

import argparse
import asyncio
import sys
import tempfile
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "system")]

from system import keys_world as world  # noqa: E402  # the tests' own servers
from system.test_s3_keys import Chain  # noqa: E402

from strongroom.errors import NotFound  # noqa: E402
from strongroom.s3.domain.rewrap import Order  # noqa: E402
from strongroom.s3.storage.schema import connect  # noqa: E402
from strongroom.sdk.kes import KesClient  # noqa: E402

WITHIN = 5.0  # seconds
SOME = 5_000  # objects of rewrap and encrypt
COLUMNS = "version, marker, size, stored, modified, etag, tags, lock, file, parts, crc, sealed_by, meta, body"
UNDER = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "project"}


def show(name: str, value: str) -> None:
    print(f"{name:<58}{value}", flush=True)


def multiply(folder: Path, objects: int) -> None:
    """Make objects rows out of the first one of every bucket, counted as the store counts: once, in bulk."""
    paths = list((folder / "buckets").glob("*/index.db"))
    for path in paths:
        connection = connect(path)  # as the server: the files of its log stay
        count = objects // len(paths)
        with connection:
            connection.execute(
                f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
                f"INSERT INTO versions(seq, key, {COLUMNS}) "
                f"SELECT i, printf('copy-%09d', i), {COLUMNS} FROM n, versions WHERE seq = 1"
            )
            connection.execute(f"UPDATE bucket SET next_seq = {count + 1}, objects = {count}, versions = {count}")
            connection.execute(f"UPDATE seals SET versions = {count}, objects = {count}, size = size * {count}")
        connection.close()


async def usage(chain: Chain, objects: int, buckets: int) -> None:
    async with chain.kes() as kes:
        async with world.serving(chain, kes.port) as running:
            s3 = world.client(running)
            await running.service.create("project")
            for number in range(buckets):
                await world.off(s3.create_bucket, Bucket=f"bucket-{number}")
                await world.off(s3.put_object, Bucket=f"bucket-{number}", Key="one", Body=b"x", **UNDER)
        await asyncio.to_thread(multiply, chain.folder / "data", objects)
        async with world.serving(chain, kes.port) as running:
            for turn in ("first", "again"):
                begun = time.perf_counter()
                found = await world.key(running, "usage", "project")
                took = time.perf_counter() - begun
                show(f"usage, {found['objects']} objects in {buckets} buckets, {turn}", f"{took * 1000:.1f} ms")


async def no_events(self: KesClient, after: str = "", endpoint: str = "") -> AsyncIterator[dict[str, Any]]:
    raise NotFound("no such route")
    yield {}


async def locked(chain: Chain, name: str, *, far: bool, stream: bool) -> None:
    events = KesClient.events
    if not stream:
        KesClient.events = no_events  # type: ignore[assignment, method-assign]
    try:
        async with chain.kes(within=WITHIN) as near, chain.kes(within=WITHIN) as other:  # noqa: SIM117
            async with world.serving(chain, near.port, lock_within=WITHIN) as running:
                s3 = world.client(running)
                await world.off(s3.create_bucket, Bucket="bucket")
                await world.off(s3.put_object, Bucket="bucket", Key="k", Body=b"x", **UNDER)
                await asyncio.sleep(1)
                async with chain.service((other if far else near).port) as operator:
                    worst = 0.0
                    for _ in range(3):
                        assert await allowed(s3)  # its data key is in memory now
                        await operator.change("disable", "project")
                        worst = max(worst, await world.seconds_until(lambda: refused(s3)))
                        await operator.change("enable", "project")
                        await world.seconds_until(lambda: allowed(s3))
                show(f"lock, {name}, slowest of 3", f"{worst:.3f} s")
    finally:
        KesClient.events = events  # type: ignore[method-assign]


async def refused(s3: Any) -> bool:
    return await world.code(s3.get_object, Bucket="bucket", Key="k") == "KMS.DisabledException"


async def allowed(s3: Any) -> bool:
    return not await refused(s3)


async def job(chain: Chain, name: str, order: Order, under: dict[str, str]) -> None:
    async with chain.kes() as kes, world.serving(chain, kes.port) as running:
        s3 = world.client(running)
        await world.off(s3.create_bucket, Bucket="jobs")
        gate = asyncio.Semaphore(8)
        await world.off(s3.put_object, Bucket="jobs", Key="000000", Body=bytes(4096), **under)

        async def put(number: int) -> None:
            async with gate:
                await world.off(s3.put_object, Bucket="jobs", Key=f"{number:06}", Body=bytes(4096), **under)

        await asyncio.gather(*map(put, range(SOME)))
        begun = time.perf_counter()
        done = await running.jobs.start(order, "benchmark")
        while not done.progress.complete:
            await asyncio.sleep(0.01)
        took = time.perf_counter() - begun
        assert done.progress.objects == SOME, done.progress
        show(f"{name}, {SOME} objects of 4 KiB", f"{SOME / took:.0f}/s")


async def main(options: types.SimpleNamespace) -> None:
    async def in_fresh(make_key: bool, run: Callable[[Chain], Awaitable[None]]) -> None:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            (Path(folder) / "keys").mkdir()
            chain = Chain(Path(folder))
            if make_key:
                async with chain.kes() as kes, chain.service(kes.port) as operator:
                    await operator.create("project")
            await run(chain)

    wanted = options.only.split(",")
    if "usage" in wanted:
        await in_fresh(False, lambda chain: usage(chain, options.objects, options.buckets))
    if "lock" in wanted:
        ways = (("stream from the server asked", False, True), ("through another server", True, True),
                ("without a stream", False, False))  # fmt: skip
        for name, far, stream in ways:
            await in_fresh(True, lambda chain, n=name, f=far, s=stream: locked(chain, n, far=f, stream=s))
    if "rewrap" in wanted:
        order = Order("jobs", "aws:kms", key_name="project")
        await in_fresh(True, lambda chain: job(chain, "rewrap", order, UNDER))
    if "encrypt" in wanted:
        plain = Order("jobs", "aws:kms", key_name="project", plain=True)
        await in_fresh(True, lambda chain: job(chain, "encrypt in place", plain, {}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--buckets", type=int, default=100)
    parser.add_argument("--only", default="usage,lock,rewrap,encrypt")
    parser.add_argument("--folder", default=None, help="where the data lies, on a disk")
    asyncio.run(main(types.SimpleNamespace(**vars(parser.parse_args()))))
