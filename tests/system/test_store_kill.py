"""kill -9 in the middle of parallel writes: what was answered is there, nothing is half there, garbage goes."""

import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import store_writer

from strongroom.errors import NotFound
from strongroom.s3.storage.files import open_store
from strongroom.s3.storage.fsck import check_folder

SCRIPT = Path(__file__).with_name("store_writer.py")


@dataclass
class Told:
    """What writers told about each (bucket, key): the last answer, and what was under way when they died."""

    answered: dict[tuple[str, str], int] = field(default_factory=dict)
    open: dict[tuple[str, str], int] = field(default_factory=dict)
    versions: dict[tuple[str, str], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    highest: int = 0
    answers: int = 0

    def take(self, output: bytes) -> None:
        """Read a dead writer's output; its last line may be cut."""
        for line in output.decode().split("\n")[:-1]:
            sign, *words = line.split(" ")
            if sign not in "<=>":
                continue
            place, number = (words[0], words[1]), int(words[2])
            self.highest = max(self.highest, number)
            if sign == ">":
                self.open[place] = number
                continue
            self.answers += 1
            self.answered[place] = number
            del self.open[place]
            if words[0] == "versioned":
                self.versions[place][words[3]] = number

    def resolve(self, place: tuple[str, str], number: int) -> None:
        """After a restart: this is what is there, whichever of the two it was."""
        assert number in (self.answered.get(place, 0), self.open.get(place, -1)), (place, number)
        self.answered[place] = number
        self.open.pop(place, None)


def run_and_kill(folder: Path, told: Told, processes: int) -> None:
    """Let writers run for a moment after they are ready, and kill them."""
    numbers = [str(told.highest + 1 + 10**6 * n) for n in range(processes)]
    running = []
    for n, number in enumerate(numbers):
        command = [sys.executable, str(SCRIPT), str(folder), number, *(["worker"] if n else [])]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0))
        assert running[-1].stdout.readline() == b"ready\n"
    time.sleep(random.uniform(0.05, 0.6))
    for process in running:
        process.send_signal(signal.SIGKILL)
    for process in running:
        told.take(process.communicate(timeout=30)[0])


async def verify(folder: Path, told: Told) -> None:
    """Open the store again and look at everything."""
    store = await open_store(folder)
    await store.cleaned()
    for place in {*told.answered, *told.open}:
        told.resolve(place, await number_of(store, *place))
        for version_id, number in told.versions[place].items():
            version = await store.get(place[0], place[1], version_id)
            assert version.delete_marker == (number == 0)
            if number:
                assert read(store, place[0], version) == store_writer.content(place[1], number)
    await store.close()
    report = check_folder(folder)
    assert report.problems == []
    assert report.unneeded_files == 0


async def number_of(store, bucket, key):
    """Return which write is there, having compared every byte; 0: none."""
    try:
        version = await store.get(bucket, key)
    except NotFound:
        return 0
    number = int(version.etag)
    assert read(store, bucket, version) == store_writer.content(key, number)
    return number


def read(store, bucket, version):
    body = store.open(bucket, version)
    buffer = bytearray(body.stored)
    assert body.read_into(0, memoryview(buffer)) == version.stored
    body.close()
    return bytes(buffer)


@pytest.mark.parametrize("processes", [1, 2])
async def test_answers_survive_kills(tmp_path, processes):
    told = Told()
    for _ in range(6):
        run_and_kill(tmp_path / "data", told, processes)
        await verify(tmp_path / "data", told)
    assert told.answers > 100
