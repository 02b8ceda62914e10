"""The work of threads that own a connection's socket for a while: large bodies in, large TLS answers out.

recv_into, SSL_read, SSL_write, and what a sink does with a window (hashing, sealing, writing) release the GIL, so a
thread pays; a hop per window would cost half of it again, so a thread keeps the socket until the body ends. It gives
the connection back to the event loop when the peer stalls, so that slow peers hold connections and not threads.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto

from ..messages import WINDOW, Buffer, Sink
from .channel import Broken, Channel
from .framing import ByLength, Framing

PATIENCE = 0.25  # seconds that a thread waits for a peer before it gives the connection back
SLOW = 256 * 1024  # bytes for each second of waiting: a peer that brings less is not worth a thread
RAW = 256 * 1024  # bytes of wire data taken at a time where they cannot go to their place directly
THREADS = 64  # that may own a connection at the same time; more bodies than that are served by the event loop


class Outcome(Enum):
    """Why a thread gave a connection back."""

    DONE = auto()
    STALLED = auto()
    ENDED = auto()


class Pool:
    """A bounded set of threads, started when first used, and the buffers that they reuse."""

    def __init__(self, threads: int = THREADS) -> None:
        self._free = threading.Semaphore(threads)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="net-body")
        self._buffers: list[bytearray] = []

    def take(self) -> bool:
        """Reserve a thread; False when all are busy. Give it back with `give`."""
        return self._free.acquire(blocking=False)

    def give(self) -> None:
        """Give a reserved thread back."""
        self._free.release()

    @property
    def executor(self) -> ThreadPoolExecutor:
        """Where a reserved thread runs."""
        return self._executor

    def buffer(self) -> bytearray:
        """Return a buffer of WINDOW + RAW bytes, an old one when there is one."""
        try:
            return self._buffers.pop()
        except IndexError:
            return bytearray(WINDOW + RAW)

    def keep(self, buffer: bytearray) -> None:
        """Take a buffer back for the next body."""
        if len(self._buffers) < 8:
            self._buffers.append(buffer)

    def stop(self) -> None:
        """Let the threads end; those that own a connection end with it."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class Window:
    """Gathers payload and hands it to a sink, a whole window at a time."""

    __slots__ = ("_sink", "_view", "filled")

    def __init__(self, view: memoryview, sink: Sink) -> None:
        self._view = view
        self._sink = sink
        self.filled = 0

    def space(self, most: int) -> memoryview:
        """Return where up to most further bytes may be put."""
        return self._view[self.filled : min(self.filled + most, len(self._view))]

    def put(self, count: int) -> None:
        """Count bytes put into `space`; hand the window over when it is full."""
        self.filled += count
        if self.filled == len(self._view):
            self.flush()

    def copy(self, piece: memoryview) -> None:
        """Append a piece of any length."""
        while len(piece):
            space = self.space(len(piece))
            space[:] = piece[: len(space)]
            piece = piece[len(space) :]
            self.put(len(space))

    def flush(self) -> None:
        """Hand over what is there."""
        if self.filled:
            count, self.filled = self.filled, 0
            try:
                self._sink(self._view[:count])
            except Exception as error:
                raise _SinkFailed from error


class _SinkFailed(Exception):
    """Tells what a sink raised (a full disk is an OSError too) from what the socket raised."""


def receive(sock: socket.socket, channel: Channel | None, framing: Framing, sink: Sink, buffer: bytearray) -> Outcome:
    """Read a body from a socket until it ends, stalls or breaks; the payload goes to sink in windows.

    sock has the time-out PATIENCE. What the sink raises passes through; Malformed from broken chunks as well.
    """
    view = memoryview(buffer)
    window = Window(view[:WINDOW], sink)
    raw = view[WINDOW:]
    take = _Timed(sock.recv_into if channel is None else _Decrypting(sock, channel).recv_into)
    outcome = Outcome.DONE
    try:
        if isinstance(framing, ByLength):
            _fill(take, framing, window)
        else:
            while not framing.done:
                for piece in framing.receive(raw[: take(raw)]):
                    window.copy(piece)
    except TimeoutError:
        outcome = Outcome.STALLED
    except (EOFError, Broken, OSError):
        outcome = Outcome.ENDED
    except _SinkFailed as failed:
        raise failed.__cause__ or failed from None
    return _flushed(window, outcome)


def _flushed(window: Window, outcome: Outcome) -> Outcome:
    try:
        window.flush()
    except _SinkFailed as failed:
        raise failed.__cause__ or failed from None
    return outcome


def _fill(take: "_Timed", framing: ByLength, window: Window) -> None:
    while framing.remaining:
        count = take(window.space(framing.remaining))
        framing.took(count)
        window.put(count)


class _Timed:
    """Receives; raises EOFError at the end and, between two receives, TimeoutError for a peer that only trickles.

    Only the time spent waiting for the peer counts, not what a sink takes.
    """

    def __init__(self, take: Callable[[memoryview], int]) -> None:
        self._take = take
        self._waited = 0.0
        self._taken = 0

    def __call__(self, view: memoryview) -> int:
        if self._waited > 2 * PATIENCE:
            if self._taken < SLOW * self._waited:
                raise TimeoutError
            self._waited, self._taken = 0.0, 0
        began = time.monotonic()
        count = self._take(view)
        self._waited += time.monotonic() - began
        self._taken += count
        if not count:
            raise EOFError
        return count


class _Decrypting:
    """Reads plaintext from a socket through a Channel."""

    def __init__(self, sock: socket.socket, channel: Channel) -> None:
        self._sock = sock
        self._channel = channel
        self._raw = memoryview(bytearray(RAW))

    def recv_into(self, view: memoryview) -> int:
        while not (count := self._channel.receive_into(view)):
            if self._channel.ended:
                return 0
            taken = self._sock.recv_into(self._raw)
            if not taken:
                return 0
            self._channel.put(self._raw[:taken])
        return count


def send(sock: socket.socket, channel: Channel, pieces: Iterator[Buffer]) -> memoryview:
    """Encrypt pieces and send them until they end, and return b"", or until the peer stalls: what is still unsent.

    Raises what pieces raises, Broken, and OSError when the peer is gone.
    """
    for piece in pieces:
        rest = memoryview(channel.protect(piece))
        while rest:
            try:
                rest = rest[sock.send(rest) :]
            except TimeoutError:
                return rest
    return memoryview(b"")
