"""The answers of one turn of the event loop leave together, in order, and nothing overtakes them."""

import os

import pytest

from strongroom.errors import Unavailable
from strongroom.messages import Response, Stream
from strongroom.net.channel import Broken
from strongroom.net.outlet import Outlet
from strongroom.net.turn import Turn

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def test_an_answer_waits_for_the_end_of_the_turn(in_memory, ok):
    connection, transport = in_memory(ok)
    connection.data_received(GET)
    assert transport.pieces == []
    assert transport.written.startswith(b"HTTP/1.1 200")


def test_pipelined_answers_leave_as_one_piece(in_memory, ok):
    connection, transport = in_memory(ok)
    connection.data_received(GET * 3)
    assert transport.written.count(b"HTTP/1.1 200") == 3
    assert len(transport.pieces) == 1


def test_no_more_than_a_bounded_number_of_bytes_waits(in_memory):
    connection, transport = in_memory(lambda request, body: Response(200, (), b"x" * 30_000))
    connection.data_received(GET * 20)
    assert len(transport.pieces) >= 6  # sent before the turn has ended
    assert all(len(piece) < 100_000 for piece in transport.pieces)
    assert transport.written.count(b"HTTP/1.1 200") == 20


def test_an_answer_in_front_of_a_refusal_arrives(in_memory, ok):
    connection, transport = in_memory(ok)
    connection.data_received(GET + b"nonsense\r\n\r\n")
    assert transport.pieces[0].count(b"HTTP/1.1 ") == 2  # closing sends what waits at once
    assert transport.finished


class Loop:
    def __init__(self):
        self.soon = []

    def call_soon(self, callback):
        self.soon.append(callback)


class Records:
    """A channel whose records carry a number, as TLS's do."""

    ready = True

    def __init__(self):
        self.count = 0

    def protect(self, data):
        if data == b"broken":
            raise Broken("TLS error")
        self.count += 1
        return b"<%d %b>" % (self.count, bytes(data))

    def close(self):
        return b"<bye>"


def outlet(in_memory, ok, channel=None):
    _, transport = in_memory(ok)
    loop = Loop()
    return Outlet(transport, channel, Turn(loop)), transport, loop


def test_records_keep_their_order(in_memory, ok):
    out, transport, _ = outlet(in_memory, ok, Records())
    out.write_later(b"a")
    out.write_later(b"b")
    out.write(b"c")
    out.write_later(b"d")
    out.close()
    assert bytes(transport.written) == b"<1 ab><2 c><3 d><bye>"


def test_one_call_for_all_outlets_of_a_turn(in_memory, ok):
    out, transport, loop = outlet(in_memory, ok)
    other = Outlet(transport, None, out._turn)
    out.write_later(b"a")
    other.write_later(b"b")
    out.write_later(b"c")
    assert len(loop.soon) == 1
    loop.soon.pop()()
    assert transport.pieces == [b"ac", b"b"]
    out.write_later(b"d")
    assert len(loop.soon) == 1


def test_what_waits_for_a_lost_connection_is_dropped(in_memory, ok):
    out, transport, loop = outlet(in_memory, ok)
    out.write_later(b"a")
    out.lost()
    loop.soon.pop()()
    assert transport.pieces == []


async def test_a_piece_sent_directly_comes_after_what_waits(in_memory, ok, monkeypatch):
    out, transport, _ = outlet(in_memory, ok)
    monkeypatch.setattr(os, "write", lambda _, view: transport.pieces.append(bytes(view)) or len(view))
    out.write_later(b"head ")
    await out.push(b"piece")
    assert bytes(transport.written) == b"head piece"


# ---- what an answer calls before it leaves
def test_before_is_called_when_the_answer_leaves_not_sooner(in_memory):
    calls = []
    connection, transport = in_memory(lambda request, body: Response(200, before=lambda: calls.append(len(calls))))
    connection.data_received(GET)
    connection.data_received(GET)
    assert calls == []
    assert transport.written.count(b"HTTP/1.1 200") == 2
    assert calls == [0, 1]


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_what_before_raises_becomes_the_answer(in_memory, size):
    def full():
        raise Unavailable("the audit log cannot be written")

    connection, transport = in_memory(lambda request, body: Response(200, (), b"x" * size, before=full))
    connection.data_received(GET)
    written = bytes(transport.written)
    assert written.startswith(b"HTTP/1.1 500 ")
    assert written.count(b"HTTP/1.1") == 1
    assert b"the audit log cannot be written" in written
    assert transport.closed


async def test_a_stream_that_may_not_leave_is_refused(serve, connect):
    async def source():
        yield b"secret"

    def full():
        raise Unavailable("full")

    server = await serve(lambda request, body: Response(200, (), Stream(source()), before=full))
    wire = await connect(server)
    wire.writer.write(GET)
    answer = await wire.reader.read()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer


@pytest.mark.parametrize(
    "request_line", [GET, GET * 3, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), GET + b"x\r\n\r\n"]
)
async def test_a_refusal_at_the_end_of_a_turn_ends_any_connection_cleanly(serve, connect, request_line, caplog):
    def full():
        raise Unavailable("full")

    server = await serve(lambda request, body: Response(200, (), b"secret", before=full))
    wire = await connect(server)
    wire.writer.write(request_line)
    answer = await wire.reader.read()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert not caplog.records
