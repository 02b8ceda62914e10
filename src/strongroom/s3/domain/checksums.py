"""The additional checksums of S3: running ones, composites of parts, combined full-object CRCs (s3.md 4.4)."""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from awscrt import checksums as crt

COMPOSITE = "COMPOSITE"
FULL_OBJECT = "FULL_OBJECT"


class Running(Protocol):
    """A checksum being computed."""

    def update(self, data: Any, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Return the value of all bytes so far, big-endian."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A checksum algorithm. types: what a multipart object may use, the default first."""

    name: str
    size: int  # bytes of a value
    start: Callable[[], Running]
    types: tuple[str, ...]
    combine: Callable[[int, int, int], int] | None = None  # (first, second, length of second in bytes)

    @property
    def header(self) -> str:
        """The header and trailer that carry a value."""
        return f"x-amz-checksum-{self.name.lower()}"


class _Crc:
    __slots__ = ("_function", "_size", "_value")

    def __init__(self, function: Callable[[Any, int], int], size: int) -> None:
        self._function, self._size, self._value = function, size, 0

    def update(self, data: Any, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _sha1() -> Running:
    return hashlib.sha1(usedforsecurity=False)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("CRC32", 4, lambda: _Crc(zlib.crc32, 4), (COMPOSITE, FULL_OBJECT), crt.combine_crc32),
        Kind("CRC32C", 4, lambda: _Crc(crt.crc32c, 4), (COMPOSITE, FULL_OBJECT), crt.combine_crc32c),
        Kind("CRC64NVME", 8, lambda: _Crc(crt.crc64nvme, 8), (FULL_OBJECT,), crt.combine_crc64nvme),
        Kind("SHA1", 20, _sha1, (COMPOSITE,)),
        Kind("SHA256", 32, hashlib.sha256, (COMPOSITE,)),
    )
}
BY_HEADER = {kind.header: kind for kind in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Checksum:
    """A stored checksum. parts: how many part values a composite covers (0: of the whole object)."""

    kind: str
    value: bytes
    type: str = FULL_OBJECT
    parts: int = 0


def composite(kind: Kind, values: Sequence[bytes]) -> Checksum:
    """Return the checksum of the concatenated part values."""
    running = kind.start()
    running.update(b"".join(values))
    return Checksum(kind.name, running.digest(), COMPOSITE, len(values))


def combined(kind: Kind, parts: Sequence[tuple[bytes, int]]) -> Checksum:
    """Return the full-object CRC from the parts' values and their sizes in bytes."""
    if kind.combine is None:
        raise ValueError(f"{kind.name} cannot be combined")
    value = 0
    for part, size in parts:
        value = kind.combine(value, int.from_bytes(part, "big"), size)
    return Checksum(kind.name, value.to_bytes(kind.size, "big"), FULL_OBJECT)
