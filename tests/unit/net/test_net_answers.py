"""Answers over real sockets: windows, streams, cuts, back-pressure, half-closed peers, stopping."""

import asyncio
import hashlib
import socket
import ssl

import pytest

from strongroom.errors import Incomplete, Tampered
from strongroom.messages import WINDOW, Response, Stream, Windows
from strongroom.net.server import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Source:
    """Makes windows in one buffer that it reuses, as a store does; counts, and notes that it was closed."""

    def __init__(self, sizes, *, fail_at=None) -> None:
        self.sizes = sizes
        self.fail_at = fail_at
        self.made = 0
        self.closed = 0
        self._buffer = bytearray(WINDOW)

    def __iter__(self):
        return self

    def __next__(self):
        if self.made == self.fail_at:
            raise Tampered("package 7")
        if self.made == len(self.sizes):
            raise StopIteration
        size = self.sizes[self.made]
        self.made += 1
        self._buffer[:size] = bytes([self.made % 251]) * size
        return memoryview(self._buffer)[:size]

    def close(self) -> None:
        self.closed += 1

    @property
    def expected(self) -> bytes:
        return b"".join(bytes([(n + 1) % 251]) * size for n, size in enumerate(self.sizes))


@pytest.mark.parametrize("sizes", [[1], [5, 0, 7], [WINDOW], [100_000] * 3, [WINDOW] * 9 + [33]])
async def test_windows_arrive_whole_and_the_next_request_follows(serve, connect, tls_of, kind, sizes):
    sources, done = [], []

    def handler(request, body):
        sources.append(Source(sizes))
        return Response(200, (), Windows(sum(sizes), sources[-1]), after=lambda: done.append(1))

    server = await serve(handler, tls=tls_of(kind))
    wire = await connect(server)
    for turn in range(2):
        wire.send(GET)
        status, headers, body = await wire.answer()
        assert (status, headers["content-length"]) == (200, str(sum(sizes)))
        assert hashlib.sha256(body).digest() == hashlib.sha256(sources[turn].expected).digest()
    wire.send(b"HEAD" + GET[3:] + GET)
    status, headers, _ = await wire.answer(head_only=True)
    assert headers["content-length"] == str(sum(sizes))
    assert sources[2].made == 0
    assert (await wire.answer())[2] == sources[3].expected
    await asyncio.sleep(0.02)
    assert [source.closed for source in sources] == [1, 1, 1, 1]
    assert len(done) == 4


async def test_a_large_bytes_body(serve, connect, tls_of, kind):
    data = bytes(range(256)) * 12_000
    server = await serve(lambda *_: Response(200, (), data), tls=tls_of(kind))
    wire = await connect(server)
    wire.send(GET * 2)
    assert (await wire.answer())[2] == data
    assert (await wire.answer())[2] == data


async def test_without_a_free_thread_the_event_loop_sends(serve, connect, tls_of, kind):
    source = Source([WINDOW] * 3)
    server = await serve(lambda *_: Response(200, (), Windows(3 * WINDOW, source)), tls=tls_of(kind), threads=1)
    assert server._shared.pool.take()
    wire = await connect(server)
    wire.send(GET)
    assert (await wire.answer())[2] == source.expected
    server._shared.pool.give()


async def test_a_failure_before_the_first_window_is_an_honest_500(serve, connect, tls_of, kind):
    source = Source([WINDOW] * 3, fail_at=0)
    server = await serve(lambda *_: Response(200, (), Windows(3 * WINDOW, source)), tls=tls_of(kind))
    wire = await connect(server)
    wire.send(GET * 2)
    assert [(await wire.answer())[0] for _ in range(2)] == [500, 500]
    assert source.closed == 2


@pytest.mark.parametrize("sizes", [[100] * 3, [WINDOW] * 3])
async def test_a_failure_later_cuts_the_connection(serve, connect, tls_of, kind, sizes):
    source, done = Source(sizes, fail_at=2), []
    response = Response(200, (), Windows(sum(sizes), source), after=lambda: done.append(1))
    server = await serve(lambda *_: response, tls=tls_of(kind))
    wire = await connect(server)
    wire.send(GET)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await wire.answer()
    await asyncio.sleep(0.02)
    assert (source.closed, done, server.connections) == (1, [1], 0)


@pytest.mark.parametrize("announced", [299, 301])
async def test_a_source_that_miscounts_cuts_the_connection(serve, connect, announced):
    server = await serve(lambda *_: Response(200, (), Windows(announced, Source([100] * 3))))
    wire = await connect(server)
    wire.send(GET)
    head = await wire.reader.readuntil(b"\r\n\r\n")
    assert b"Content-Length: %d" % announced in head
    assert len(await wire.ended()) < announced


