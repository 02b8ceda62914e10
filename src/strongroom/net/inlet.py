"""The reading side of a connection: what has arrived and nobody took yet, and how a coming body gets it."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, TypeVar

from ..errors import Incomplete
from ..messages import Sink
from .channel import Broken, Channel
from .framing import Framing
from .outlet import Outlet
from .shared import Shared, log
from .transfer import PATIENCE, Outcome, receive

T = TypeVar("T")
NEVER: Final = float("inf")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Inlet(asyncio.Protocol):
    """Holds input until it is taken, in the event loop or by a thread that borrows the socket."""

    __slots__ = (
        "_channel", "_deadline", "_ended", "_lent", "_pending", "_reading", "_transport", "_waited",
        "_waiter", "out", "shared",
    )  # fmt: skip
    _channel: Channel | None
    _transport: asyncio.Transport
    out: Outlet

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._pending = b""
        self._reading = True
        self._ended = False  # the peer sends no more
        self._deadline = NEVER  # the loop's time when what we wait for is given up
        self._waited = 0.0  # seconds that the current body made us wait
        self._waiter: asyncio.Future[None] | None = None
        self._lent: socket.socket | None = None

    def take(self) -> bytes:
        data, self._pending = self._pending, b""
        return data

    def put_back(self, data: bytes) -> None:
        self._pending = data + self._pending

    async def more(self, taken: int) -> None:
        if self._pending:
            return
        if self._ended:
            raise Incomplete("the peer left in the middle of a body")
        loop = self.shared.loop
        began = loop.time()
        self._deadline = self._body_deadline(taken)
        self._waiter = loop.create_future()
        self._resume_reading()
        try:
            await self._waiter
        finally:
            self._waiter, self._deadline = None, NEVER
            self._waited += loop.time() - began

    def go_on(self) -> None:
        if not self._pending:
            self.out.write(_CONTINUE)

    async def lend(self, framing: Framing, sink: Sink) -> Outcome | None:
        pool = self.shared.pool
        if self._ended or self._transport.is_closing():
            raise Incomplete("the peer left in the middle of a body")
        if not pool.take():
            return None
        buffer = pool.buffer()
        try:
            outcome = await self.in_thread(lambda sock: receive(sock, self._channel, framing, sink, buffer))
        finally:
            pool.keep(buffer)
            pool.give()
        if self._channel is not None:
            self._after_loan(self._channel)
        if outcome is Outcome.ENDED:
            self._ended = True
        return outcome

    def _after_loan(self, channel: Channel) -> None:
        """Take what a thread left in the TLS state: bytes of the next request, alerts, the peer's farewell."""
        try:
            self._pending += channel.receive(b"")
            if out := channel.outgoing():
                self.out.write_raw(out)
        except Broken as broken:
            self._broken(broken)
        if channel.ended:
            self._ended = True

    async def in_thread(self, work: Callable[[socket.socket], T]) -> T:
        """Run work in a reserved thread with the connection's socket; the event loop leaves the connection alone.

        The caller has reserved the thread and gives it back. Cancelling cuts the connection and waits for the thread.
        """
        self._pause_reading()
        sock = self._lent = self.out.duplicate()
        sock.settimeout(PATIENCE)
        future = self.shared.loop.run_in_executor(self.shared.pool.executor, work, sock)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            shut(sock)
            await asyncio.wait([future])
            raise
        finally:
            self._lent = None
            sock.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _body_deadline(self, taken: int) -> float:
        """Say until when the body must bring something: a stall ends it, and so does a trickle."""
        limits = self.shared.limits
        allowed = limits.body_stall_seconds + taken / limits.body_rate - self._waited
        return self.shared.now + min(limits.body_stall_seconds, allowed)

    def _broken(self, broken: Broken) -> None:
        log.info("TLS with %s: %s", self._transport.get_extra_info("peername"), broken)
        if broken.alert:
            self.out.write_raw(broken.alert)
        self._ended = True
        self._wake()
        self.out.flush()
        self._transport.close()

    def _pause_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()


def shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be gone already, which is what we want
        sock.shutdown(socket.SHUT_RDWR)
