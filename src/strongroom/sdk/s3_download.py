"""Downloads into files: whole, or by several ranges at a time, which can go on where an earlier try stopped."""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strongroom.errors import Conflict, Incomplete, Tampered, Unavailable
from strongroom.sdk.crew import each
from strongroom.sdk.s3 import Client
from strongroom.sdk.s3_body import Progress
from strongroom.sdk.s3_resume import DownloadJournal
from strongroom.sdk.s3_transfer import Plan
from strongroom.sdk.s3_verify import MODE, Check, RangeCheck, whole

RANGED = 64 * 1024 * 1024  # downloads from this size on are cut into ranges
RANGE = 32 * 1024 * 1024
WINDOW = 256 * 1024  # bytes per write: 1 MiB costs the kernel of 6.18 with ext4 two to eight times as much
TRIES = 5


@dataclass(frozen=True, slots=True)
class Origin:
    """The object that is downloaded; size and etag as they are known, etag "" when not."""

    client: Client
    bucket: str
    key: str
    size: int
    etag: str = ""
    version_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def open_range(self, start: int, stop: int) -> "Iterator[memoryview]":
        """Yield the bytes [start, stop), trying again where a transfer broke."""
        position, tries = start, 0
        while position < stop:
            headers = [*self.headers, ("Range", f"bytes={position}-{stop - 1}")]
            if self.etag:
                headers.append(("If-Match", f'"{self.etag}"'))
            try:
                with self.client.get(self.bucket, self.key, self.version_id, headers) as answer:
                    view = memoryview(bytearray(WINDOW))
                    while count := answer.read_into(view):
                        position += count
                        yield view[:count]
            except (Incomplete, Unavailable):
                tries += 1
                if tries == TRIES:
                    raise
                time.sleep(0.2 * tries)


def partial_name(path: Path, mark: str) -> Path:
    """Return the name beside path that its bytes have until they are complete; no longer than a name may be."""
    name = os.fsencode(path.name)[: 255 - len(mark) - 8]
    return path.with_name(f".{name.decode('utf-8', 'ignore')}.{mark}.part")


def special(path: Path) -> bool:
    """Tell whether path is a device, a pipe or a socket: it is written to, never replaced by a file."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _download_into(origin: Origin, path: Path, report: Progress) -> None:
    """Write to what cannot be taken back: one try."""
    with (
        origin.client.get(origin.bucket, origin.key, origin.version_id, (MODE, *origin.headers)) as answer,
        open(path, "wb", buffering=0) as out,
    ):
        check = Check(whole(answer.headers))
        for piece in answer.pieces():
            left = piece
            while left:
                left = left[out.write(left) :]  # a pipe takes what fits
            check.update(piece)
            report(len(piece))
        check.finish()


def settle(path: Path) -> None:
    """Wait until a file, or what a folder holds, outlasts a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def download(origin: Origin, path: Path, plan: Plan, report: Progress, *, durable: bool = False) -> None:
    """Write an object to path: into a file beside it first, which takes its place when it is complete.

    A large one is read by several ranges at a time, and goes on where an earlier try stopped as long as its ETag is
    the same. durable: return when it outlasts a power failure. Raises Incomplete, Conflict when the object changed
    under way, Tampered when the bytes do not make the checksum that the server keeps.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if special(path):
        _download_into(origin, path, report)
        return
    what = f"{origin.bucket}/{origin.key}/{origin.version_id}/{origin.etag}"
    partial = partial_name(path, hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:12])
    if origin.size >= RANGED and origin.etag:
        _download_ranges(origin, partial, plan, report)
    else:
        _download_whole(origin, partial, report)
    if durable:
        settle(partial)
    partial.replace(path)
    if durable:
        settle(path.parent)


def _store(descriptor: int, data: memoryview, position: int) -> None:
    """Write all of data: a disk that is nearly full takes a part of it and says so by the count alone."""
    while data:
        count = os.pwrite(descriptor, data, position)
        data, position = data[count:], position + count


def _download_whole(origin: Origin, partial: Path, report: Progress) -> None:
    tries = 0
    while True:
        done = 0
        try:
            with origin.client.get(origin.bucket, origin.key, origin.version_id, (MODE, *origin.headers)) as answer:
                size, check = answer.length, Check(whole(answer.headers))
                view = memoryview(bytearray(min(WINDOW, max(size or WINDOW, 1))))
                with open(partial, "wb", buffering=0) as out:
                    while count := answer.read_into(view):
                        _store(out.fileno(), view[:count], done)
                        check.update(view[:count])
                        done += count
                        report(count)
                if size is None and done != origin.size:  # the end of the connection was the end of the answer
                    raise Incomplete(f"{done} bytes came of {origin.size}")
                check.finish()
            return
        except BaseException as error:
            report(-done)
            partial.unlink(missing_ok=True)
            tries += 1
            if not isinstance(error, Incomplete) or tries == TRIES:
                raise
            time.sleep(0.2 * tries)


def _download_ranges(origin: Origin, partial: Path, plan: Plan, report: Progress) -> None:
    journal = DownloadJournal(partial.with_suffix(".json"), origin.size, RANGE)
    finished = journal.finished() if partial.exists() else set()
    for number in finished:
        report(min(RANGE, origin.size - number * RANGE))
    head = origin.client.head(origin.bucket, origin.key, origin.version_id, origin.headers)
    check = RangeCheck(whole(head.headers), origin.size, RANGE)
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, origin.size)

        def fetch(number: int) -> None:
            position, state = number * RANGE, check.start()
            for piece in origin.open_range(position, min(position + RANGE, origin.size)):
                _store(descriptor, piece, position)
                if state is not None:
                    state.update(piece)
                position += len(piece)
                report(len(piece))
            check.done(number, state)
            journal.add(number)

        missing = [number for number in range(-(-origin.size // RANGE)) if number not in finished]
        each(plan.parallel, fetch, missing)
        check.finish(descriptor)
    except (Conflict, Tampered):
        partial.unlink(missing_ok=True)
        journal.end()
        raise
    finally:
        os.close(descriptor)
    mask = os.umask(0)
    os.umask(mask)
    partial.chmod(0o666 & ~mask)
    journal.end()