async def test_a_peer_that_does_not_read_holds_the_source_back(serve, connect, tls_of, kind):
    source = Source([WINDOW] * 200)
    limits = Limits(send_stall_seconds=1.0, idle_seconds=9)
    server = await serve(lambda *_: Response(200, (), Windows(200 * WINDOW, source)), tls=tls_of(kind), limits=limits)
    wire = await connect(server)
    wire.writer.transport.pause_reading()
    wire.send(GET)
    await asyncio.sleep(0.5)
    assert 1 <= source.made < 40
    await asyncio.sleep(1.5)
    assert source.closed == 1, "and after send_stall_seconds it is cut"
    assert server.connections == 0


async def test_a_slow_reader_gets_everything(serve, connect, tls_of, kind):
    source = Source([WINDOW] * 12)
    server = await serve(lambda *_: Response(200, (), Windows(12 * WINDOW, source)), tls=tls_of(kind))
    wire = await connect(server, limit=2**18)
    wire.send(GET)
    await wire.reader.readuntil(b"\r\n\r\n")
    digest, left = hashlib.sha256(), 12 * WINDOW
    while left:
        piece = await wire.reader.read(500_000)
        assert piece
        digest.update(piece)
        left -= len(piece)
        await asyncio.sleep(0.01 if left > 6 * WINDOW else 0)
        if left == 8 * WINDOW:
            await asyncio.sleep(0.4)
    assert digest.digest() == hashlib.sha256(source.expected).digest()


async def test_pipelining_without_reading_is_held_back(serve, connect):
    served = []

    def handler(request, body):
        served.append(1)
        return Response(200, (), b"x" * 60_000)

    server = await serve(handler)
    wire = await connect(server)
    wire.writer.transport.pause_reading()
    wire.send(GET * 2000)
    await asyncio.sleep(0.3)
    assert len(served) < 500, "120 MB of answers are not piled up"
    wire.writer.transport.resume_reading()
    for _ in range(2000):
        assert len((await wire.answer())[2]) == 60_000


