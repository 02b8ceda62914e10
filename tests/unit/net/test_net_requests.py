"""Requests through a connection over memory: splits, pipelining, refusals, hostile bytes. No sockets, no waiting."""

import asyncio
import re

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.errors import Incomplete, TooLarge
from strongroom.messages import Response
from strongroom.net.server import Limits

PIPELINE = (
    b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n"
    b"\r\nPUT /two HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET / HTTP/1"
    b"POST /three HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nHost: evil\r\n\r\n"
    b"LIST /four?list=true HTTP/1.1\r\nHost: a\r\n\r\n"
    b"HEAD /five HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
)
SEEN = [b"GET /one 0", b"PUT /two 12", b"POST /three 7", b"LIST /four?list=true 0"]


def answers(written: bytes):
    """Read answers with h11: [(status, body)]."""
    client = h11.Connection(h11.CLIENT)
    found = []
    client.receive_data(written)
    while client.trailing_data[0]:
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        status, body = 0, b""
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            else:
                assert isinstance(event, h11.Data), "an incomplete answer"
                body += event.data
        found.append((status, body))
        if client.their_state is h11.MUST_CLOSE:
            assert not client.trailing_data[0], "something after the last answer"
            break
        client.start_next_cycle()
    return found


def without_dates(written: bytearray) -> bytes:
    return re.sub(rb"Date: [^\r]+", b"Date: now", bytes(written))


def test_pipelined_requests_are_answered_in_order(in_memory, ok):
    connection, transport = in_memory(ok, verbs=frozenset({"LIST"}))
    connection.data_received(PIPELINE)
    last = transport.written.rindex(b"HTTP/1.1 200")
    assert [body for _, body in answers(transport.written[:last])] == SEEN
    assert transport.written.endswith(b"Content-Length: 12\r\nConnection: close\r\n\r\n")
    assert transport.closed


async def settled(transport, count):
    for _ in range(50):
        await asyncio.sleep(0)
        if transport.written.count(b"HTTP/1.1 ") >= count:
            return


async def reading(request, body):
    data = await body.read(1000)
    return Response(200, (), f"{request.method} {request.target} {len(data)}".encode())


async def test_every_split_in_two_with_bodies_that_are_read_as_they_come(in_memory):
    loop = asyncio.get_running_loop()
    for cut in range(1, len(PIPELINE)):
        connection, transport = in_memory(reading, verbs=frozenset({"LIST"}), loop=loop)
        connection.data_received(PIPELINE[:cut])
        await asyncio.sleep(0)
        connection.data_received(PIPELINE[cut:])
        await settled(transport, 5)
        last = transport.written.rindex(b"HTTP/1.1 200")
        assert [body for _, body in answers(transport.written[:last])] == SEEN, cut
        assert transport.closed


@pytest.mark.parametrize("step", [1, 3, 7])
async def test_small_pieces_with_bodies_that_are_read_as_they_come(in_memory, step):
    connection, transport = in_memory(reading, verbs=frozenset({"LIST"}), loop=asyncio.get_running_loop())
    for at in range(0, len(PIPELINE), step):
        connection.data_received(PIPELINE[at : at + step])
        await asyncio.sleep(0)
    await settled(transport, 5)
    last = transport.written.rindex(b"HTTP/1.1 200")
    assert [body for _, body in answers(transport.written[:last])] == SEEN
    assert transport.closed


@pytest.mark.parametrize("step", [1, 2, 3, 5, 17])
def test_pieces_of_any_size_give_the_same_answers(in_memory, ok, step):
    """Chunked bodies in pieces are read by a coroutine, so this one has none."""
    data = PIPELINE[: PIPELINE.index(b"POST")] + PIPELINE[PIPELINE.index(b"LIST") :]
    whole, expected = in_memory(ok, verbs=frozenset({"LIST"}))
    whole.data_received(data)
    connection, transport = in_memory(ok, verbs=frozenset({"LIST"}))
    for at in range(0, len(data), step):
        connection.data_received(data[at : at + step])
    assert without_dates(transport.written) == without_dates(expected.written)
    assert transport.closed


def test_every_split_in_two_gives_the_same_answers(in_memory, ok):
    data = PIPELINE[: PIPELINE.index(b"POST")] + PIPELINE[PIPELINE.index(b"LIST") :]
    whole, expected = in_memory(ok, verbs=frozenset({"LIST"}))
    whole.data_received(data)
    for cut in range(1, len(data)):
        connection, transport = in_memory(ok, verbs=frozenset({"LIST"}))
        connection.data_received(data[:cut])
        connection.data_received(data[cut:])
        assert without_dates(transport.written) == without_dates(expected.written), cut


def test_an_upgrade_never_completes_without_its_body(in_memory, ok):
    connection, transport = in_memory(ok)
    connection.data_received(
        b"PUT / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\n1234"
    )
    assert not transport.written
    connection.data_received(b"5")
    assert answers(transport.written) == [(200, b"PUT / 5")]


