"""Plaintext to sealed packages."""

import os

from strongroom.crypto.aead import NONCE_SIZE, TAG_SIZE, Aead, Cipher, aead
from strongroom.crypto.dare.headers import FINAL, LOW, START, VERSION_2
from strongroom.crypto.dare.sizes import (
    HEADER_SIZE,
    MAX_SIZE,
    OVERHEAD,
    PACKAGE_SIZE,
    SEALED_PACKAGE,
    package_count,
)
from strongroom.crypto.secret import Buffer
from strongroom.errors import Incomplete, Malformed, TooLarge


class StreamSealer:
    """Plaintext in, sealed packages out, in windows of any size; made for 1 MiB.

    The memory that `feed` and `finish` return is used again by the next call. `size`, when the length is known
    before, saves holding back the last package until it is certain to be the last; `feed` then raises Malformed on
    the first byte beyond it and `finish` raises Incomplete before it is reached.
    """

    def __init__(self, key: Buffer, cipher: Cipher = Cipher.AES_256_GCM, *, size: int | None = None) -> None:
        self._aead: Aead = aead(key, cipher)
        self._cipher = cipher
        self._size = size
        nonce = os.urandom(NONCE_SIZE)
        self._base = bytes([nonce[0] & ~FINAL]) + nonce[1:]
        self._low: int = LOW.unpack_from(nonce, 8)[0]
        self._full = self._header(PACKAGE_SIZE, False)
        self._counter = self._fed = self._held = 0
        self._pending = memoryview(b"")  # PACKAGE_SIZE bytes, of which _held are taken, once one must wait
        self._buffer = memoryview(b"")

    def feed(self, data: Buffer) -> memoryview:
        """Take plaintext; return the packages that are certain now, often none."""
        view = memoryview(data)
        waiting = self._held + len(view)
        self._fed += len(view)
        if self._size is None:
            if self._fed > MAX_SIZE:
                raise TooLarge("a sealed stream ends at 256 TiB")
            return self._emit(view, max(waiting - 1, 0) // PACKAGE_SIZE, last=False)
        if self._fed > self._size:
            raise Malformed(f"more than the announced {self._size} bytes")
        last = self._fed == self._size
        return self._emit(view, package_count(waiting) if last else waiting // PACKAGE_SIZE, last)

    def finish(self) -> memoryview:
        """Return what is still missing of the stream. Raise Incomplete when fewer than `size` bytes came."""
        if self._size is None:
            return self._emit(memoryview(b""), 1 if self._held else 0, last=True)
        if self._fed != self._size:
            raise Incomplete(f"{self._fed} of {self._size} bytes")
        return memoryview(b"")

    def _emit(self, view: memoryview, packages: int, last: bool) -> memoryview:
        """Seal so many packages out of what is held and `view`; hold the rest."""
        size = min(packages * PACKAGE_SIZE, self._held + len(view))
        out = self._room(size + packages * OVERHEAD)
        place = at = 0
        if self._held and packages:
            at = self._hold(view[: PACKAGE_SIZE - self._held])
            chunk, self._held = self._pending[: self._held], 0
            packages -= 1
            place = self._seal(chunk, out, place, last and not packages)
        final = last and packages > 0
        at, place = self._seal_full(view, at, out, place, packages - final)
        if final:
            self._seal(view[at:], out, place, final)
        elif at < len(view):
            self._hold(view[at:])
        return out

    def _hold(self, data: memoryview) -> int:
        if not self._pending:
            self._pending = memoryview(bytearray(PACKAGE_SIZE))
        self._pending[self._held : self._held + len(data)] = data
        self._held += len(data)
        return len(data)

    def _seal(self, chunk: memoryview, out: memoryview, place: int, final: bool) -> int:
        header = self._header(len(chunk), True) if final else self._full
        nonce = header[4:12] + LOW.pack(self._low ^ self._counter)
        start = place + HEADER_SIZE
        end = start + len(chunk) + TAG_SIZE
        out[place:start] = header
        self._aead.encrypt_into(nonce, chunk, header[:4], out[start:end])
        self._counter += 1
        return end

    def _seal_full(self, view: memoryview, at: int, out: memoryview, place: int, count: int) -> tuple[int, int]:
        """Seal so many full packages, none of them the last; return the places behind them."""
        encrypt_into, pack, full, low = self._aead.encrypt_into, LOW.pack, self._full, self._low
        known, base = full[:4], full[4:12]
        for counter in range(self._counter, self._counter + count):
            stop, body, end = at + PACKAGE_SIZE, place + HEADER_SIZE, place + SEALED_PACKAGE
            out[place:body] = full
            encrypt_into(base + pack(low ^ counter), view[at:stop], known, out[body:end])
            at, place = stop, end
        self._counter += count
        return at, place

    def _header(self, length: int, final: bool) -> bytes:
        first = self._base[0] | (FINAL if final else 0)
        return START.pack(VERSION_2, self._cipher, length - 1) + bytes([first]) + self._base[1:]

    def _room(self, size: int) -> memoryview:
        if len(self._buffer) < size:
            self._buffer = memoryview(bytearray(size))
        return self._buffer[:size]


def seal_small(key: Buffer, plaintext: Buffer, cipher: Cipher = Cipher.AES_256_GCM) -> bytes:
    """Return a whole stream at once: keys, ETags, small objects."""
    size = len(plaintext)
    if size == 0:
        return b""
    if size > PACKAGE_SIZE:
        return bytes(StreamSealer(key, cipher, size=size).feed(plaintext))
    nonce = os.urandom(NONCE_SIZE)
    nonce = bytes([nonce[0] | FINAL]) + nonce[1:]
    start = START.pack(VERSION_2, cipher, size - 1)
    return start + nonce + aead(key, cipher).encrypt(nonce, plaintext, start)
