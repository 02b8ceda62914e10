"""Bytes on their way out: stored ranges, opened package by package, trimmed to what was asked."""

import mmap
import threading
from collections.abc import Iterator

from strongroom.crypto import dare
from strongroom.errors import Tampered
from strongroom.messages import Buffer, Windows
from strongroom.s3.domain.object_seal import ObjectSeal
from strongroom.s3.domain.ports import StoredBody
from strongroom.s3.domain.records import ObjectVersion
from strongroom.s3.handlers.running_reads import Reading, RunningReads

SMALL = 256 * 1024  # bytes of plaintext that are answered in one piece
PLAIN_WINDOW = 1024 * 1024  # bytes
SEALED_WINDOW = 16 * dare.SEALED_PACKAGE  # bytes: a window of plaintext, sealed
SMALL_WINDOW = 2 * dare.SEALED_PACKAGE  # bytes: what readers get while many are on their way


def part_sizes(version: ObjectVersion) -> tuple[list[int | None], list[int]]:
    """Return the part numbers (None: written in one piece) and their plaintext sizes."""
    if version.parts:
        return [part.number for part in version.parts], [part.size for part in version.parts]
    return [None], [version.size]


class WindowPool:
    """Windows of memory that are used again: fresh ones cost more in page faults than the bytes in them do.

    They are mapped, so that the system has the memory again as soon as nobody uses it: from a heap, which keeps what
    lies below something still in use, 50 slow readers had left 90 MB.
    """

    KEPT = 16  # of each size, at most
    GENEROUS = 128 * 1024 * 1024  # bytes that are lent before windows become small: peers that read slowly hold them

    def __init__(self) -> None:
        self.lent = 0  # bytes
        self._free: dict[int, list[memoryview]] = {}
        self._using = threading.Lock()

    def room(self, size: int) -> int:
        """Return how large a window may be that would have size bytes."""
        return size if self.lent < self.GENEROUS else min(size, SMALL_WINDOW)

    def take(self, size: int) -> memoryview:
        """Return memory of size bytes, with anything in it."""
        with self._using:
            self.lent += size
            free = self._free.get(size)
            return free.pop() if free else memoryview(mmap.mmap(-1, size))

    def give(self, window: memoryview) -> None:
        """Take memory back that nobody reads any more."""
        with self._using:
            self.lent -= len(window)
            free = self._free.setdefault(len(window), [])
            if len(free) < self.KEPT and len(window) in (PLAIN_WINDOW, SEALED_WINDOW):
                free.append(window)

    def forget(self, window: memoryview) -> None:
        """Count memory as given back that a sender may still hold for a moment."""
        with self._using:
            self.lent -= len(window)


_windows = WindowPool()


def _sealed_pieces(
    body: StoredBody, version: ObjectVersion, seal: ObjectSeal, extent: tuple[int, int], memory: list[memoryview]
) -> Iterator[Buffer]:
    numbers, sizes = part_sizes(version)
    if sum(map(dare.sealed_size, sizes)) != body.stored:
        raise Tampered(f"{version.key}: {body.stored} stored bytes do not fit the sizes of its parts")
    sealed_window, plain_window = memory
    for span in dare.part_spans(sizes, *extent):
        size, number = sizes[span.index], numbers[span.index]
        packages, partial = dare.package_count(size), span.span.stop < dare.sealed_size(size)
        opener = seal.opener(number, span.span.first, packages, partial=partial, buffer=plain_window)
        skip, left = span.span.skip, span.length
        for sealed in _plain_pieces(body, span.base + span.span.start, span.base + span.span.stop, sealed_window):
            plain = opener.feed(sealed)
            piece = plain[skip : skip + left]
            skip = max(skip - len(plain), 0)
            left -= len(piece)
            if piece:
                yield piece
        opener.finish()


def _plain_pieces(body: StoredBody, start: int, stop: int, buffer: memoryview) -> Iterator[memoryview]:
    while start < stop:
        got = body.read_into(start, buffer[: min(len(buffer), stop - start)])
        if not got:
            raise Tampered("the stored bytes end too early")
        start += got
        yield buffer[:got]


class Pieces:
    """The pieces of a range; closing it lets go of the stored body. A piece's memory is used again by the next.

    The windows go back for others only when the last piece was asked for: then the sender is done with all of them.
    After a broken transfer it may still hold one.
    """

    def __init__(
        self,
        body: StoredBody,
        version: ObjectVersion,
        seal: ObjectSeal | None,
        start: int,
        stop: int,
        reads: RunningReads | None = None,
    ) -> None:
        self._body = body
        name = seal.info.key_name if seal is not None else ""
        self._reading: Reading | None = reads.begin(name) if reads is not None and name else None
        if seal is None:
            self._memory = [_windows.take(_windows.room(min(PLAIN_WINDOW, stop - start)))]
            self._pieces: Iterator[Buffer] = _plain_pieces(body, start, stop, self._memory[0])
        else:
            room = _windows.room(min(SEALED_WINDOW, dare.sealed_size(stop - start) + 2 * dare.SEALED_PACKAGE))
            self._memory = [_windows.take(room), _windows.take(room)]
            self._pieces = _sealed_pieces(body, version, seal, (start, stop), self._memory)

    def __iter__(self) -> Iterator[Buffer]:
        return self

    def __next__(self) -> Buffer:
        if self._reading is not None:
            self._reading.check()
        try:
            return next(self._pieces)
        except StopIteration:
            while self._memory:
                _windows.give(self._memory.pop())
            raise

    def close(self) -> None:
        """Let go of files and memory."""
        while self._memory:
            _windows.forget(self._memory.pop())
        if self._reading is not None:
            self._reading.end()
        self._body.close()


def content(
    body: StoredBody,
    version: ObjectVersion,
    seal: ObjectSeal | None,
    start: int,
    stop: int,
    reads: RunningReads | None = None,
) -> bytes | Windows:
    """Return the plaintext bytes [start, stop) of a version as a response body; small ones at once.

    reads: where larger ones are noted, to be cut when their key is locked; None lets them end.
    """
    if start >= stop:
        body.close()
        return b""
    inline = body.inline
    if inline is not None and not version.parts:
        return _from_inline(inline, version, seal, start, stop)
    pieces = Pieces(body, version, seal, start, stop, reads)
    if stop - start > SMALL:
        return Windows(stop - start, pieces)
    try:
        return b"".join([bytes(piece) for piece in pieces])
    finally:
        pieces.close()


def _from_inline(inline: bytes, version: ObjectVersion, seal: ObjectSeal | None, start: int, stop: int) -> bytes:
    if seal is None:
        return inline if stop - start == len(inline) else inline[start:stop]
    if len(inline) != dare.sealed_size(version.size):
        raise Tampered(f"{version.key}: {len(inline)} stored bytes do not fit its size")
    plain = seal.open_small(inline, version.size)
    return plain if stop - start == len(plain) else plain[start:stop]
