"""Request bodies over real sockets: small and large, plain and TLS, by length and in chunks, early answers, cuts."""

import asyncio
import hashlib
import threading

import pytest

from strongroom.errors import Error, Incomplete, Malformed, TooLarge
from strongroom.messages import WINDOW, Response
from strongroom.net.server import Limits


class Digesting:
    """Answers with the length and the hash of what was sent, and remembers how it came."""

    def __init__(self) -> None:
        self.windows: list[int] = []
        self.threads: set[str] = set()
        self.errors: list[Error] = []
        self.calls = 0

    async def __call__(self, request, body) -> Response:
        self.calls += 1
        digest = hashlib.sha256()
        inside = False

        def sink(view: memoryview) -> None:
            nonlocal inside
            assert not inside
            inside = True
            self.windows.append(len(view))
            self.threads.add(threading.current_thread().name.split("_")[0])
            digest.update(view)
            inside = False

        try:
            await body.feed(sink)
        except Error as error:
            self.errors.append(error)
            raise
        return Response(200, (), digest.hexdigest().encode())


def content(size: int) -> bytes:
    return (b"%08d" % size + b"0123456789abcdef" * 61)[:977] * (size // 977 + 1) if size else b""


def put(data: bytes, *, chunked=0, headers=b"") -> bytes:
    head = b"PUT /x HTTP/1.1\r\nHost: a\r\n" + headers
    if not chunked:
        return head + b"Content-Length: %d\r\n\r\n" % len(data) + data
    pieces = [data[at : at + chunked] for at in range(0, len(data), chunked)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


SIZES = [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, WINDOW, 3 * WINDOW + 17]


@pytest.mark.parametrize("chunked", [0, 8192, 700_000])
async def test_bodies_of_all_sizes_arrive_whole_and_the_next_request_follows(serve, connect, tls_of, kind, chunked):
    handler = Digesting()
    server = await serve(handler, tls=tls_of(kind))
    wire = await connect(server)
    for size in SIZES:
        data = content(size)[:size]
        wire.send(put(data, chunked=chunked) + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await wire.answer())[2] == digest_of(data)
        assert (await wire.answer())[2] == digest_of(b"")
    assert max(handler.windows) <= WINDOW
    assert WINDOW in handler.windows
    assert handler.threads == {"MainThread", "net-body"}


def digest_of(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


async def test_a_body_in_dribs_and_drabs(serve, connect, tls_of, kind):
    handler = Digesting()
    server = await serve(handler, tls=tls_of(kind))
    wire = await connect(server)
    data = content(900_000)[:900_000]
    raw = put(data, chunked=50_000)
    for at in range(0, len(raw), 90_001):
        wire.send(raw[at : at + 90_001])
        await asyncio.sleep(0.002)
    assert (await wire.answer())[2] == digest_of(data)


async def test_a_stalling_peer_gives_its_thread_back(serve, connect, tls_of, kind):
    """The thread waits a quarter of a second; after that the event loop waits, and takes the next pieces itself."""
    handler = Digesting()
    server = await serve(handler, tls=tls_of(kind), threads=1)
    wire = await connect(server)
    data = content(2_000_000)[:2_000_000]
    raw = put(data)
    wire.send(raw[:1_500_000])
    await asyncio.sleep(0.6)
    assert server._shared.pool.take(), "the only thread is free again"
    wire.send(raw[1_500_000:])
    assert (await wire.answer())[2] == digest_of(data)
    server._shared.pool.give()


async def test_without_a_free_thread_the_event_loop_reads(serve, connect, tls_of, kind):
    handler = Digesting()
    server = await serve(handler, tls=tls_of(kind), threads=1)
    assert server._shared.pool.take()
    wire = await connect(server)
    data = content(3_000_000)[:3_000_000]
    wire.send(put(data))
    assert (await wire.answer())[2] == digest_of(data)
    assert handler.threads == {"MainThread"}
    server._shared.pool.give()


async def test_many_large_bodies_at_once(serve, connect):
    handler = Digesting()
    server = await serve(handler, threads=3)
    data = content(2_500_000)[:2_500_000]

    async def one():
        wire = await connect(server)
        for _ in range(2):
            wire.send(put(data))
            assert (await wire.answer())[2] == digest_of(data)

    await asyncio.gather(*(one() for _ in range(12)))


@pytest.mark.parametrize("size", [10, 3_000_000])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), TimeoutError(), Malformed("digest")])
async def test_what_a_sink_raises_is_the_handlers(serve, connect, size, error):
    caught = []

    async def handler(request, body):
        def sink(view):
            raise error

        try:
            await body.feed(sink)
        except Exception as seen:
            caught.append(seen)
            return Response(507, (), b"full")
        return Response(200)

    server = await serve(handler)
    wire = await connect(server)
    wire.send(put(b"x" * size))
    status, headers, body = await wire.answer()
    assert (status, body) == (507, b"full")
    assert caught == [error]
    assert headers.get("connection") == (None if size == 10 else "close")


