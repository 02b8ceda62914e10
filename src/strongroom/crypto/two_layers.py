"""A second, independent layer around a sealed stream: AES-256 in counter mode over what DARE has sealed (DSSE).

The payload and tag of every package are encrypted once more, under a key of their own; headers, which are public, stay.
Lengths and places are those of the inner stream, so ranges are read as ever. What authenticates is the inner layer: a
changed byte of the outer one is a changed byte of a package. Each package has its own start of the counter: the
stream's random nonce, as the inner layer uses it, so a part that is sent again never meets the same key stream.
Format: docs/formats/sealed-keys.md, "Two layers".
"""

import struct

from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from strongroom.crypto.aead import TAG_SIZE
from strongroom.crypto.dare import HEADER_SIZE, StreamOpener, StreamSealer
from strongroom.crypto.secret import Buffer

_FINAL = 0x80
_SLACK = 15  # bytes that update_into wants behind what it writes
_LENGTH = struct.Struct("<2xH")
_LOW = struct.Struct("<I")


class OuterLayer:
    """Puts the layer on, or takes it off: the same step both ways, on pieces of any size.

    first_package: number of the package with which the pieces begin.
    """

    def __init__(self, key: Buffer, first_package: int = 0) -> None:
        self._algorithm = AES256(bytes(key))
        self._package = first_package
        self._head = b""
        self._left = 0  # bytes of the current package still to come
        self._stream: CipherContext | None = None
        self._buffer = memoryview(b"")

    def apply(self, data: Buffer) -> memoryview:
        """Return the next piece with the layer on, or off; it is as long as data, and its memory is used again."""
        view = memoryview(data)
        if len(self._buffer) < len(view) + _SLACK:
            self._buffer = memoryview(bytearray(len(view) + _SLACK))
        out, at = self._buffer, 0
        while at < len(view):
            if self._stream is None:
                taken = view[at : at + HEADER_SIZE - len(self._head)]
                out[at : at + len(taken)] = taken
                self._head += taken
                at += len(taken)
                if len(self._head) == HEADER_SIZE:
                    self._begin()
            else:
                piece = view[at : at + self._left]
                self._stream.update_into(piece, out[at:])
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._stream, self._head = None, b""
        return out[: len(view)]

    def _begin(self) -> None:
        """Start a package: twelve bytes of nonce with the package's number in it, four that count blocks."""
        head = self._head
        low = _LOW.unpack_from(head, 12)[0] ^ (self._package & 0xFFFFFFFF)
        start = bytes([head[4] & ~_FINAL]) + head[5:12] + _LOW.pack(low) + bytes(4)
        self._stream = BlockCipher(self._algorithm, CTR(start)).encryptor()
        self._left = _LENGTH.unpack_from(head)[0] + 1 + TAG_SIZE
        self._package += 1


class TwoLayerSealer(StreamSealer):
    """A StreamSealer whose packages come out with the outer layer on."""

    def __init__(self, key: Buffer, outer: Buffer, *, size: int | None = None) -> None:
        super().__init__(key, size=size)
        self._outer = OuterLayer(outer)

    def feed(self, data: Buffer) -> memoryview:
        """Take plaintext; return the packages that are certain now."""
        return self._outer.apply(super().feed(data))

    def finish(self) -> memoryview:
        """Return what is still missing of the stream."""
        return self._outer.apply(super().finish())


class TwoLayerOpener(StreamOpener):
    """A StreamOpener that takes the outer layer off first."""

    def __init__(
        self,
        key: Buffer,
        outer: Buffer,
        first_package: int = 0,
        total_packages: int | None = None,
        *,
        partial: bool = False,
        buffer: memoryview | None = None,
    ) -> None:
        super().__init__(key, first_package, total_packages, partial=partial, buffer=buffer)
        self._outer = OuterLayer(outer, first_package)

    def feed(self, data: Buffer) -> memoryview:
        """Take sealed bytes; return the plaintext of the packages that are complete now."""
        return super().feed(self._outer.apply(data))
