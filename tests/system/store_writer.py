"""Writes to an object store until it is killed, saying what it begins and what it was answered. Run as a process.

store_writer.py FOLDER FIRST_NUMBER [worker]: lines `> key number` before a write, `= key number version` after it;
number 0 is a deletion. Keys belong to one writer, so the writes of a key are in order.
"""

import asyncio
import itertools
import os
import random
import sys
from pathlib import Path

from strongroom.s3.domain.ports import BucketExists
from strongroom.s3.domain.records import VERSIONING, NewVersion, PartRecord
from strongroom.s3.storage.files import FilesStore, open_store

WRITERS = 12
BUCKETS = ("plain", "versioned")
SIZES = (0, 10, 4096, 100_000, 140_000, 700_000)


def content(key: str, number: int) -> bytes:
    """Return the body of a write, which can be told from every other one."""
    size = SIZES[number % len(SIZES)]
    return (f"{key} {number}|".encode() * (size // 10 + 1))[: size + 20]


def say(*words: object) -> None:
    """Tell the parent at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def put(store: FilesStore, bucket: str, key: str, number: int) -> str:
    """Store a body in one piece or as an upload of three parts."""
    body = content(key, number)
    new = NewVersion(key, len(body), b"%d" % number, b"meta")
    if number % 4:
        staged = store.stage(bucket, len(body) if number % 3 else None)
        staged.write(body)
        return (await store.put(bucket, new, staged)).version_id
    upload = await store.create_upload(bucket, key, b"")
    third = len(body) // 3
    pieces = [body[:third], body[third : 2 * third], body[2 * third :]]
    for part, piece in enumerate(pieces, 1):
        staged = store.stage(bucket, len(piece))
        staged.write(piece)
        await store.put_part(bucket, upload, PartRecord(part, len(piece), 0, b""), staged)
    return (await store.complete_upload(bucket, upload, [1, 2, 3], new)).version_id


async def writer(store: FilesStore, name: str, numbers: "itertools.count[int]") -> None:
    """Write, overwrite and delete this writer's keys for ever."""
    while True:
        bucket = random.choice(BUCKETS)
        key = f"{name}/{random.randrange(4)}"
        number = 0 if random.random() < 0.1 else next(numbers)
        say(">", bucket, key, number)
        if number:
            version = await put(store, bucket, key, number)
        else:
            version = (await store.delete(bucket, key)).version_id or "-"
        say("=", bucket, key, number, version)


async def main(folder: Path, first: int, worker: bool) -> None:
    """Open the store and let the writers run."""
    store = await open_store(folder, worker=worker)
    for bucket in BUCKETS:
        try:
            await store.create_bucket(bucket)
        except BucketExists:
            continue
        if bucket == "versioned":
            await store.configure(bucket, {VERSIONING: b"Enabled"})
    say("ready")
    numbers = itertools.count(first)
    await asyncio.gather(*(writer(store, f"w{'x' * worker}{n}", numbers) for n in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), len(sys.argv) > 3))