async def test_read_returns_the_whole_body_or_refuses(serve, connect):
    async def handler(request, body):
        return Response(200, (), b"%d" % len(await body.read(1_000_000)))

    server = await serve(handler)
    for chunked in (0, 10_000):
        for size, status in ((1_000_000, 200), (1_000_001, 413), (300_000, 200), (5, 200)):
            wire = await connect(server)
            wire.send(put(b"x" * size, chunked=chunked))
            answer = await wire.answer()
            assert answer[0] == status
            assert status != 200 or answer[2] == b"%d" % size


@pytest.mark.parametrize("size", [100, 2_000_000])
async def test_a_peer_that_leaves_in_the_middle(serve, connect, tls_of, kind, size):
    handler = Digesting()
    server = await serve(handler, tls=tls_of(kind), limits=Limits(buffered_body=50))
    wire = await connect(server)
    wire.send(put(b"x" * size)[:-20])
    await asyncio.sleep(0.05)
    wire.close()
    for _ in range(100):
        await asyncio.sleep(0.02)
        if handler.errors:
            break
    assert [type(error) for error in handler.errors] == [Incomplete]


async def test_broken_chunks_in_a_large_body(serve, connect, tls_of, kind):
    handler = Digesting()
    server = await serve(handler, tls=tls_of(kind))
    wire = await connect(server)
    wire.send(put(b"x" * 2_000_000, chunked=100_000)[:-5] + b"zz\r\n\r\n")
    assert (await wire.answer())[0] == 400
    assert [type(error) for error in handler.errors] == [Malformed]


async def test_continue_is_sent_when_the_body_is_read(serve, connect, tls_of, kind):
    gate = asyncio.Event()

    async def handler(request, body):
        assert body.buffered is None
        await gate.wait()
        return Response(200, (), await body.read(100))

    server = await serve(handler, tls=tls_of(kind))
    wire = await connect(server)
    wire.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n")
    await asyncio.sleep(0.1)
    assert not wire.reader._buffer, "nothing is sent before the handler asks"
    gate.set()
    assert (await wire.answer())[0] == 100
    wire.send(b"body")
    assert (await wire.answer())[2] == b"body"


async def test_continue_then_the_answer(serve, connect, tls_of, kind):
    async def handler(request, body):
        return Response(200, (), await body.read(100))

    server = await serve(handler, tls=tls_of(kind))
    wire = await connect(server)
    for _ in range(2):
        wire.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n")
        assert (await wire.answer())[0] == 100
        wire.send(b"body")
        assert (await wire.answer())[2] == b"body"


async def test_no_continue_for_an_answer_without_reading(serve, connect):
    server = await serve(lambda *_: Response(403, (), b"no"))
    wire = await connect(server)
    wire.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    status, headers, body = await wire.answer()
    assert (status, headers["connection"], body) == (403, "close", b"no")
    assert await wire.ended() == b""


