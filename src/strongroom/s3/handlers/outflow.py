"""Bytes on their way out: stored ranges, opened package by package, trimmed to what was asked."""

from collections.abc import Iterator

from strongroom.crypto import dare
from strongroom.errors import Tampered
from strongroom.messages import Buffer, Windows
from strongroom.s3.domain.ports import StoredBody
from strongroom.s3.domain.records import ObjectVersion
from strongroom.s3.domain.sealing import ObjectSeal

SMALL = 256 * 1024  # bytes of plaintext that are answered in one piece
PLAIN_WINDOW = 1024 * 1024  # bytes
SEALED_WINDOW = 16 * dare.SEALED_PACKAGE  # bytes: a window of plaintext, sealed


def part_sizes(version: ObjectVersion) -> tuple[list[int | None], list[int]]:
    """Return the part numbers (None: written in one piece) and their plaintext sizes."""
    if version.parts:
        return [part.number for part in version.parts], [part.size for part in version.parts]
    return [None], [version.size]


def _sealed_pieces(
    body: StoredBody, version: ObjectVersion, seal: ObjectSeal, start: int, stop: int, buffer: memoryview
) -> Iterator[Buffer]:
    numbers, sizes = part_sizes(version)
    if sum(map(dare.sealed_size, sizes)) != body.stored:
        raise Tampered(f"{version.key}: {body.stored} stored bytes do not fit the sizes of its parts")
    for span in dare.part_spans(sizes, start, stop):
        size = sizes[span.index]
        partial = span.span.stop < dare.sealed_size(size)
        opener = seal.opener(numbers[span.index], span.span.first, dare.package_count(size), partial=partial)
        skip, left = span.span.skip, span.length
        for sealed in _plain_pieces(body, span.base + span.span.start, span.base + span.span.stop, buffer):
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
    """The pieces of a range; closing it lets go of the stored body. A piece's memory is used again by the next."""

    def __init__(
        self, body: StoredBody, version: ObjectVersion, seal: ObjectSeal | None, start: int, stop: int
    ) -> None:
        self._body = body
        window = PLAIN_WINDOW if seal is None else SEALED_WINDOW
        room = stop - start if seal is None else dare.sealed_size(stop - start) + 2 * dare.SEALED_PACKAGE
        buffer = memoryview(bytearray(min(window, room)))
        self._pieces: Iterator[Buffer] = (
            _plain_pieces(body, start, stop, buffer)
            if seal is None
            else _sealed_pieces(body, version, seal, start, stop, buffer)
        )

    def __iter__(self) -> Iterator[Buffer]:
        return self

    def __next__(self) -> Buffer:
        return next(self._pieces)

    def close(self) -> None:
        """Let go of files."""
        self._body.close()


def content(
    body: StoredBody, version: ObjectVersion, seal: ObjectSeal | None, start: int, stop: int
) -> bytes | Windows:
    """Return the plaintext bytes [start, stop) of a version as a response body; small ones at once."""
    if start >= stop:
        body.close()
        return b""
    inline = body.inline
    if inline is not None and not version.parts:
        return _from_inline(inline, version, seal, start, stop)
    pieces = Pieces(body, version, seal, start, stop)
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
