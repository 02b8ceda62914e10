"""Random operations by several processes on one store, each against a model of its own keys.

python tests/system/soak_store.py [--seconds 60] [--processes 2] [--folder DIR]: prints a line per process and minute,
ends with 1 at the first difference. Memory and open files of each process are printed and must stay flat.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from strongroom.errors import NotFound
from strongroom.s3.domain.ports import BucketExists
from strongroom.s3.domain.records import VERSIONING, ListQuery, NewVersion, PartRecord
from strongroom.s3.storage.files import FilesStore, open_store
from strongroom.s3.storage.fsck import check_folder

TASKS = 8  # in each process
KEYS = 12  # of each task
BUCKETS = ("plain", "versioned")
SIZES = (0, 1, 5000, 100_000, 150_000, 400_000)


@dataclass
class Task:
    """One writer: its keys, and per bucket and key the versions that must be there, newest first.

    A version is (id, body); the body of a delete marker is None.
    """

    store: FilesStore
    name: str
    versions: dict[tuple[str, str], list[tuple[str, bytes | None]]] = field(default_factory=dict)
    done: int = 0

    async def run(self, end: float) -> None:
        """Work until end."""
        steps = (
            self.put,
            self.put,
            self.put,
            self.read,
            self.read,
            self.delete,
            self.multipart,
            self.list,
            self.remove,
        )
        while time.monotonic() < end:
            place = (random.choice(BUCKETS), f"{self.name}/{random.randrange(KEYS)}")
            await random.choice(steps)(place)
            self.done += 1

    def body(self) -> bytes:
        """Return bytes that no other write has."""
        return (os.urandom(16) * (random.choice(SIZES) // 16 + 1))[: random.choice(SIZES)]

    def push(self, place: tuple[str, str], version_id: str, body: bytes | None) -> None:
        """Expect a new version."""
        older = self.versions.get(place, []) if place[0] == "versioned" else []
        self.versions[place] = [(version_id, body), *older]

    async def put(self, place: tuple[str, str]) -> None:
        """Put an object."""
        bucket, key = place
        body = self.body()
        staged = self.store.stage(bucket, random.choice((None, len(body))))
        staged.write(body)
        version = await self.store.put(bucket, NewVersion(key, len(body), b"e", b"m"), staged)
        self.push(place, version.version_id, body)

    async def multipart(self, place: tuple[str, str]) -> None:
        """Put an object in parts, or give up."""
        bucket, key = place
        upload = await self.store.create_upload(bucket, key, b"")
        pieces = [self.body() for _ in range(random.randrange(1, 4))]
        for number, piece in enumerate(pieces, 1):
            staged = self.store.stage(bucket, len(piece))
            staged.write(piece)
            await self.store.put_part(bucket, upload, PartRecord(number, len(piece), 0, b""), staged)
        if random.random() < 0.2:
            await self.store.abort_upload(bucket, upload)
            return
        body = b"".join(pieces)
        new = NewVersion(key, len(body), b"e", b"m")
        version = await self.store.complete_upload(bucket, upload, range(1, len(pieces) + 1), new)
        self.push(place, version.version_id, body)

    async def delete(self, place: tuple[str, str]) -> None:
        """Delete an object, which leaves a marker in the versioned bucket."""
        done = await self.store.delete(*place)
        if place[0] == "versioned":
            self.push(place, done.version_id, None)
        else:
            assert done.found == (place in self.versions)
            self.versions.pop(place, None)

    async def remove(self, place: tuple[str, str]) -> None:
        """Remove one version for good."""
        versions = self.versions.get(place)
        if versions:
            version = versions.pop(random.randrange(len(versions)))
            assert (await self.store.delete(*place, version[0])).found
            if not versions:
                del self.versions[place]

    async def read(self, place: tuple[str, str]) -> None:
        """Compare the newest version and one by its id."""
        versions = self.versions.get(place, [])
        newest = versions[0][1] if versions else None
        assert await self.content(place, None) == newest, place
        if versions:
            version_id, body = random.choice(versions)
            if body is not None:
                assert await self.content(place, version_id) == body, (place, version_id)

    async def content(self, place: tuple[str, str], version_id: str | None) -> bytes | None:
        """Return what the store has."""
        try:
            version = await self.store.get(*place, version_id)
        except NotFound:
            return None
        body = self.store.open(place[0], version)
        try:
            buffer = bytearray(body.stored)
            await asyncio.sleep(0)
            assert body.read_into(0, memoryview(buffer)) == len(buffer)
        finally:
            body.close()
        return bytes(buffer)

    async def list(self, place: tuple[str, str]) -> None:
        """Compare the listing of this task's keys."""
        bucket = place[0]
        page = await self.store.list(bucket, ListQuery(prefix=f"{self.name}/", versions=True))
        expected = [
            (key, version_id)
            for (where, key), versions in sorted(self.versions.items())
            if where == bucket
            for version_id, _ in versions
        ]
        assert [(e.key, e.version_id) for e in page.entries] == expected[: len(page.entries)]
        assert page.truncated or len(page.entries) == len(expected)


async def work(folder: Path, number: int, seconds: float) -> None:
    """Run one process's tasks."""
    store = await open_store(folder, worker=number > 0)
    for bucket in BUCKETS:
        try:
            await store.create_bucket(bucket)
            await store.configure(bucket, {VERSIONING: b"Enabled"} if bucket == "versioned" else {})
        except BucketExists:
            continue
    print("ready", flush=True)
    end = time.monotonic() + seconds
    tasks = [Task(store, f"p{number}t{n}") for n in range(TASKS)]
    report = asyncio.create_task(reports(number, tasks))
    await asyncio.gather(*(task.run(end) for task in tasks))
    report.cancel()
    print(line(number, tasks), flush=True)
    sys.stdin.readline()
    await store.close()


def line(number: int, tasks: list[Task]) -> str:
    """Say how far a process is."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    files = len(os.listdir("/proc/self/fd"))
    return f"process {number}: {sum(t.done for t in tasks)} operations, {resident} MiB, {files} open files"


async def reports(number: int, tasks: list[Task]) -> None:
    """Print a line every minute."""
    while True:
        await asyncio.sleep(60)
        print(line(number, tasks), file=sys.stderr, flush=True)


def soak(folder: Path, seconds: float, processes: int) -> list[str]:
    """Run the processes and check the folder; return what they said. Raise when one found a difference."""
    running = []
    for number in range(processes):
        command = [sys.executable, __file__, "--work", str(number), "--seconds", str(seconds), "--folder", str(folder)]
        running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert running[-1].stdout.readline() == "ready\n"
    said = [process.stdout.readline().strip() for process in running]
    for process in reversed(running):
        process.communicate("\n")
    assert all(process.returncode == 0 for process in running)
    report = check_folder(folder, deep=True)
    assert (report.problems, report.unneeded_files) == ([], 0)
    return said


def main() -> None:
    """Be the parent, or one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--work", type=int)
    arguments = parser.parse_args()
    if arguments.work is not None:
        asyncio.run(work(arguments.folder, arguments.work, arguments.seconds))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print("\n".join(soak(Path(folder) / "data", arguments.seconds, arguments.processes)))


if __name__ == "__main__":
    main()
