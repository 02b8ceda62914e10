"""Uploads: one request, or parts in parallel that can go on where an earlier try stopped (mc.md 5.3).

Everything blocks and reports progress in bytes; a negative report takes a failed try back.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from strongroom.errors import BadSettings, Error, Incomplete, Unavailable
from strongroom.messages import WINDOW, Buffer
from strongroom.sdk.crew import each
from strongroom.sdk.s3 import Client, Head
from strongroom.sdk.s3_body import CHECKSUMS, Bytes, Content, Counted, FilePart, Progress, base64, checksum
from strongroom.sdk.s3_errors import S3Error
from strongroom.sdk.s3_resume import Journal

PART = 16 * 1024 * 1024  # bytes
LEAST_PART, MOST_PARTS = 5 * 1024 * 1024, 10_000
SINGLE_LIMIT = 5 * 1024**3  # bytes in one PUT, and in one copy
GROW = 1000  # parts of unknown total: their size doubles so often

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How an object is moved. checksum: one of CHECKSUMS or MD5 (a Content-MD5 per request)."""

    part_size: int = PART
    parallel: int = 4
    multipart: bool = True
    checksum: str = ""

    def size_of_part(self, length: int) -> int:
        """Return the bytes of a part so that MOST_PARTS suffice; raise BadSettings for a size S3 refuses."""
        if not LEAST_PART <= self.part_size <= SINGLE_LIMIT:
            raise BadSettings(f"a part has between 5 MiB and 5 GiB, not {self.part_size} bytes")
        size = self.part_size
        while size * MOST_PARTS < length:
            size *= 2
        return size


class Source(Protocol):
    """Where an upload's bytes come from."""

    def part(self, offset: int, length: int) -> Content:
        """Return length bytes from offset on."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A local file."""

    path: Path

    def part(self, offset: int, length: int) -> Content:
        """Return a piece of the file."""
        return FilePart(self.path, offset, length)


@dataclass(frozen=True, slots=True)
class _RemotePart:
    """A range of an object elsewhere, read while it is sent."""

    source: "ObjectSource"
    offset: int
    length: int

    def start(self) -> Iterator[Buffer]:
        where, stop = self.source, self.offset + self.length
        headers = list(where.headers)
        if self.length < where.size:
            headers.append(("Range", f"bytes={self.offset}-{stop - 1}"))
        with where.client.get(where.bucket, where.key, where.version_id, headers) as answer:
            left = self.length
            view = memoryview(bytearray(min(WINDOW, max(left, 1))))
            while left:
                count = answer.read_into(view[: min(left, len(view))])
                if not count:
                    raise Incomplete(f"{left} bytes of {where.key} are missing")
                left -= count
                yield view[:count]


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """An object on another server. headers: what reading it needs (SSE-C)."""

    client: Client
    bucket: str
    key: str
    size: int
    version_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def part(self, offset: int, length: int) -> Content:
        """Return a range."""
        return _RemotePart(self, offset, length)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object goes, with the headers that describe it and, for SSE-C, those that every part repeats."""

    client: Client
    bucket: str
    key: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def part_headers(self) -> list[tuple[str, str]]:
        """The customer's key is sent with every part."""
        return [(name, value) for name, value in self.headers if "customer-" in name.lower()]


def upload(place: Place, source: Source, length: int, plan: Plan, report: Progress, journal: Journal | None = None,
           ) -> Head:  # fmt: skip
    """Store length bytes, in one request when they fit into a part."""
    if length > SINGLE_LIMIT or (plan.multipart and length > plan.part_size):
        return _Multipart(place, source, length, plan, report, journal).run()
    content = Counted(source.part(0, length), report)
    headers = [*place.headers, *_md5(plan, source.part(0, length))]
    return place.client.put(place.bucket, place.key, content, headers, checksum=_trailing(plan))


def _trailing(plan: Plan) -> str:
    return plan.checksum if plan.checksum in CHECKSUMS else ""


def _md5(plan: Plan, content: Content) -> list[tuple[str, str]]:
    return [("Content-MD5", base64(checksum("MD5", content)))] if plan.checksum == "MD5" else []