def test_a_repeated_head_and_a_changed_one(in_memory, ok):
    connection, transport = in_memory(ok)
    for path in ("a", "a", "b", "a"):
        connection.data_received(f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert [body for _, body in answers(transport.written)] == [b"GET /a 0", b"GET /a 0", b"GET /b 0", b"GET /a 0"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ],
)
def test_a_refusal_ends_the_connection(in_memory, ok, data, status):
    connection, transport = in_memory(ok)
    connection.data_received(data + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [found for found, _ in answers(transport.written)] == [status]
    assert b"Connection: close\r\n" in transport.written
    assert transport.finished
    assert not transport.closed, "it lingers, so that the peer sees the answer"
    connection.eof_received()
    assert transport.closed


def test_lingering_is_bounded(in_memory, ok):
    connection, transport = in_memory(ok, limits=Limits(linger_bytes=1000))
    connection.data_received(b"nonsense\r\n\r\n")
    connection.data_received(b"x" * 1000)
    assert not transport.closed
    connection.data_received(b"x")
    assert transport.closed


def test_what_a_handler_raises(in_memory, caplog):
    def handler(request, body):
        if request.path == "/large":
            raise TooLarge("more than 5")
        if request.path == "/cut":
            raise Incomplete("the peer left")
        raise ValueError("the secret")

    for path, expected in (("/large", (413, b"more than 5\n")), ("/cut", (400, b"the peer left\n"))):
        connection, transport = in_memory(handler)
        connection.data_received(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert answers(transport.written) == [expected]
    connection, transport = in_memory(handler)
    connection.data_received(b"GET /bug HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert answers(transport.written) == [(500, b"internal error\n")] * 2
    assert "ValueError at test_net_requests.py" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        (("X-A", "b\r\nX-Evil: c"),),
        (("X-A", "b\nX-Evil: c"),),
        (("X-A\r\nX-Evil", "c"),),
        (("X-A", "b\0"),),
        (("X-A", "\u2603"),),
        (("Content-Length", "5"),),
        (("X-A", "b"), ("transfer-encoding", "chunked")),
    ],
)
def test_a_header_that_cannot_be_sent_is_a_500(in_memory, headers):
    called = []
    connection, transport = in_memory(lambda *_: Response(200, headers, b"x", after=lambda: called.append(1)))
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answers(transport.written) == [(500, b"internal error\n")]
    assert b"Evil" not in transport.written
    assert called == [1]


@pytest.mark.parametrize("status", [204, 304])
def test_no_body_where_none_may_be(in_memory, status):
    connection, transport = in_memory(lambda *_: Response(status, (), b"body"))
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert transport.written.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in transport.written


def test_head_announces_the_length_and_sends_nothing(in_memory, ok):
    connection, transport = in_memory(ok)
    connection.data_received(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert transport.written.endswith(b"Content-Length: 9\r\n\r\n")


def test_empty_lines_and_stray_returns_before_a_request(in_memory, ok):
    connection, transport = in_memory(ok)
    connection.data_received(b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [status for status, _ in answers(transport.written)] == [200]
    for stray in (b"\r\r\n\r\n", b"\r\r\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        connection, transport = in_memory(ok)
        connection.data_received(stray)
        assert [status for status, _ in answers(transport.written)] == [400]


def test_http_1_0(in_memory, ok):
    connection, transport = in_memory(ok)
    connection.data_received(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in transport.written
    assert not transport.closed
    connection.data_received(b"GET /x HTTP/1.0\r\n\r\n")
    assert transport.closed


def test_after_is_called_and_its_failure_is_not_the_peers(in_memory, caplog):
    def fail():
        raise ValueError("x")

    connection, transport = in_memory(lambda *_: Response(200, (), b"fine", after=fail))
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert answers(transport.written) == [(200, b"fine")] * 2
    assert "ValueError" in caplog.text


def test_closing_on_request_of_the_handler(in_memory):
    connection, transport = in_memory(lambda *_: Response(200, (), b"bye", close=True))
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert answers(transport.written) == [(200, b"bye")]
    assert transport.finished


WORDS = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"PUT /a HTTP/1.1\r\n", b"POST / HTTP/1.0\r\n", b"Host: a\r\n", b"\r\n", b"\n", b"\r",
     b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
     b"0\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"abc", b"3\r\nabc\r\n", b"\x00", b"\xff\xfe", b"GET ",
     b"Expect: 1\r\n", b" ", b":"]
)  # fmt: skip


@settings(max_examples=max(1000, settings().max_examples), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(WORDS, st.binary(max_size=5)), max_size=20))
def test_fuzz_no_bytes_break_a_connection(in_memory, pieces):
    """Whatever comes in whatever pieces: complete answers, and only 2xx or 4xx or 5xx ones of our own."""
    bodies = []

    def handler(request, body):
        if body.buffered is None:
            return Response(411, (), b"", close=True)
        bodies.append(request.headers.get("content-length"))
        return Response(200, (), b"%d" % len(body.buffered))

    connection, transport = in_memory(handler)
    for piece in pieces:
        if piece and not transport.closed:
            connection.data_received(piece)
    if not transport.closed:
        connection.eof_received()
    found = answers(bytes(transport.written))
    assert all(status in {200, 400, 405, 411, 417, 431, 501, 505} for status, _ in found)
    assert all(status == 200 for status, _ in found[:-1])
    assert transport.written.count(b"HTTP/1.1 ") == len(found)
    lengths = [int(body) for status, body in found if status == 200]
    assert all(length is None or int(length) == got for length, got in zip(bodies, lengths, strict=True))