async def test_a_stream_is_flushed_piece_by_piece(serve, connect, tls_of, kind):
    steps = [asyncio.Event() for _ in range(3)]

    async def pieces():
        for number, step in enumerate(steps):
            yield b"piece %d\n" % number
            await step.wait()

    server = await serve(lambda *_: Response(200, (), Stream(pieces())), tls=tls_of(kind))
    wire = await connect(server)
    wire.send(GET * 2)
    head = await wire.reader.readuntil(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    for number, step in enumerate(steps):
        assert await asyncio.wait_for(wire.reader.readexactly(13), 5) == b"8\r\npiece %d\n\r\n" % number
        step.set()
    assert await wire.reader.readexactly(5) == b"0\r\n\r\n"
    assert (await wire.answer())[2] == b"piece 0\npiece 1\npiece 2\n"


async def test_a_stream_for_http_1_0_ends_by_closing(serve, connect):
    async def pieces():
        yield b"one"
        yield b"two"

    server = await serve(lambda *_: Response(200, (), Stream(pieces())))
    wire = await connect(server)
    wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    _, headers, body = await wire.answer()
    assert (headers["connection"], body) == ("close", b"onetwo")


async def test_the_source_of_a_stream_is_closed_when_the_peer_leaves(serve, connect, tls_of, kind):
    closed = asyncio.Event()

    async def pieces():
        try:
            yield b"one"
            await asyncio.sleep(60)
        finally:
            closed.set()

    done = []
    server = await serve(lambda *_: Response(200, (), Stream(pieces()), after=lambda: done.append(1)), tls=tls_of(kind))
    wire = await connect(server)
    wire.send(GET)
    await wire.reader.readuntil(b"one")
    wire.writer.transport.abort()
    await asyncio.wait_for(closed.wait(), 5)
    await asyncio.sleep(0.01)
    assert done == [1]


async def test_a_stream_for_a_peer_that_left_before_it_began(serve, connect):
    closed = asyncio.Event()

    async def pieces():
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    async def handler(request, body):
        await asyncio.sleep(0.1)
        return Response(200, (), Stream(pieces()))

    server = await serve(handler)
    wire = await connect(server)
    wire.send(GET)
    await asyncio.sleep(0.02)
    wire.writer.transport.abort()
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_failure_before_the_first_piece_of_a_head_request(serve, connect):
    async def pieces():
        raise ValueError
        yield b""

    server = await serve(lambda *_: Response(200, (), Windows(5, Source([5], fail_at=0))))
    wire = await connect(server)
    wire.send(b"HEAD" + GET[3:])
    assert (await wire.answer(head_only=True))[0] == 200, "nothing of a body is made for HEAD"
    streaming = await serve(lambda *_: Response(200, (), Stream(pieces())))
    wire = await connect(streaming)
    wire.send(GET * 2)
    assert [(await wire.answer())[0] for _ in range(2)] == [500, 500]


async def test_a_stream_that_fails_is_cut(serve, connect):
    async def pieces():
        yield b"one"
        raise ValueError

    server = await serve(lambda *_: Response(200, (), Stream(pieces())))
    wire = await connect(server)
    wire.send(GET)
    await wire.reader.readuntil(b"\r\n\r\n")
    assert not (await wire.ended()).endswith(b"0\r\n\r\n")


async def test_a_peer_that_only_stopped_sending_gets_its_answers(serve, connect):
    async def handler(request, body):
        await asyncio.sleep(0.05)
        return Response(200, (), b"late")

    server = await serve(handler)
    wire = await connect(server)
    wire.send(GET * 2)
    wire.writer.write_eof()
    assert (await wire.answer())[2] == b"late"
    assert (await wire.answer())[2] == b"late"
    assert await wire.ended() == b""


async def test_half_a_head_then_the_end(serve, connect, tls_of, kind):
    server = await serve(lambda *_: Response(200), tls=tls_of(kind))
    wire = await connect(server)
    wire.send(b"GET / HT")
    if kind == "plain":
        wire.writer.write_eof()
    else:
        wire.close()
    assert await wire.ended() == b""


async def test_idle_connections_are_closed(serve, connect, tls_of, kind):
    server = await serve(lambda *_: Response(200), tls=tls_of(kind), limits=Limits(idle_seconds=0.2))
    silent, polite = await connect(server), await connect(server)
    polite.send(GET)
    assert (await polite.answer())[0] == 200
    assert await silent.ended() == b""
    assert await polite.ended() == b""


async def test_a_handshake_that_does_not_come(serve, tls_of):
    server = await serve(lambda *_: Response(200), tls=tls_of("ssl"), limits=Limits(head_seconds=0.2))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_more_connections_than_allowed(serve, connect):
    server = await serve(lambda *_: Response(200), limits=Limits(connections=2))
    kept = [await connect(server) for _ in range(2)]
    for wire in kept:
        wire.send(GET)
        assert (await wire.answer())[0] == 200
    third = await connect(server)
    assert await third.ended() in {b"", b"reset"}
    kept[0].close()
    await asyncio.sleep(0.05)
    fourth = await connect(server)
    fourth.send(GET)
    assert (await fourth.answer())[0] == 200


async def test_stopping_finishes_what_runs(serve, connect, tls_of, kind):
    async def handler(request, body):
        await asyncio.sleep(0.2)
        return Response(200, (), b"done")

    server = await serve(handler, tls=tls_of(kind))
    busy, idle = await connect(server), await connect(server)
    busy.send(GET)
    await asyncio.sleep(0.05)
    stopping = asyncio.create_task(server.stop(5))
    assert await idle.ended() == b""
    _, headers, body = await busy.answer()
    assert (headers["connection"], body) == ("close", b"done")
    await asyncio.wait_for(stopping, 5)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", server.port)


@pytest.mark.parametrize("body", [b"", b"x" * 3_000_000])
async def test_stopping_cuts_what_does_not_end(serve, connect, body):
    cancelled = []

    async def handler(request, body):
        try:
            await body.read(10_000_000)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    server = await serve(handler)
    wire = await connect(server)
    wire.send((b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)[: -1 if body else None])
    await asyncio.sleep(0.1)
    await asyncio.wait_for(server.stop(0.1), 5)
    assert cancelled == [1]
    assert await wire.ended() in {b"", b"reset"}
    assert server.connections == 0


async def test_resets_at_every_point_leave_nothing_behind(serve, tls_of, client_context, kind):
    """Connections reset at random places: in the handshake, in a head, in a body, in an answer."""

    async def handler(request, body):
        await body.read(10_000_000)
        return Response(200, (), Windows(3 * WINDOW, Source([WINDOW] * 3)))

    server = await serve(handler, tls=tls_of(kind))
    raw = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 700000\r\n\r\n" + b"x" * 700_000

    def one(turn: int) -> None:
        plain = socket.create_connection(("127.0.0.1", server.port))
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock = plain
        try:
            if kind != "plain" and turn:
                sock = client_context.wrap_socket(plain)
            sock.sendall(raw[: [0, 10, 60, 300_000, 690_000, 800_000, 800_000][turn]])
            if turn >= 5:
                sock.recv([1, 100_000][turn - 5])
        except (OSError, ssl.SSLError):
            pass
        sock.close()

    await asyncio.gather(*(asyncio.to_thread(one, turn) for turn in range(7) for _ in range(3)))
    for _ in range(100):
        await asyncio.sleep(0.05)
        if not server.connections:
            break
    assert server.connections == 0
    assert server._shared.pool._free._value == 64


async def test_a_closing_transport_lends_nothing_and_writes_nothing(serve, connect):
    """Its descriptor's number may belong to another connection already."""
    seen = []

    async def handler(request, body):
        (connection,) = server._shared.connections
        connection.out.cut()
        for attempt in (connection.out.duplicate, lambda: connection.out._send_now(memoryview(b"x"))):
            try:
                attempt()
            except ConnectionResetError:
                seen.append(1)
        try:
            await body.read(10_000_000)
        except Incomplete:
            seen.append(2)
        return Response(200, (), Windows(2 * WINDOW, Source([WINDOW] * 2)))

    server = await serve(handler)
    wire = await connect(server)
    wire.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 300_000)
    assert await wire.ended() in {b"", b"reset"}
    await asyncio.sleep(0.05)
    assert seen == [1, 1, 2]
