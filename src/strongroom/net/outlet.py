"""The writing side of a connection: plain or through TLS, with back-pressure."""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable
from typing import cast

from ..messages import Buffer
from .channel import Broken, Channel
from .turn import Turn

log = logging.getLogger("strongroom.net")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: closing sends a reset
_SLICE = 128 * 1024  # bytes encrypted at a time in the event loop
_HELD = 64 * 1024  # bytes of answers that wait for the end of the turn


class Outlet:
    """Writes to a transport. `write` never blocks; `push` returns when the peer's side has taken all of it.

    `write_later` sends at the end of the turn. Whatever else touches the transport sends what waits first.
    """

    __slots__ = (
        "_before", "_drained", "_fd", "_finished", "_held", "_instead", "_stuck_at", "_stuck_size", "_turn", "channel",
        "paused", "transport",
    )  # fmt: skip

    def __init__(
        self,
        transport: asyncio.Transport,
        channel: Channel | None,
        turn: Turn,
        instead: Callable[[Exception], bytes] = lambda error: b"",
    ) -> None:
        """instead: renders the answer to what a `Response.before` has raised."""
        self.transport = transport
        self.channel = channel
        self.paused = False
        self._turn = turn
        self._instead = instead
        self._held = b""  # plaintext
        self._before: list[Callable[[], None]] = []  # to be called before it leaves
        self._fd = cast("socket.socket", transport.get_extra_info("socket")).fileno()
        self._drained: asyncio.Future[None] | None = None
        self._finished = False  # close_notify and FIN are out
        self._stuck_at = 0.0
        self._stuck_size = -1

    def write(self, data: Buffer) -> None:
        """Send now. Raises Broken."""
        if self._held:
            self.flush()  # before data is protected: records are numbered
        self.transport.write(data if self.channel is None else self.channel.protect(data))

    def write_raw(self, data: Buffer) -> None:
        """Send what is no plaintext of this connection: TLS records, or an answer in front of TLS."""
        if self._held:
            self.flush()
        self.transport.write(data)

    def write_later(self, data: bytes, before: Callable[[], None] | None = None) -> None:
        """Send at the end of this turn, or now when much waits already; before is called first."""
        if self._held:
            self._held += data
        else:
            self._held = data
            self._turn.add(self)
        if before is not None:
            self._before.append(before)
        if len(self._held) > _HELD:
            self.flush()

    def flush(self) -> None:
        """Send what waits for the end of the turn. Raises nothing: whoever flushes is busy with something else."""
        held, self._held = self._held, b""
        if not held:
            return
        fits = True
        if self._before:
            calls, self._before = self._before, []
            try:
                for call in calls:
                    call()
            except Exception as error:
                held, fits = self._instead(error), False
        try:
            self.transport.write(held if self.channel is None else self.channel.protect(held))
        except Broken as broken:
            log.info("TLS: %s", broken)
            self.cut()
        if not fits:
            self.close()

    def pause(self) -> None:
        """The transport holds more than its limit."""
        self.paused = True
        self._stuck_size = -1

    def resume(self) -> None:
        """The transport holds less than its limit again."""
        self.paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def lost(self) -> None:
        """The connection is gone; whoever waits gets ConnectionResetError."""
        self._held, self._before = b"", []
        self.paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError())

    def stuck(self, now: float, limit: float) -> bool:
        """Say whether the peer has taken nothing for limit seconds; call it now and then while paused."""
        size = self.transport.get_write_buffer_size()
        if size != self._stuck_size:
            self._stuck_size, self._stuck_at = size, now
        return now - self._stuck_at > limit

    async def push(self, piece: Buffer) -> None:
        """Send a piece and return when its memory may be reused. Raises ConnectionResetError, Broken."""
        if self.channel is not None:
            view = memoryview(piece)
            for at in range(0, len(view), _SLICE):
                self.write(view[at : at + _SLICE])
                await self.drain()
            return
        self.flush()
        view = memoryview(piece)
        if not self.transport.get_write_buffer_size():
            view = view[self._send_now(view) :]
        if len(view):
            self.transport.write(view)
            await self.drain()
        else:
            await asyncio.sleep(0)  # others have their turn, however fast this peer reads

    def _send_now(self, view: memoryview) -> int:
        if self.transport.is_closing():
            raise ConnectionResetError
        try:
            return os.write(self._fd, view)
        except BlockingIOError:
            return 0

    async def drain(self) -> None:
        """Return when the transport holds nothing more. Raises ConnectionResetError."""
        self.flush()
        transport = self.transport
        while transport.get_write_buffer_size():
            if transport.is_closing():
                raise ConnectionResetError
            if not self.paused:  # below the transport's limit: it would not tell us
                await asyncio.sleep(0.001)
                continue
            self._drained = asyncio.get_running_loop().create_future()
            try:
                await self._drained
            finally:
                self._drained = None
        if transport.is_closing():
            raise ConnectionResetError

    def strict(self) -> None:
        """From now on the transport reports as soon as it holds anything: for answers whose memory is reused."""
        self.flush()
        self.transport.set_write_buffer_limits(0, 0)

    def relaxed(self) -> None:
        """Back to the transport's ordinary limits; nothing when the peer has gone."""
        if not self.transport.is_closing():
            self.transport.set_write_buffer_limits()

    def end(self) -> None:
        """Say that no more will come: close_notify, then FIN; the peer may still send."""
        if self.transport.is_closing() or self._finished:
            return
        self.flush()
        if self.channel is not None and self.channel.ready:
            self.transport.write(self.channel.close())
        self._finished = True
        with contextlib.suppress(OSError):  # the peer has reset the connection, and the loop does not know yet
            self.transport.write_eof()

    def close(self) -> None:
        """Flush and close."""
        if self.transport.is_closing():
            return
        self.flush()
        if self.channel is not None and self.channel.ready and not self._finished:
            self.transport.write(self.channel.close())
        self.transport.close()

    def cut(self) -> None:
        """End at once with a reset, so that no peer takes what it has for the whole."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def duplicate(self) -> socket.socket:
        """Return the same socket under a descriptor of its own, for a thread. Raises ConnectionResetError."""
        self.flush()
        if self.transport.is_closing():  # the number may belong to somebody else by now
            raise ConnectionResetError
        return socket.socket(fileno=os.dup(self._fd))
