"""One HTTP/1.1 connection: bytes to requests, responses to bytes, one request at a time, in order."""

import asyncio
from typing import Final, cast

from ..errors import Incomplete, Malformed
from ..messages import Peer
from .body import EMPTY, Buffered, Incoming
from .channel import Broken
from .exchange import BUSY, CLOSED, COLLECT, LINGER, READY, Body, Exchange
from .framing import ByLength, Chunked
from .head import Head, Refused, parse_head
from .inlet import NEVER, shut
from .outlet import Outlet
from .shared import Shared

HELD: Final = 256 * 1024  # bytes of input kept while a request is being answered; then the peer has to wait
REMEMBERED: Final = 2048  # bytes: a head up to this length is remembered, because clients repeat theirs
_PLAIN_HTTP = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"DELET", b"OPTIO", b"LIST ")
_WRONG_SCHEME = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class Connection(Exchange):
    """The protocol object of one connection, and its reading half: heads and bodies out of bytes."""

    __slots__ = ("_began", "_last_block", "_last_head", "_skip")

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._skip = 0  # how much of _pending is known to hold no end of a head
        self._last_block = b""
        self._last_head: Head | None = None
        self._began = 0.0  # when the collected body began

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        shared = self.shared
        self._transport = cast("asyncio.Transport", transport)
        self._channel = None if shared.tls is None else shared.tls.channel()
        self.out = Outlet(self._transport, self._channel, shared.turn, shared.instead)
        if len(shared.connections) >= shared.limits.connections or shared.stopping:
            self._state = CLOSED
            self._transport.abort()
            return
        shared.connections.add(self)
        shared.empty.clear()
        address = transport.get_extra_info("peername") or ("", 0)
        host = str(address[0]).removeprefix("::ffff:")  # an IPv4 peer of a socket for both: policies compare IPv4
        self._peer = Peer(host, int(address[1]), tls=self._channel is not None)
        limits = shared.limits
        self._deadline = shared.now + (limits.idle_seconds if self._channel is None else limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        channel = self._channel
        if channel is None or self._state >= LINGER:
            self._input(data)
            return
        shaking = not channel.ready
        if shaking and data.startswith(_PLAIN_HTTP):
            self.out.write_raw(_WRONG_SCHEME)
            self._linger()
            return
        try:
            plain = channel.receive(data)
        except Broken as broken:
            self._broken(broken)
            return
        if (shaking or not plain) and (out := channel.outgoing()):  # else it goes out before the answer
            self.out.write_raw(out)
        if shaking and channel.ready:
            self._peer = Peer(self._peer.address, self._peer.port, True, channel.certificates())
            self._deadline = self.shared.now + self.shared.limits.idle_seconds
        if plain:
            self._input(plain)
        if channel.ended:
            self._end_of_input()

    def eof_received(self) -> bool:
        self._end_of_input()
        return not self._transport.is_closing()

    def connection_lost(self, error: BaseException | None) -> None:
        shared = self.shared
        shared.connections.discard(self)
        if not shared.connections:
            shared.empty.set()
        self._state, self._ended, self._deadline = CLOSED, True, NEVER
        self._pending = self._last_block = b""
        self._last_head = None
        self.out.lost()
        self._wake()
        if self._lent is not None:
            shut(self._lent)
        if self.streaming and self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self.out.pause()

    def resume_writing(self) -> None:
        self.out.resume()
        if self._state == READY and self._pending:
            self._next()

    # -- input

    def _input(self, data: bytes) -> None:
        state = self._state
        if state == READY:
            if self._pending:
                data, self._pending = self._pending + data, b""
            self._serve(data)
        elif state == COLLECT:
            self._collect(data)
        elif state == BUSY:
            self._pending += data
            if len(self._pending) > HELD:
                self._pause_reading()
            self._wake()
        elif state == LINGER:
            self._missing -= len(data)
            if self._missing < 0:
                self._transport.abort()

    def _serve(self, data: bytes) -> None:
        """Answer the requests in data as long as they can be answered at once; keep the rest."""
        while data:
            if self.out.paused:  # the peer does not read its answers: no more until it does
                self._pending = data
                self._pause_reading()
                return
            end = data.find(b"\r\n\r\n", self._skip) + 4
            if end == 3:
                self._incomplete(data)
                return
            self._skip = 0
            if data[0] == 13 and data[1] == 10:  # an empty line before a request is ignored (RFC 9112, 2.2)
                data = data[2:]
                continue
            block, data = (data, b"") if end == len(data) else (data[:end], data[end:])
            head = self._last_head if block == self._last_block else self._parse(block)
            if head is None:
                return
            body: Body = EMPTY
            if head.length != 0:
                coming, data = self._body(head, data)
                if coming is None:
                    return
                body = coming
            self._pending = data
            if not self._dispatch(head, body):
                return
            data, self._pending = self._pending, b""
        self._deadline = self.shared.now + self.shared.limits.idle_seconds
        if self._ended:
            self._close()

    def _incomplete(self, data: bytes) -> None:
        """Keep the beginning of a head, unless it can never become one."""
        if len(data) > self.shared.limits.head_bytes:
            self._refuse(431, "the request head is too long")
        elif data.count(b"\n") != data.count(b"\r\n"):
            self._refuse(400, "a line of the request head does not end in CRLF")
        elif self._ended:
            self._close()
        else:
            if not self._skip:
                self._deadline = self.shared.now + self.shared.limits.head_seconds
            self._pending = data
            self._skip = max(len(data) - 3, 0)

    def _parse(self, block: bytes) -> Head | None:
        limits = self.shared.limits
        try:
            if len(block) > limits.head_bytes:
                raise Refused(431, "the request head is too long")
            head = parse_head(block, self.shared.verbs, limits.headers)
        except Refused as refused:
            self._refuse(refused.status, str(refused))
            return None
        if len(block) <= REMEMBERED:
            self._last_block, self._last_head = block, head
        return head

    def _body(self, head: Head, data: bytes) -> tuple[Body | None, bytes]:
        """Return the body that follows a head and what comes after it; None while a small one is incomplete."""
        length = head.length
        if length is None:
            return self._chunked(head, data)
        if length > self.shared.limits.buffered_body or (head.expect and len(data) < length):
            return Incoming(self, ByLength(length), length, expect=head.expect), data
        if len(data) >= length:
            return Buffered(data[:length], length), data[length:]
        self._state, self._head = COLLECT, head
        self._parts, self._missing, self._began = [], length, self.shared.now
        self._collect(data)
        return None, b""

    def _chunked(self, head: Head, data: bytes) -> tuple[Body | None, bytes]:
        whole = Chunked()
        if not head.expect or data:
            try:
                payload = b"".join(whole.receive(data))
            except Malformed as error:
                self._refuse(400, str(error))
                return None, b""
            if whole.done and len(payload) <= self.shared.limits.buffered_body:
                return Buffered(payload, None), whole.rest
        return Incoming(self, Chunked(), None, expect=head.expect), data

    def _collect(self, data: bytes) -> None:
        head = self._head
        assert head is not None
        self._missing -= len(data)
        self._parts.append(data)
        if self._missing > 0:
            self._waited = self.shared.now - self._began
            self._deadline = self._body_deadline((head.length or 0) - self._missing)
            return
        whole, length = b"".join(self._parts), head.length or 0
        self._parts, self._head, self._state = [], None, READY
        self._pending = whole[length:]
        if self._dispatch(head, Buffered(whole[:length], length)):
            self._next()

    def _next(self) -> None:
        """Go on with what has arrived meanwhile."""
        self._resume_reading()
        data, self._pending = self._pending, b""
        if data:
            self._serve(data)
        else:
            self._deadline = self.shared.now + self.shared.limits.idle_seconds
            if self._ended or self.shared.stopping:
                self._close()

    def _end_of_input(self) -> None:
        """The peer has said that it sends no more; it may still read."""
        self._ended = True
        if self._state == BUSY:
            self._wake()
            if self.streaming and self._task is not None:
                self._task.cancel()  # nobody listens any more, most likely, and an event stream may never end
        elif self._state != READY or not (self._pending and self.out.paused):
            self._close()

    # -- what the server calls

    def check(self, now: float) -> None:
        """Enforce the time limits; called at every tick."""
        if self._deadline < now:
            self._expire()
        elif self.out.paused and self.out.stuck(now, self.shared.limits.send_stall_seconds):
            self.out.cut()

    def _expire(self) -> None:
        if self._state == READY:
            if self._channel is not None and not self._channel.ready:
                self._transport.abort()
            elif self._pending:
                self._refuse(408, "the request head took too long")
            else:
                self._close()
        elif self._state == COLLECT:
            self._refuse(408, "the request body took too long")
        elif self._state == BUSY:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(Incomplete("the peer stalled in the middle of a body"))
        else:
            self._transport.abort()

    def stop(self) -> None:
        """Close when nothing is under way; else after the answer that is being made."""
        if (self._state == READY and not self._pending) or self._state == LINGER:
            self._close()

    def cut(self) -> None:
        """End at once."""
        if self._task is not None:
            self._task.cancel()
        self.out.cut()
