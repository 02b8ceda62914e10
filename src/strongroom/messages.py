"""An HTTP request and response as values, between `net` (bytes) and the boxes (meaning).

msgspec structs: making one costs a tenth of making a frozen dataclass, and every request makes three.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

Buffer: TypeAlias = bytes | bytearray | memoryview
Sink: TypeAlias = Callable[[memoryview], None]
WINDOW = 1024 * 1024  # bytes: the most that a body hands over, or a response yields, at a time


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end of a connection.

    certificates: DER, the leaf first (the one whose key the handshake proved), then what else the peer presented.
    """

    address: str
    port: int
    tls: bool = False
    certificates: tuple[bytes, ...] = ()


class Request(msgspec.Struct):
    """A request head, as it came.

    method   upper-case verb, Vault's LIST and the like included
    target   the raw request target, undecoded (what a signature covers); path and query are its two halves
    headers  names in lower case; a repeated header's values joined with ", " (RFC 9110, 5.3); trailers never enter
    raw      every header as it came, in order: (name, value), for those who need the repetition or the case
    """

    method: str
    target: str
    path: str
    query: str
    headers: Mapping[str, str]
    raw: Sequence[tuple[bytes, bytes]]
    peer: Peer


class Body(Protocol):
    """A request's body. Reading it sends `100 Continue` when the client waits for one.

    Every method raises Incomplete when the peer leaves or stalls before the end, Malformed on broken chunks.
    """

    @property
    def length(self) -> int | None:
        """The declared Content-Length in bytes; 0 without a body; None when it comes in chunks."""

    @property
    def buffered(self) -> bytes | None:
        """The whole body when it has arrived already (small bodies, and no body: b""); else None."""

    async def read(self, limit: int) -> bytes:
        """Return the whole body; raise TooLarge when it has more than limit bytes."""

    async def feed(self, sink: Sink) -> None:
        """Give every byte to sink, in order, in windows of up to 1 MiB (WINDOW).

        sink is called in the event loop while the body is small and from a thread that owns the connection when it
        is large, never twice at a time; a window's memory is reused after sink returns. What sink raises ends the
        transfer and is raised here.
        """


class Windows(msgspec.Struct, frozen=True):
    """A response body of known length, made piece by piece: pieces are up to WINDOW bytes.

    A piece's memory may be reused as soon as the next one is asked for, so whoever sends takes a piece completely
    before it asks again. An exception in the middle cuts the connection: a broken transfer, not a short success.
    `source` is closed (if it has `close`) when the response ends in any way. May be consumed in a thread.
    """

    length: int
    source: Iterator[Buffer]


class Stream(msgspec.Struct, frozen=True):
    """A response body of unknown length, sent chunked, each piece flushed as it comes (event streams, logs)."""

    source: AsyncIterator[bytes]


class Response(msgspec.Struct, frozen=True):
    """An answer. `net` adds Date, Content-Length or Transfer-Encoding and Connection; never sends a body to HEAD.

    For HEAD give the body that GET would have (or `Windows(length, iter(()))`): its length is announced.
    `lines` are further header lines, each with its CRLF, for what differs in every answer: `headers` is rendered only
    once while it is the same tuple.
    `before` is called when the answer is about to leave, at the end of a turn of the event loop, and again for nothing
    if several answers share it. What it raises becomes the answer, and the connection ends.
    """

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Windows | Stream = b""
    close: bool = False  # end the connection after this answer
    after: Callable[[], None] | None = None  # called once the answer is sent or cut
    lines: bytes = b""
    before: Callable[[], None] | None = None


Handler: TypeAlias = Callable[[Request, Body], Response | Awaitable[Response]]
"""A box's entrance. Returning a Response directly (no await) is the fast path: no task is made for it."""