async def test_no_continue_when_the_body_came_along(serve, connect):
    async def handler(request, body):
        return Response(200, (), await body.read(100))

    server = await serve(handler)
    wire = await connect(server)
    wire.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody")
    assert (await wire.answer())[2] == b"body"


async def test_an_early_answer_is_seen_by_a_peer_that_sends_on(serve, connect, tls_of, kind):
    """The client writes all of its body before it looks for the answer, as many do."""
    server = await serve(lambda *_: Response(403, (), b"no"), tls=tls_of(kind))
    wire = await connect(server)
    wire.send(put(b"x" * 6_000_000))
    await asyncio.wait_for(wire.writer.drain(), 10)
    status, headers, body = await wire.answer()
    assert (status, headers["connection"], body) == (403, "close", b"no")


async def test_a_handler_that_does_not_read_holds_the_peer_back(serve, connect, tls_of, kind):
    """Nothing is read ahead of the handler but a little: the rest stays with the peer."""
    gate = asyncio.Event()

    async def handler(request, body):
        await gate.wait()
        return Response(200, (), b"%d" % len(await body.read(100_000_000)))

    server = await serve(handler, tls=tls_of(kind))
    wire = await connect(server)
    wire.writer.transport.set_write_buffer_limits(0)
    wire.send(put(b"x" * 50_000_000))
    await asyncio.sleep(0.5)
    (connection,) = server._shared.connections
    assert 0 < len(connection._pending) < 1_000_000
    assert kind != "plain" or wire.writer.transport.get_write_buffer_size() > 30_000_000
    gate.set()
    assert (await wire.answer())[2] == b"50000000"


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\nHost:", b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"]
)
async def test_slow_senders_get_408(serve, connect, tls_of, kind, start):
    limits = Limits(head_seconds=0.2, body_stall_seconds=0.2, idle_seconds=5)
    server = await serve(Digesting(), tls=tls_of(kind), limits=limits)
    wire = await connect(server)
    wire.send(start)
    status, headers, _ = await wire.answer()
    assert (status, headers["connection"]) == (408, "close")
    assert await wire.ended() == b""


@pytest.mark.parametrize("chunked", [0, 100])
async def test_a_trickle_is_a_stall_too(serve, connect, chunked):
    """Every piece is in time, but the whole is slower than body_rate."""
    handler = Digesting()
    limits = Limits(body_stall_seconds=0.4, body_rate=1_000_000, buffered_body=100)
    server = await serve(handler, limits=limits)
    wire = await connect(server)
    raw = put(b"x" * 400_000, chunked=chunked)
    for at in range(0, 2000, 10):
        wire.send(raw[at : at + 10])
        await asyncio.sleep(0.02)
        if handler.errors:
            break
    assert [type(error) for error in handler.errors] == [Incomplete]
    assert (await wire.answer())[0] == 400


async def test_a_small_body_in_a_trickle_is_408(serve, connect):
    handler = Digesting()
    server = await serve(handler, limits=Limits(body_stall_seconds=0.4, body_rate=1_000_000))
    wire = await connect(server)
    for piece in [put(b"x" * 1000)[:100], *[b"x"] * 200]:
        wire.send(piece)
        await asyncio.sleep(0.01)
        if wire.reader._buffer:
            break
    assert (await wire.answer())[0] == 408
    assert not handler.calls


async def test_a_stalling_large_body_is_incomplete(serve, connect, tls_of, kind):
    handler = Digesting()
    server = await serve(handler, tls=tls_of(kind), limits=Limits(body_stall_seconds=0.3))
    wire = await connect(server)
    wire.send(put(b"x" * 2_000_000)[:-5])
    assert (await wire.answer())[0] == 400
    assert [type(error) for error in handler.errors] == [Incomplete]


async def test_too_large_is_known_before_the_body(serve, connect):
    async def handler(request, body):
        try:
            await body.read(10)
        except TooLarge:
            return Response(413, (), b"large")
        return Response(200)

    server = await serve(handler)
    wire = await connect(server)
    wire.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 400\r\n\r\n")
    assert (await wire.answer())[0] == 413
