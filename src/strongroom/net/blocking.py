"""A blocking HTTP/1.1 client for command lines: one thread waits on one connection, and no event loop is imported.

Why beside the aiohttp client: a command lives for 50 ms, and importing aiohttp alone takes 150 of them; a transfer is
bytes through one socket, where `recv_into` and `SSLSocket.send` release the GIL (docs/decisions/mc-blocking-client.md).
Messages: RFC 9112. A response's body must be read to its end, or closed, before its connection serves again.
"""

import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from strongroom.errors import Incomplete, Malformed, TooLarge
from strongroom.messages import Buffer
from strongroom.net.dialling import Dialling, Origin, Unreachable, open_socket

HEAD_LIMIT = 256 * 1024  # bytes of a response head; S3 metadata is limited to a few KiB
WINDOW = 256 * 1024  # bytes asked from the socket at a time

Headers: TypeAlias = Sequence[tuple[str, str]]
Source: TypeAlias = Iterable[Buffer]


class Connection:
    """One socket with what has been read from it and not been used."""

    __slots__ = ("_buffer", "_how", "_socket", "used")

    def __init__(self, origin: Origin, how: Dialling) -> None:
        self._how = how
        self._socket = open_socket(origin, how)
        self._buffer = bytearray()
        self.used = False  # has it carried a whole exchange already?

    def close(self) -> None:
        """End the connection; what was under way is lost."""
        self._socket.close()

    def send(self, data: Buffer) -> None:
        """Send all of data; raise OSError when the peer has gone."""
        if self._how.up is None:
            self._socket.sendall(data)
            return
        view = memoryview(data)
        for at in range(0, len(view), 65536):
            self._how.up.pass_(len(view[at : at + 65536]))
            self._socket.sendall(view[at : at + 65536])

    def head(self) -> bytes:
        """Return a response head without its empty line; raise Unreachable when nothing at all came."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise TooLarge("the response head is too large")
            self._more("EOF" if not self._buffer else "unexpected EOF")
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return head

    def line(self) -> bytes:
        """Return one line of chunked framing, without its end."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > 8192:
                raise Malformed("a chunk's head is too long")
            self._more("unexpected EOF")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _more(self, at_end: str) -> None:
        data = self._socket.recv(WINDOW)
        if not data:
            raise Unreachable(at_end)
        self._buffer += data

    def into(self, view: memoryview) -> int:
        """Fill view with body bytes; return how many came: 0 at the end, else at least one."""
        if self._buffer:
            count = min(len(self._buffer), len(view))
            view[:count] = self._buffer[:count]
            del self._buffer[:count]
        else:
            count = self._socket.recv_into(view)
        if self._how.down is not None:
            self._how.down.pass_(count)
        return count


class Answer:
    """A response: status and headers at once, the body when it is asked for.

    headers  names in lower case; of a repeated one the values joined with ", "
    """

    def __init__(self, status: int, headers: dict[str, str], give_back: Callable[[bool], None], link: Connection,
                 method: str) -> None:  # fmt: skip
        self.status, self.headers = status, headers
        self._give_back, self._link = give_back, link
        self._chunked = headers.get("transfer-encoding", "").lower().endswith("chunked")
        length = headers.get("content-length")
        self._left: int | None = None if self._chunked or length is None else _length(length)
        self._chunk = 0
        self._keep = headers.get("connection", "").lower() != "close"
        self.done = False
        if method == "HEAD" or status in {204, 304} or self._left == 0:
            self._finish(self._keep)

    @property
    def length(self) -> int | None:
        """The body's bytes that are still to come; None when the peer did not say."""
        return 0 if self.done else self._left

    def _finish(self, keep: bool) -> None:
        if not self.done:
            self.done = True
            self._give_back(keep)

    def close(self) -> None:
        """Give the connection up (kept alive only if the body was read to its end)."""
        self._finish(False)

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_into(self, view: memoryview) -> int:
        """Fill view from its start until it is full or the body ends; return the number of bytes.

        Raises Incomplete when the peer leaves before the announced end.
        """
        filled = 0
        while filled < len(view) and not self.done:
            count = self._some(view[filled:])
            filled += count
        return filled

    def read_some(self, view: memoryview) -> int:
        """Fill view with what one read brings; return the number of bytes, 0 at the body's end (streams)."""
        return 0 if self.done else self._some(view)

    def _some(self, view: memoryview) -> int:
        try:
            if self._chunked:
                return self._some_chunked(view)
            limit = len(view) if self._left is None else min(len(view), self._left)
            count = self._link.into(view[:limit])
        except OSError as error:
            self._finish(False)
            raise Incomplete(f"the connection broke in the middle of the answer: {error}") from error
        if self._left is None:
            if count == 0:
                self._finish(False)
            return count
        if count == 0:
            self._finish(False)
            raise Incomplete(f"unexpected EOF: {self._left} bytes are missing")
        self._left -= count
        if self._left == 0:
            self._finish(self._keep)
        return count

    def _some_chunked(self, view: memoryview) -> int:
        if self._chunk == 0:
            size = self._link.line().split(b";")[0].strip()
            if not size or len(size) > 8:
                raise Malformed("a chunk's size is not a number")
            self._chunk = int(size, 16)
            if self._chunk == 0:
                while self._link.line():  # trailers: not used by any peer of ours
                    continue
                self._finish(self._keep)
                return 0
        count = self._link.into(view[: self._chunk])
        if count == 0:
            raise OSError("unexpected EOF")
        self._chunk -= count
        if self._chunk == 0:
            self._link.line()
        return count

    def read(self, limit: int = 64 * 1024 * 1024) -> bytes:
        """Return the whole body; raise TooLarge beyond limit bytes."""
        if self.done:
            return b""
        if self._left is not None:
            if self._left > limit:
                self.close()
                raise TooLarge(f"an answer of {self._left} bytes")
            data = bytearray(self._left)
            self.read_into(memoryview(data))
            return bytes(data)
        pieces: list[bytes] = []
        total = 0
        for piece in self.pieces(WINDOW):
            pieces.append(bytes(piece))
            total += len(piece)
            if total > limit:
                self.close()
                raise TooLarge(f"an answer of more than {limit} bytes")
        return b"".join(pieces)

    def pieces(self, size: int = WINDOW) -> Iterator[memoryview]:
        """Yield the body in pieces of up to size bytes; a piece's memory is reused for the next one."""
        view = memoryview(bytearray(size))
        while count := self.read_some(view):
            yield view[:count]