class _Multipart:
    """One multipart upload."""

    def __init__(self, place: Place, source: Source, length: int, plan: Plan, report: Progress,
                 journal: Journal | None) -> None:  # fmt: skip
        self.place, self.source, self.length, self.plan, self.report = place, source, length, plan, report
        self.size = plan.size_of_part(length)
        self.journal = journal
        self.parts: dict[int, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def run(self) -> Head:
        """Send what is missing and put the parts together."""
        client, bucket, key = self.place.client, self.place.bucket, self.place.key
        upload_id = self._resume()
        if not upload_id:
            upload_id = client.start_upload(bucket, key, [*self.place.headers, *algorithm_headers(self.plan.checksum)])
            if self.journal is not None:
                self.journal.begin(upload_id, self.size)
        try:
            return self._finish(upload_id)
        except BaseException as error:
            refused = isinstance(error, S3Error) and not isinstance(error, Unavailable)
            if self.journal is None or refused:  # else the parts wait for the next try
                client.abort_upload(bucket, key, upload_id)
                if self.journal is not None:
                    self.journal.end()
            raise

    def _finish(self, upload_id: str) -> Head:
        client, bucket, key = self.place.client, self.place.bucket, self.place.key
        count = -(-self.length // self.size)
        missing = [number for number in range(1, count + 1) if number not in self.parts]
        each(min(self.plan.parallel, max(len(missing), 1)), lambda number: self._send(upload_id, number), missing)
        rows = [(number, *self.parts[number]) for number in sorted(self.parts)]
        name = _trailing(self.plan)
        final = completion_headers(name, [row[2] for row in rows])
        head = client.finish_upload(bucket, key, upload_id, rows, [*final, *self.place.part_headers], name)
        if self.journal is not None:
            self.journal.end()
        return head

    def _resume(self) -> str:
        """Return an earlier upload's id when the server still has what the journal says."""
        known = self.journal.known(self.size) if self.journal is not None else None
        if known is None:
            return ""
        upload_id, parts = known
        try:
            there = self.place.client.parts(self.place.bucket, self.place.key, upload_id)
        except Error:  # whatever the reason: the upload is started anew
            return ""
        for number, (etag, value) in parts.items():
            if there.get(number, (0, ""))[1] == etag:
                self.parts[number] = (etag, value)
                self.report(self._span(number)[1])
        return upload_id

    def _span(self, number: int) -> tuple[int, int]:
        offset = (number - 1) * self.size
        return offset, min(self.size, self.length - offset)

    def _send(self, upload_id: str, number: int) -> None:
        offset, length = self._span(number)
        content = Counted(self.source.part(offset, length), self.report)
        headers = [*self.place.part_headers, *_md5(self.plan, self.source.part(offset, length))]
        etag, value = self.place.client.put_part(self.place.bucket, self.place.key, upload_id, number, content, headers,
                                                 checksum=_trailing(self.plan))  # fmt: skip
        with self._lock:
            self.parts[number] = (etag, value)
            if self.journal is not None:
                self.journal.part(number, etag, value)


def algorithm_headers(name: str) -> list[tuple[str, str]]:
    """Return what announces the parts' checksums."""
    if name not in CHECKSUMS:
        return []
    kind = [("x-amz-checksum-type", "FULL_OBJECT")] if name == "CRC64NVME" else []
    return [("x-amz-checksum-algorithm", name), *kind]


def completion_headers(name: str, values: list[str]) -> list[tuple[str, str]]:
    """Return the checksum over the parts' checksums (composite; CRC64NVME has none)."""
    from base64 import b64decode

    if name not in CHECKSUMS or name == "CRC64NVME" or not all(values):
        return []
    state = CHECKSUMS[name]()
    state.update(b"".join(map(b64decode, values)))
    return [(f"x-amz-checksum-{name.lower()}", base64(state.digest()))]


def upload_stream(place: Place, stream: BinaryIO, plan: Plan, report: Progress) -> int:
    """Store a stream of unknown length, always in parts; return the number of bytes.

    Memory: `parallel` parts of the part size, which doubles every 1,000 parts so that 5 TiB fit.
    """
    client, bucket, key = place.client, place.bucket, place.key
    name = _trailing(plan) or ("" if plan.checksum == "MD5" else "CRC32C")
    upload_id = client.start_upload(bucket, key, [*place.headers, *algorithm_headers(name)])
    parts: dict[int, tuple[str, str]] = {}
    total = 0

    def pieces() -> Iterator[tuple[int, bytes]]:
        nonlocal total
        number, size = 1, plan.size_of_part(0)
        while True:
            data = stream.read(size)
            if not data and number > 1:
                return
            total += len(data)
            yield number, data
            if len(data) < size:
                return
            number += 1
            if number % GROW == 0:
                size *= 2

    def send(piece: tuple[int, bytes]) -> None:
        number, data = piece
        headers = [*place.part_headers, *_md5(plan, Bytes(data))]
        content = Counted(Bytes(data), report)
        parts[number] = client.put_part(bucket, key, upload_id, number, content, headers, checksum=name)

    try:
        each(plan.parallel, send, pieces())
        rows = [(number, *parts[number]) for number in sorted(parts)]
        final = completion_headers(name, [row[2] for row in rows])
        client.finish_upload(bucket, key, upload_id, rows, [*final, *place.part_headers], name)
    except BaseException:
        client.abort_upload(bucket, key, upload_id)
        raise
    return total


def copy_large(place: Place, source: tuple[str, str], size: int, plan: Plan, version_id: str, report: Progress,
               source_headers: Pairs = ()) -> None:  # fmt: skip
    """Copy on the server what is too large for one request, by ranges."""
    client, bucket, key = place.client, place.bucket, place.key
    step = max(plan.size_of_part(size), 512 * 1024 * 1024)
    upload_id = client.start_upload(bucket, key, place.headers)
    etags: dict[int, str] = {}

    def copy(number: int) -> None:
        start = (number - 1) * step
        span = (start, min(start + step, size))
        headers = [*place.part_headers, *source_headers]
        etags[number] = client.copy_part(bucket, key, upload_id, number, source, span, headers, version_id)
        report(span[1] - span[0])

    try:
        each(plan.parallel, copy, range(1, -(-size // step) + 1))
        client.finish_upload(bucket, key, upload_id, [(n, etags[n], "") for n in sorted(etags)], place.part_headers)
    except BaseException:
        client.abort_upload(bucket, key, upload_id)
        raise
