"""The sealed stream: DARE 2.0, and 1.0 for reading. Format: docs/formats/dare.md (sse.md 2).

A stream is a row of packages of 64 KiB, each sealed on its own, so that a range can be opened without the rest.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from strongroom.crypto.aead import NONCE_SIZE, TAG_SIZE, Aead, Cipher, aead, checked_open
from strongroom.crypto.secret import Buffer
from strongroom.errors import Incomplete, Malformed, Tampered, TooLarge

PACKAGE_SIZE = 64 * 1024  # bytes of plaintext in a package; only the last holds fewer
HEADER_SIZE = 16  # bytes
OVERHEAD = HEADER_SIZE + TAG_SIZE  # bytes that a package adds
SEALED_PACKAGE = PACKAGE_SIZE + OVERHEAD
MAX_SIZE = 2**48  # bytes of plaintext in a stream: 2**32 packages, as the counter has 32 bits
VERSION_1, VERSION_2 = 0x10, 0x20
_CIPHERS = {int(cipher): cipher for cipher in Cipher}
_FINAL = 0x80  # in the first byte of the nonce
_LOW = struct.Struct("<I")
_START = struct.Struct("<BBH")


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
        self._base = bytes([nonce[0] & ~_FINAL]) + nonce[1:]
        self._low: int = _LOW.unpack_from(nonce, 8)[0]
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
        nonce = header[4:12] + _LOW.pack(self._low ^ self._counter)
        start = place + HEADER_SIZE
        end = start + len(chunk) + TAG_SIZE
        out[place:start] = header
        self._aead.encrypt_into(nonce, chunk, header[:4], out[start:end])
        self._counter += 1
        return end

    def _seal_full(self, view: memoryview, at: int, out: memoryview, place: int, count: int) -> tuple[int, int]:
        """Seal so many full packages, none of them the last; return the places behind them."""
        encrypt_into, pack, full, low = self._aead.encrypt_into, _LOW.pack, self._full, self._low
        known, base = full[:4], full[4:12]
        for counter in range(self._counter, self._counter + count):
            stop, body, end = at + PACKAGE_SIZE, place + HEADER_SIZE, place + SEALED_PACKAGE
            out[place:body] = full
            encrypt_into(base + pack(low ^ counter), view[at:stop], known, out[body:end])
            at, place = stop, end
        self._counter += count
        return at, place

    def _header(self, length: int, final: bool) -> bytes:
        first = self._base[0] | (_FINAL if final else 0)
        return _START.pack(VERSION_2, self._cipher, length - 1) + bytes([first]) + self._base[1:]

    def _room(self, size: int) -> memoryview:
        if len(self._buffer) < size:
            self._buffer = memoryview(bytearray(size))
        return self._buffer[:size]


class StreamOpener:
    """Sealed packages in, plaintext out, in windows of any size; every error is Tampered.

    first_package   number of the first package that will come (a range read begins in the middle)
    total_packages  of the whole stream, when known: FINAL must then be on the last and nowhere else
    partial         the end of the stream need not come
    buffer          memory for the plaintext of a window, if the caller keeps some

    `feed` returns nothing of a window in which any package fails, and its memory is used again by the next call.
    """

    def __init__(
        self,
        key: Buffer,
        first_package: int = 0,
        total_packages: int | None = None,
        *,
        partial: bool = False,
        buffer: memoryview | None = None,
    ) -> None:
        self._key: Buffer | None = key  # until the first header names the cipher
        self._counter = first_package
        self._total = total_packages
        self._partial = partial
        self._pending = bytearray()  # a package of which the end has not come
        self._buffer = memoryview(b"") if buffer is None else buffer
        self._ended = False
        self._full = b""  # the header of every package but the last, once known
        self._version = self._cipher = self._low = 0
        self._nonce = b""
        self._aead: Aead | None = None

    def feed(self, data: Buffer) -> memoryview:
        """Take sealed bytes; return the plaintext of the packages that are complete now."""
        view = memoryview(data)
        out = self._room(len(self._pending) + len(view))
        place = at = 0
        while self._pending and at < len(view):
            at = self._gather(view, at)
            if len(self._pending) > HEADER_SIZE and len(self._pending) == self._needed():
                place = self._open(memoryview(bytes(self._pending)), out, place)
                self._pending.clear()
        while len(view) - at > HEADER_SIZE:
            at, place = self._open_full(view, at, out, place)
            if len(view) - at <= HEADER_SIZE:
                break
            length = self._check(bytes(view[at : at + HEADER_SIZE])) + OVERHEAD
            if len(view) - at < length:
                break
            place = self._open(view[at : at + length], out, place)
            at += length
        if at < len(view):
            self._refuse_more()
            self._pending += view[at:]
        return out[:place]

    def finish(self) -> None:
        """Raise Tampered if the stream stops in a package or, unless partial, before its end."""
        if self._pending:
            raise Tampered("the stream stops inside a package")
        if self._partial or self._ended:
            return
        if self._version == VERSION_1 and self._total in (None, self._counter):
            return  # 1.0 marks no end
        if self._counter or self._total:
            raise Tampered("the stream stops before its last package")

    def _gather(self, view: memoryview, at: int) -> int:
        """Move bytes behind the pending ones: up to a header, then up to the package's end."""
        stop = at + self._needed() - len(self._pending)
        self._pending += view[at:stop]
        return min(stop, len(view))

    def _needed(self) -> int:
        if len(self._pending) < HEADER_SIZE:
            return HEADER_SIZE
        return self._check(bytes(self._pending[:HEADER_SIZE])) + OVERHEAD

    def _refuse_more(self) -> None:
        if self._ended or (self._total is not None and self._counter >= self._total):
            raise Tampered("bytes behind the last package")

    def _check(self, header: bytes) -> int:
        """Return the payload's length that a header announces; the order of the checks is that of sse.md 2.1."""
        self._refuse_more()
        if header == self._full and not self._is_last():
            return PACKAGE_SIZE
        version, cipher, length = _START.unpack_from(header)
        if not self._version:
            self._begin(version, cipher, header)
        if version != self._version or cipher != self._cipher:
            raise Tampered("another version or cipher in the middle of the stream")
        if version == VERSION_1:
            if _LOW.unpack_from(header, 4)[0] != self._counter:
                raise Tampered("a package out of its turn")
            return int(length) + 1
        final = bool(header[4] & _FINAL)
        if not final and length + 1 != PACKAGE_SIZE:
            raise Tampered("a short package before the last")
        if bytes([header[4] & ~_FINAL]) + header[5:] != self._nonce:
            raise Tampered("a package of another stream")
        if self._total is not None and final != self._is_last():
            raise Tampered("the last package is not where it belongs")
        return int(length) + 1

    def _is_last(self) -> bool:
        return self._total is not None and self._counter == self._total - 1

    def _begin(self, version: int, cipher: int, header: bytes) -> None:
        if version not in (VERSION_1, VERSION_2):
            raise Tampered("no sealed stream of a known version")
        if cipher not in _CIPHERS:
            raise Tampered("an unknown cipher")
        assert self._key is not None
        self._aead, self._key = aead(self._key, _CIPHERS[cipher]), None
        self._version, self._cipher = version, cipher
        self._nonce = bytes([header[4] & ~_FINAL]) + header[5:]
        self._low = _LOW.unpack_from(header, 12)[0]
        if version == VERSION_2:
            self._full = _START.pack(version, cipher, PACKAGE_SIZE - 1) + self._nonce

    def _open_full(self, view: memoryview, at: int, out: memoryview, place: int) -> tuple[int, int]:
        """Open what comes of full packages before the last, the quick way; return the places behind them."""
        count = (len(view) - at) // SEALED_PACKAGE if self._full and not self._ended else 0
        if self._total is not None:
            count = min(count, self._total - 1 - self._counter)
        if count < 1:
            return at, place
        assert self._aead is not None
        decrypt_into, pack, full, low = self._aead.decrypt_into, _LOW.pack, self._full, self._low
        known, base = full[:4], full[4:12]
        for counter in range(self._counter, self._counter + count):
            body, end, stop = at + HEADER_SIZE, at + SEALED_PACKAGE, place + PACKAGE_SIZE
            if view[at:body] != full:
                break
            try:
                decrypt_into(base + pack(low ^ counter), view[body:end], known, out[place:stop])
            except InvalidTag as error:
                raise _unverified(out) from error
            at, place, self._counter = end, stop, counter + 1
        return at, place

    def _open(self, package: memoryview, out: memoryview, place: int) -> int:
        """Open one package whose header was checked into out at place; return the place behind it."""
        header = bytes(package[:HEADER_SIZE])
        nonce = header[4:12] + _LOW.pack(self._low ^ self._counter) if self._version == VERSION_2 else header[4:]
        room = out[place : place + len(package) - OVERHEAD]
        assert self._aead is not None
        try:
            self._aead.decrypt_into(nonce, package[HEADER_SIZE:], header[:4], room)
        except InvalidTag as error:
            raise _unverified(out) from error
        self._counter += 1
        self._ended = self._version == VERSION_2 and bool(header[4] & _FINAL)
        return place + len(room)

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
    nonce = bytes([nonce[0] | _FINAL]) + nonce[1:]
    start = _START.pack(VERSION_2, cipher, size - 1)
    return start + nonce + aead(key, cipher).encrypt(nonce, plaintext, start)


def open_small(key: Buffer, sealed: Buffer, ready: Aead | None = None) -> bytes:
    """Return the plaintext of a whole stream at once; raise Tampered when it does not open.

    ready: the AES-256-GCM of this key, if it is at hand.
    """
    size = len(sealed)
    if OVERHEAD < size <= SEALED_PACKAGE:  # one package of 2.0, checked in one glance; all else goes the long way
        header = bytes(sealed[:HEADER_SIZE])
        version, cipher, length = _START.unpack_from(header)
        if version == VERSION_2 and header[4] & _FINAL and length + 1 + OVERHEAD == size and cipher in _CIPHERS:
            opened_with = ready if ready is not None and cipher == Cipher.AES_256_GCM else aead(key, _CIPHERS[cipher])
            return checked_open(opened_with, header[4:], sealed[HEADER_SIZE:], header[:4])
    opener = StreamOpener(key)
    plaintext = bytes(opener.feed(sealed))
    opener.finish()
    return plaintext


def _unverified(out: memoryview) -> Tampered:
    """Overwrite what the library has written although it could not verify it; return the error to raise."""
    out[:] = bytes(len(out))
    return Tampered("a package does not verify")
