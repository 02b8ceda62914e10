"""How plaintext lies in sealed packages: sizes, ranges, parts. Format: docs/formats/dare.md (sse.md 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.crypto.aead import TAG_SIZE
from strongroom.errors import Tampered

PACKAGE_SIZE = 64 * 1024  # bytes of plaintext in a package; only the last holds fewer
HEADER_SIZE = 16  # bytes
OVERHEAD = HEADER_SIZE + TAG_SIZE  # bytes that a package adds
SEALED_PACKAGE = PACKAGE_SIZE + OVERHEAD
MAX_SIZE = 2**48  # bytes of plaintext in a stream: 2**32 packages, as the counter has 32 bits


def sealed_size(size: int) -> int:
    """Return how many bytes a plaintext of `size` bytes has when sealed; nothing stays nothing."""
    packages, rest = divmod(size, PACKAGE_SIZE)
    return packages * SEALED_PACKAGE + (rest + OVERHEAD if rest else 0)


def plain_size(size: int) -> int:
    """Return how many bytes of plaintext a sealed stream of `size` bytes holds; raise Tampered if none has that."""
    packages, rest = divmod(size, SEALED_PACKAGE)
    if size < 0 or 0 < rest <= OVERHEAD:
        raise Tampered(f"no sealed stream has {size} bytes")
    return packages * PACKAGE_SIZE + (rest - OVERHEAD if rest else 0)


def package_count(size: int) -> int:
    """Return in how many packages a plaintext of `size` bytes is sealed."""
    return -(-size // PACKAGE_SIZE)


@dataclass(frozen=True, slots=True)
class Span:
    """Which sealed bytes hold a range of the plaintext.

    start, stop  half-open, in the sealed stream; whole packages
    skip         plaintext bytes to drop in front
    first        number of the first package: where the opener's counter starts
    """

    start: int
    stop: int
    skip: int
    first: int


def package_span(start: int, stop: int, size: int | None = None) -> Span:
    """Say which sealed bytes hold the plaintext bytes [start, stop), 0 <= start < stop.

    With `size`, the plaintext's length, the end is that of the last package; without, of a full one.
    HTTP ranges include their last byte (RFC 9110, 14.1.2); whoever parses them makes them half-open before this.
    """
    first, skip = divmod(start, PACKAGE_SIZE)
    end = ((stop - 1) // PACKAGE_SIZE + 1) * SEALED_PACKAGE
    return Span(first * SEALED_PACKAGE, end if size is None else min(end, sealed_size(size)), skip, first)


@dataclass(frozen=True, slots=True)
class PartSpan:
    """What to read of one part. Positions of `span` count from the part's own first sealed byte."""

    index: int  # in the list of sizes
    base: int  # sealed bytes of all parts before
    span: Span
    length: int  # plaintext bytes wanted of this part, after skip


def part_spans(sizes: Sequence[int], start: int, stop: int) -> list[PartSpan]:
    """Say which sealed bytes of which parts hold the plaintext bytes [start, stop) of parts of `sizes` bytes each."""
    spans: list[PartSpan] = []
    plain = base = 0
    for index, size in enumerate(sizes):
        first, last = max(start - plain, 0), min(stop - plain, size)
        if first < last:
            spans.append(PartSpan(index, base, package_span(first, last, size), last - first))
        plain += size
        base += sealed_size(size)
    return spans
