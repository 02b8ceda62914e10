"""The two kinds of request body: one that has arrived, and one that is still coming."""

from collections.abc import Callable
from typing import Protocol

from ..errors import Incomplete, TooLarge
from ..messages import Sink
from .framing import ByLength, Framing
from .transfer import Outcome

HANDOVER = 256 * 1024  # bytes still to come, or already taken in the event loop, that make a thread worth it


class Buffered:
    """A body that has arrived as a whole. length is None when it came in chunks."""

    __slots__ = ("buffered", "length")
    done = True

    def __init__(self, data: bytes, length: int | None) -> None:
        self.buffered: bytes | None = data
        self.length = length

    async def read(self, limit: int) -> bytes:
        data = self.buffered or b""
        if len(data) > limit:
            raise TooLarge(f"a body of {len(data)} bytes where {limit} are allowed")
        return data

    async def feed(self, sink: Sink) -> None:
        if self.buffered:
            sink(memoryview(self.buffered))


EMPTY = Buffered(b"", 0)


class Source(Protocol):
    """What a coming body needs of its connection."""

    def take(self) -> bytes:
        """Return what has arrived and was not taken yet, maybe b""."""

    def put_back(self, data: bytes) -> None:
        """Return what was taken too much: the next request."""

    async def more(self, taken: int) -> None:
        """Return when something has arrived; raise Incomplete when nothing will. taken: bytes of body so far."""

    async def lend(self, framing: Framing, sink: Sink) -> Outcome | None:
        """Let a thread own the socket for the body; None when there is no thread free."""

    def go_on(self) -> None:
        """Send 100 Continue."""


class Incoming:
    """A body that is still coming: read in the event loop while small, by a thread when large."""

    __slots__ = ("_expect", "_framing", "_in_loop", "_inlet", "_taken", "length")
    buffered: bytes | None = None

    def __init__(self, inlet: Source, framing: Framing, length: int | None, *, expect: bool) -> None:
        self.length = length
        self._inlet = inlet
        self._framing = framing
        self._expect = expect
        self._taken = 0  # bytes of payload read so far
        self._in_loop = 0  # bytes taken in the event loop since a thread last gave the connection back

    @property
    def done(self) -> bool:
        """Whether every byte of it has been read."""
        return self._framing.done

    async def read(self, limit: int) -> bytes:
        if self.length is not None and self.length > limit:
            raise TooLarge(f"a body of {self.length} bytes where {limit} are allowed")
        whole = bytearray()

        def gather(view: memoryview) -> None:
            if len(whole) + len(view) > limit:
                raise TooLarge(f"a body in chunks of more than {limit} bytes")
            whole.extend(view)

        await self.feed(gather)
        return bytes(whole)

    async def feed(self, sink: Sink) -> None:
        framing, inlet = self._framing, self._inlet
        if self._expect:
            self._expect = False
            inlet.go_on()
        stalled = False
        while not framing.done:
            if data := inlet.take():
                self._in_loop += len(data)
                self._feed_piece(data, sink)
            elif self._large(stalled):
                outcome = await inlet.lend(framing, self._counting(sink))
                self._in_loop = 0
                stalled = outcome is Outcome.STALLED
                if outcome is None:
                    await inlet.more(self._taken)
                elif outcome is Outcome.ENDED:
                    raise Incomplete("the peer left in the middle of a body")
            else:
                await inlet.more(self._taken)
        if framing.rest:
            inlet.put_back(framing.rest)
            framing.rest = b""

    def _feed_piece(self, data: bytes, sink: Sink) -> None:
        for view in self._framing.receive(data):
            self._taken += len(view)
            sink(view)

    def _large(self, stalled: bool) -> bool:
        """Say whether a thread should take over; a peer that has just stalled earns it again in the event loop."""
        if isinstance(self._framing, ByLength) and self._framing.remaining <= HANDOVER:
            return False
        known = isinstance(self._framing, ByLength) and not stalled
        return known or self._in_loop >= HANDOVER

    def _counting(self, sink: Sink) -> Callable[[memoryview], None]:
        def counted(view: memoryview) -> None:
            self._taken += len(view)
            sink(view)

        return counted
