"""Where a request's body ends: by its length or by chunks. Bytes in, views of the payload out; no sockets."""

import re
from collections.abc import Iterator

from ..errors import Malformed
from ..messages import Buffer

MAX_CHUNK_LINE = 256  # bytes: a size, its extensions and CRLF; botocore and Go send 20 at most
MAX_OVERHEAD = 16 * 1024  # bytes of chunk lines allowed at once, besides a quarter of the payload
MAX_TRAILERS = 16 * 1024  # bytes
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class ByLength:
    """A body of Content-Length bytes."""

    __slots__ = ("done", "remaining", "rest")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.done = length == 0
        self.rest = b""  # what followed the body's end, once done

    def receive(self, data: Buffer) -> Iterator[memoryview]:
        """Yield the payload in data, at most one view; what follows the end is kept in rest."""
        view = memoryview(data)
        if len(view) > self.remaining:
            self.rest = bytes(view[self.remaining :])
            view = view[: self.remaining]
        self.remaining -= len(view)
        self.done = self.remaining == 0
        if len(view):
            yield view

    def took(self, count: int) -> None:
        """Count bytes that a reader put in place itself; never more than remaining."""
        self.remaining -= count
        self.done = self.remaining == 0


class Chunked:
    """A body in chunks (RFC 9112, 7.1). Extensions are skipped, trailers checked and dropped.

    A bare LF, a size of more than 15 digits or white space before it are refused: proxies read them differently.
    """

    __slots__ = ("_line", "_overhead", "_state", "_trailers", "done", "payload", "remaining", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.payload = 0  # bytes yielded so far
        self.remaining = 0  # bytes of the current chunk still to come
        self._line = b""  # the part of a line that has arrived
        self._overhead = 0
        self._trailers = 0
        self._state = "size"  # size, data, end, trailer

    def receive(self, data: Buffer) -> Iterator[memoryview]:
        """Yield views of the payload in data; what follows the end is kept in rest. Raises Malformed."""
        view = memoryview(data)
        at, size = 0, len(view)
        while at < size and not self.done:
            if self._state == "data":
                take = min(self.remaining, size - at)
                self.remaining -= take
                self.payload += take
                yield view[at : at + take]
                at += take
                if not self.remaining:
                    self._state = "end"
            else:
                at += self._take_line(view[at:])
        if self.done and at < size:
            self.rest = bytes(view[at:])

    def _take_line(self, view: memoryview) -> int:
        limit = MAX_TRAILERS if self._state == "trailer" else MAX_CHUNK_LINE
        piece = bytes(view[:limit])
        end = piece.find(b"\n") + 1
        if end:
            piece = piece[:end]
        self._line += piece
        if len(self._line) > limit or (not end and len(self._line) == limit):
            raise Malformed("chunked body: a line is too long")
        if end:
            line, self._line = self._line, b""
            if not line.endswith(b"\r\n"):
                raise Malformed("chunked body: a line without CRLF")
            self._read_line(line[:-2])
        return len(piece)

    def _read_line(self, line: bytes) -> None:
        if self._state == "end":
            if line:
                raise Malformed("chunked body: a chunk is longer than its size")
            self._state = "size"
        elif self._state == "size":
            self._read_size(line)
        elif not line:
            self.done = True
        else:
            self._trailers += len(line) + 2
            if self._trailers > MAX_TRAILERS or not _TRAILER.fullmatch(line):
                raise Malformed("chunked body: malformed or too many trailers")

    def _read_size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise Malformed("chunked body: malformed chunk size")
        self._overhead += len(line) - len(match[1])
        if self._overhead > MAX_OVERHEAD + self.payload // 4:
            raise Malformed("chunked body: too many chunk extensions")
        self.remaining = int(match[1], 16)
        self._state = "data" if self.remaining else "trailer"


Framing = ByLength | Chunked
