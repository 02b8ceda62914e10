"""Bodies of uploads: where the bytes come from, and the aws-chunked forms they travel in (s3.md 3.3)."""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from strongroom.messages import WINDOW, Buffer
from strongroom.s3.wire import sigv4

CHUNK = 64 * 1024  # bytes of an aws-chunk, as minio-go sends them
Progress = Callable[[int], None]


class Content(Protocol):
    """Bytes that can be sent, and sent again when a try fails."""

    @property
    def length(self) -> int:
        """The number of bytes."""

    def start(self) -> Iterator[Buffer]:
        """Yield the bytes from the first on; a piece's memory may be reused for the next one."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Content in memory."""

    data: Buffer

    @property
    def length(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def start(self) -> Iterator[Buffer]:
        """Yield all of it."""
        if len(self.data):
            yield self.data


@dataclass(frozen=True, slots=True)
class FilePart:
    """`length` bytes of a file from `offset` on. Reading raises EOFError when the file became shorter."""

    path: Path
    offset: int
    length: int

    def start(self) -> Iterator[Buffer]:
        """Read through a buffer of up to 1 MiB."""
        if self.length == 0:
            return
        view = memoryview(bytearray(min(WINDOW, self.length)))
        left = self.length
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self.offset)
            while left:
                count = file.readinto(view[: min(left, len(view))])
                if not count:
                    raise EOFError(f"`{self.path}` became shorter while it was read")
                left -= count
                yield view[:count]


class Counted:
    """Content that reports each piece after it has been taken; a new start takes back what an earlier one reported."""

    def __init__(self, content: Content, report: Progress) -> None:
        self._content, self._report, self._sent = content, report, 0

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self._content.length

    def start(self) -> Iterator[Buffer]:
        """Yield the content's pieces."""
        if self._sent:
            self._report(-self._sent)
            self._sent = 0
        for piece in self._content.start():
            yield piece
            self._sent += len(piece)
            self._report(len(piece))


class Hash(Protocol):
    """What a checksum has to offer; hashlib's objects have it."""

    def update(self, data: Buffer, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Return the value, big-endian."""


class _Crc:
    """A checksum made of a function crc(data, previous) of so many bytes."""

    def __init__(self, function: Callable[[Buffer, int], int], size: int) -> None:
        self._function, self._size, self._value = function, size, 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _crt(name: str) -> Callable[[Buffer, int], int]:
    from awscrt import checksums  # 20 ms: only who asks for these two pays

    function = getattr(checksums, name)
    return lambda data, previous: int(function(bytes(data), previous))


CHECKSUMS: dict[str, Callable[[], Hash]] = {
    "CRC32": lambda: _Crc(zlib.crc32, 4),
    "CRC32C": lambda: _Crc(_crt("crc32c"), 4),
    "CRC64NVME": lambda: _Crc(_crt("crc64nvme"), 8),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
}


def checksum(name: str, content: Content) -> bytes:
    """Return a checksum of the whole content; name is one of CHECKSUMS or MD5."""
    state: Hash = hashlib.md5(usedforsecurity=False) if name == "MD5" else CHECKSUMS[name]()
    for piece in content.start():
        state.update(piece)
    return state.digest()


def base64(data: bytes) -> str:
    """Return data in base64 as header text."""
    return b64encode(data).decode()


def _framed(length: int, head: int) -> int:
    """Return the bytes of aws-chunks holding length bytes; head is what a chunk's line adds to its hex digits."""
    full, rest = divmod(length, CHUNK)
    size = full * (len(f"{CHUNK:x}") + head + CHUNK + 2)
    return size + (len(f"{rest:x}") + head + rest + 2 if rest else 0)


def signed_length(length: int) -> int:
    """Return the size of a signed aws-chunked body: `HEX;chunk-signature=64hex`, and the empty last chunk."""
    return _framed(length, 81 + 2) + 1 + 81 + 2 + 2


def trailer_length(length: int, name: str, size: int) -> int:
    """Return the size of an unsigned aws-chunked body whose trailer holds size base64 characters."""
    return _framed(length, 2) + 3 + len(name) + 1 + size + 2 + 2


def _chunks(content: Content) -> Iterator[memoryview]:
    """Cut content into pieces of exactly CHUNK bytes; only the last may be shorter."""
    held = bytearray()
    for piece in content.start():
        view = memoryview(piece)
        if held:
            need = CHUNK - len(held)
            held += view[:need]
            view = view[need:]
            if len(held) == CHUNK:
                yield memoryview(bytes(held))
                held.clear()
        whole = len(view) - len(view) % CHUNK
        for at in range(0, whole, CHUNK):
            yield view[at : at + CHUNK]
        held += view[whole:]
    if held:
        yield memoryview(bytes(held))


@dataclass(frozen=True, slots=True)
class Seal:
    """What signing chunks needs: the day's key, the date, the scope and the request's own signature."""

    key: bytes
    amz_date: str
    scope: str
    seed: str


def signed(content: Content, seal: Seal) -> Iterator[Buffer]:
    """Yield the STREAMING-AWS4-HMAC-SHA256-PAYLOAD form of content."""
    previous = seal.seed

    def sign(data: Buffer) -> str:
        digest = hashlib.sha256(data).hexdigest()
        return sigv4.signature(seal.key, sigv4.chunk_string(seal.amz_date, seal.scope, previous, digest))

    for chunk in _chunks(content):
        previous = sign(chunk)
        yield b"".join((f"{len(chunk):x};chunk-signature={previous}\r\n".encode(), chunk, b"\r\n"))
    yield f"0;chunk-signature={sign(b'')}\r\n\r\n".encode()


def with_trailer(content: Content, header: str, state: Hash) -> Iterator[Buffer]:
    """Yield the STREAMING-UNSIGNED-PAYLOAD-TRAILER form; the trailer is the checksum in state, updated here."""
    for chunk in _chunks(content):
        state.update(chunk)
        yield b"".join((f"{len(chunk):x}\r\n".encode(), chunk, b"\r\n"))
    yield f"0\r\n{header}:{base64(state.digest())}\r\n\r\n".encode()