def _length(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise Malformed(f"Content-Length {text!r}")
    return int(text)


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return status and headers of a response head; raise Malformed."""
    lines = head.split(b"\r\n")
    start = lines[0].split(b" ", 2)
    if len(start) < 2 or not start[0].startswith(b"HTTP/1.") or not start[1].isdigit():
        raise Malformed(f"not an HTTP response: {head[:40]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise Malformed("a header without a colon")
        key, text = name.decode("latin-1").lower(), value.strip().decode("utf-8", "surrogateescape")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return int(start[1]), headers


class Pool:
    """Connections to one origin, kept alive and shared by threads."""

    def __init__(self, origin: Origin, how: Dialling | None = None) -> None:
        self.origin, self.how = origin, how or Dialling()
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _take(self, fresh: bool) -> Connection:
        if not fresh:
            with self._lock:
                if self._idle:
                    return self._idle.pop()
        return Connection(self.origin, self.how)

    def request(self, method: str, target: str, headers: Headers, body: Buffer | Callable[[], Source] = b"") -> Answer:
        """Send a request and return its answer, the body still to be read.

        body: bytes, or a function that starts the body anew (so that a connection which the server had closed while
        it was idle can be replaced). headers holds everything but Host; for bytes Content-Length may be left out.
        Raises Unreachable; Malformed when the peer does not speak HTTP/1.1.
        """
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.origin.authority}"]
        lines += [f"{name}: {value}" for name, value in headers]
        sized = any(name.lower() == "content-length" for name, _ in headers)
        if not callable(body) and not sized and (len(body) or method in {"PUT", "POST"}):
            lines.append(f"Content-Length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        for fresh in (False, True):
            link = self._take(fresh)
            try:
                return self._exchange(link, method, head, body)
            except (OSError, Unreachable) as error:
                link.close()
                if not link.used or fresh or isinstance(error, TimeoutError):
                    reason = error.reason if isinstance(error, Unreachable) else _words(error)
                    raise Unreachable(reason, address=self.origin.host) from error
            except BaseException:
                link.close()
                raise
        raise AssertionError("unreachable: the second round returns or raises")

    def _exchange(self, link: Connection, method: str, head: bytes, body: Buffer | Callable[[], Source]) -> Answer:
        try:
            if callable(body):
                link.send(head)
                for piece in body():
                    link.send(piece)
            else:
                link.send(head + body if len(body) <= 65536 else head)
                if len(body) > 65536:
                    link.send(body)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            if link.used:
                raise
            # A server may refuse early and close; its answer is worth more than our broken pipe.
        status, headers = parse_head(link.head())
        while 100 <= status < 200:
            status, headers = parse_head(link.head())

        def give_back(keep: bool) -> None:
            link.used = True
            if not keep:
                link.close()
                return
            with self._lock:
                self._idle.append(link)

        return Answer(status, headers, give_back, link, method)


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    return (error.strerror or str(error)).lower()
