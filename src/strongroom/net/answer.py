"""Answers that are more than a few bytes: windows of known length, and streams."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final

from ..messages import WINDOW, Buffer, Response, Stream, Windows
from .channel import Broken
from .render import NO_BODY
from .shared import log, where
from .transfer import send

if TYPE_CHECKING:
    from .exchange import Body, Exchange
    from .head import Head

LARGE: Final = 256 * 1024  # bytes: from here on a thread encrypts and sends an answer over TLS


class _Miscounted(Exception):
    """A source gave more or fewer bytes than its Windows announced."""


def after(response: Response) -> None:
    """Call what the box wants done once its answer is sent or cut."""
    if response.after is not None:
        try:
            response.after()
        except Exception as error:
            log.error("what follows an answer failed: %s", where(error))


def is_short(head: "Head", response: Response) -> bool:
    """Say whether the answer goes out at once: a small body, or none and nothing to close (HEAD)."""
    payload = response.body
    if type(payload) is bytes:
        return len(payload) <= WINDOW
    return head.method == "HEAD" and type(payload) is Windows and not hasattr(payload.source, "close")


async def send_large(link: "Exchange", head: "Head", body: "Body", response: Response) -> bool:
    """Send an answer whose body is large or comes piece by piece; say whether the connection goes on.

    The first piece is made before the head is sent, so that a failure there is still an honest 500. A failure later
    cuts the connection.
    """
    payload = response.body
    if isinstance(payload, bytes):
        payload = Windows(len(payload), _slices(payload))
    begun = False
    try:
        keep = link.keeps(head, body, response) and not (head.http10 and isinstance(payload, Stream))
        block = link.shared.renderer.head(response, http10=head.http10, keep_alive=keep)
        if head.method == "HEAD" or response.status in NO_BODY:
            link.out.write_later(block, response.before)
        elif isinstance(payload, Windows):
            pieces = _counted(payload)
            first = next(pieces, b"")
            begun = True
            link.out.write_later(block, response.before)
            await _send_windows(link, payload.length, chain((first,), pieces))
        else:
            first = await anext(payload.source, b"")
            begun = True
            link.out.write_later(block, response.before)
            await _send_stream(link, payload.source, first, chunked=not head.http10)
    except (Exception, asyncio.CancelledError) as error:
        if begun or isinstance(error, (ConnectionError, Broken, asyncio.CancelledError)):
            _cut(link, error)
            return False
        return link.send(head, body, link.shared.failed(error))
    finally:
        await _close(payload)
        after(response)
    return keep


def _cut(link: "Exchange", error: BaseException) -> None:
    """End in the middle; that the peer has gone, or that we are going, is nothing to report."""
    if not isinstance(error, (ConnectionError, Broken, asyncio.CancelledError)):
        log.error("an answer was cut: %s", where(error))
    link.out.cut()


async def _close(payload: Windows | Stream) -> None:
    source = payload.source
    try:
        if isinstance(payload, Stream):
            if hasattr(source, "aclose"):
                await source.aclose()
        elif hasattr(source, "close"):
            source.close()
    except Exception as error:
        log.error("closing the source of an answer failed: %s", where(error))


def _slices(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    for at in range(0, len(data), WINDOW):
        yield view[at : at + WINDOW]


def _counted(payload: Windows) -> Iterator[Buffer]:
    left = payload.length
    for piece in payload.source:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise _Miscounted(f"{left} bytes are missing of {payload.length}, if that is positive")


async def _send_windows(link: "Exchange", length: int, pieces: Iterator[Buffer]) -> None:
    link.out.strict()
    try:
        if link.out.channel is None or length < LARGE:
            for piece in pieces:
                await link.out.push(piece)
        else:
            await _send_encrypted(link, pieces)
    finally:
        link.out.relaxed()


async def _send_encrypted(link: "Exchange", pieces: Iterator[Buffer]) -> None:
    """A thread encrypts and sends as long as the peer takes it; the event loop waits for peers that stall."""
    pool, out = link.shared.pool, link.out
    channel = out.channel
    assert channel is not None
    while True:
        if not pool.take():
            piece = next(pieces, None)
            if piece is None:
                return
            await out.push(piece)
            continue
        try:
            await out.drain()
            rest = await link.in_thread(lambda sock: send(sock, channel, pieces))
        finally:
            pool.give()
        if not len(rest):
            return
        out.write_raw(rest)
        await out.drain()


async def _send_stream(link: "Exchange", source: AsyncIterator[bytes], first: bytes, *, chunked: bool) -> None:
    link.streaming = True
    try:
        piece = first
        while True:
            if link.out.transport.is_closing():
                raise ConnectionResetError
            if piece:
                link.out.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if link.out.paused:
                    await link.out.drain()
            try:
                piece = await anext(source)
            except StopAsyncIteration:
                break
        if chunked:
            link.out.write(b"0\r\n\r\n")
    finally:
        link.streaming = False
