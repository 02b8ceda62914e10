"""Sealed packages to plaintext; every error is Tampered."""

from cryptography.exceptions import InvalidTag

from strongroom.crypto.aead import Aead, Cipher, aead, checked_open
from strongroom.crypto.dare.headers import FINAL, LOW, START, VERSION_1, VERSION_2
from strongroom.crypto.dare.sizes import HEADER_SIZE, OVERHEAD, PACKAGE_SIZE, SEALED_PACKAGE
from strongroom.crypto.secret import Buffer
from strongroom.errors import Tampered

_CIPHERS = {int(cipher): cipher for cipher in Cipher}


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
        version, cipher, length = START.unpack_from(header)
        if not self._version:
            self._begin(version, cipher, header)
        if version != self._version or cipher != self._cipher:
            raise Tampered("another version or cipher in the middle of the stream")
        if version == VERSION_1:
            if LOW.unpack_from(header, 4)[0] != self._counter:
                raise Tampered("a package out of its turn")
            return int(length) + 1
        final = bool(header[4] & FINAL)
        if not final and length + 1 != PACKAGE_SIZE:
            raise Tampered("a short package before the last")
        if bytes([header[4] & ~FINAL]) + header[5:] != self._nonce:
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
        self._nonce = bytes([header[4] & ~FINAL]) + header[5:]
        self._low = LOW.unpack_from(header, 12)[0]
        if version == VERSION_2:
            self._full = START.pack(version, cipher, PACKAGE_SIZE - 1) + self._nonce

    def _open_full(self, view: memoryview, at: int, out: memoryview, place: int) -> tuple[int, int]:
        """Open what comes of full packages before the last, the quick way; return the places behind them."""
        count = (len(view) - at) // SEALED_PACKAGE if self._full and not self._ended else 0
        if self._total is not None:
            count = min(count, self._total - 1 - self._counter)
        if count < 1:
            return at, place
        assert self._aead is not None
        decrypt_into, pack, full, low = self._aead.decrypt_into, LOW.pack, self._full, self._low
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
        nonce = header[4:12] + LOW.pack(self._low ^ self._counter) if self._version == VERSION_2 else header[4:]
        room = out[place : place + len(package) - OVERHEAD]
        assert self._aead is not None
        try:
            self._aead.decrypt_into(nonce, package[HEADER_SIZE:], header[:4], room)
        except InvalidTag as error:
            raise _unverified(out) from error
        self._counter += 1
        self._ended = self._version == VERSION_2 and bool(header[4] & FINAL)
        return place + len(room)

    def _room(self, size: int) -> memoryview:
        if len(self._buffer) < size:
            self._buffer = memoryview(bytearray(size))
        return self._buffer[:size]


def open_small(key: Buffer, sealed: Buffer, ready: Aead | None = None) -> bytes:
    """Return the plaintext of a whole stream at once; raise Tampered when it does not open.

    ready: the AES-256-GCM of this key, if it is at hand.
    """
    size = len(sealed)
    if OVERHEAD < size <= SEALED_PACKAGE:  # one package of 2.0, checked in one glance; all else goes the long way
        header = bytes(sealed[:HEADER_SIZE])
        version, cipher, length = START.unpack_from(header)
        if version == VERSION_2 and header[4] & FINAL and length + 1 + OVERHEAD == size and cipher in _CIPHERS:
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
