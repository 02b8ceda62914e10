"""One request and its answer at a time: calls the handler, sends what it returns, decides what comes after."""

import asyncio
from collections.abc import Awaitable
from typing import Final, cast

from ..messages import Peer, Response
from . import answer
from .body import EMPTY, Buffered, Incoming
from .channel import Broken
from .head import Head
from .inlet import NEVER, Inlet
from .render import NO_BODY
from .shared import Shared, log

READY, COLLECT, BUSY, LINGER, CLOSED = range(5)
TOGETHER: Final = 64 * 1024  # bytes: up to here head and body are joined into one write
Body = Buffered | Incoming


class Exchange(Inlet):
    """The answering half of a connection, and the state that both halves share.

    READY    waiting for a head, or for the rest of one
    COLLECT  waiting for the rest of a small body, whose handler is called when it is complete
    BUSY     a handler works or an answer is being sent; input is held, or taken by the handler's Body
    LINGER   the last answer is out, and what still comes is thrown away for a while
    CLOSED   nothing more happens
    """

    __slots__ = ("_head", "_missing", "_parts", "_peer", "_state", "_task", "streaming")
    _peer: Peer

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.streaming = False  # a Stream is being sent: its source is cancelled when the peer leaves
        self._state = READY
        self._head: Head | None = None  # of the body being collected
        self._parts: list[bytes] = []
        self._missing = 0  # bytes to collect, or still to be thrown away
        self._task: asyncio.Task[None] | None = None

    def _next(self) -> None:
        """Go on with what has arrived meanwhile."""
        raise NotImplementedError  # the reading half's

    def _dispatch(self, head: Head, body: Body) -> bool:
        """Call the handler; True when its answer is out and the next request may be served."""
        self._deadline = NEVER
        shared = self.shared
        try:
            result = shared.handler(head.request(self._peer), body)
        except Exception as error:
            result = shared.failed(error)
        if type(result) is Response:
            if answer.is_short(head, result):
                return self.send(head, body, result) or self._end(body)
            work = self._finish(head, body, result)
        else:
            work = self._wait(head, body, cast("Awaitable[Response]", result))
        self._state, self._waited = BUSY, 0.0
        self._task = shared.loop.create_task(work)
        shared.running.add(self._task)
        self._task.add_done_callback(shared.running.discard)
        return False

    async def _wait(self, head: Head, body: Body, result: Awaitable[Response]) -> None:
        try:
            response = await result
        except asyncio.CancelledError:
            self.out.cut()
            raise
        except Exception as error:
            response = self.shared.failed(error)
        await self._finish(head, body, response)

    async def _finish(self, head: Head, body: Body, response: Response) -> None:
        if answer.is_short(head, response):
            keep = self.send(head, body, response)
        else:
            keep = await answer.send_large(self, head, body, response)
        self._task = None
        if self._state == CLOSED:
            return
        if keep:
            self._state = READY
            self._next()
        else:
            self._end(body)

    def keeps(self, head: Head, body: Body, response: Response) -> bool:
        """Say whether another request may follow on this connection."""
        return head.keep_alive and body.done and not response.close and not self.shared.stopping

    def send(self, head: Head, body: Body, response: Response) -> bool:
        """Send an answer with a small body; say whether the connection goes on."""
        if self._state == CLOSED:
            answer.after(response)
            return False
        keep = self.keeps(head, body, response)
        try:
            block = self.shared.renderer.head(response, http10=head.http10, keep_alive=keep)
        except Exception as error:
            answer.after(response)
            response = self.shared.failed(error)
            block = self.shared.renderer.head(response, http10=head.http10, keep_alive=keep)
        payload = cast("bytes", response.body)  # or a HEAD's Windows, of which nothing is sent
        try:
            if head.method == "HEAD" or not payload or response.status in NO_BODY:
                self.out.write_later(block, response.before)
            elif len(payload) <= TOGETHER:
                self.out.write_later(block + payload, response.before)
            else:
                self.out.write_later(block, response.before)
                self.out.write(payload)
        except Broken as broken:
            log.info("TLS with %s: %s", self._peer.address, broken)
            self.out.cut()
            keep = False
        if response.after is not None:
            answer.after(response)
        return keep

    def _refuse(self, status: int, message: str) -> None:
        """Answer for net itself, and end the connection."""
        head = Head("GET", "/", {}, (), 0, False, False, False)
        self.send(head, EMPTY, self.shared.refuse(status, message))
        self._linger()

    def _end(self, body: Body) -> bool:
        """End the connection after an answer; linger when the peer may still be sending. Always False."""
        if body.done and not self._pending and self._state != CLOSED:
            self._close()
        else:
            self._linger()
        return False

    def _linger(self) -> None:
        """Send no more; read on for a while so that the peer sees the answer rather than a reset."""
        self._pending, self._parts, self._head = b"", [], None
        if self._state == CLOSED:
            return
        if self._ended:
            self._close()
            return
        self._state = LINGER
        limits = self.shared.limits
        self._missing = limits.linger_bytes
        self._deadline = self.shared.now + limits.linger_seconds
        self.out.end()
        self._resume_reading()

    def _close(self) -> None:
        if self._state != CLOSED:
            self._state = CLOSED
            self._deadline = self.shared.now + self.shared.limits.send_stall_seconds
            self.out.close()
