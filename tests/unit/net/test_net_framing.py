"""Bodies by length and in chunks: every split gives the same payload, and h11 agrees."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import Malformed
from strongroom.net.framing import ByLength, Chunked

BODY = b"4\r\nWiki\r\n6;a=b\r\npedia \r\nD\r\nin\r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\n"
PAYLOAD = b"Wikipedia in\r\n\r\nchunks."
NEXT = b"GET / HTTP/1.1\r\n"


def decode(framing, *pieces):
    return b"".join(bytes(view) for piece in pieces for view in framing.receive(piece))


def test_any_split_of_a_chunked_body_gives_the_same():
    for cut in range(len(BODY) + 1):
        chunked = Chunked()
        assert decode(chunked, BODY[:cut], BODY[cut:]) == PAYLOAD
        assert chunked.done
        assert chunked.rest == b""


def test_byte_by_byte():
    chunked = Chunked()
    assert decode(chunked, *(BODY[n : n + 1] for n in range(len(BODY)))) == PAYLOAD
    assert chunked.done


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_follows_is_kept(kind):
    chunked = Chunked()
    assert decode(chunked, kind(BODY + NEXT)) == PAYLOAD
    assert chunked.rest == NEXT
    by_length = ByLength(5)
    assert decode(by_length, kind(b"12345" + NEXT)) == b"12345"
    assert by_length.done
    assert by_length.rest == NEXT


def test_a_length_in_pieces():
    body = ByLength(5)
    assert decode(body, b"12", b"", b"34") == b"1234"
    assert not body.done
    assert decode(body, b"56") == b"5"
    assert (body.done, body.rest) == (True, b"6")
    assert ByLength(0).done


BROKEN = {
    "no size": b"\r\n",
    "not hex": b"g\r\n",
    "0x": b"0x4\r\nWiki\r\n",
    "sign": b"+4\r\nWiki\r\n",
    "leading space": b" 4\r\nWiki\r\n",
    "underscore": b"1_0\r\n",
    "too large": b"1" * 16 + b"\r\n",
    "bare LF after size": b"4\nWiki\r\n0\r\n\r\n",
    "bare LF after data": b"4\r\nWiki\n0\r\n\r\n",
    "longer than its size": b"4\r\nWikis\r\n0\r\n\r\n",
    "shorter than its size": b"5\r\nWiki\r\n0\r\n\r\n",
    "CR in an extension": b"4;a\rb\r\nWiki\r\n",
    "NUL in an extension": b"4;\x00\r\nWiki\r\n",
    "a line too long": b"4;" + b"a" * 400 + b"\r\nWiki\r\n",
    "an endless line": b"4;" + b"a" * 400,
    "extensions without end": (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 200,
    "trailer without colon": b"0\r\nabc\r\n\r\n",
    "trailer folded": b"0\r\na: b\r\n c\r\n\r\n",
    "trailer too long": b"0\r\na: " + b"b" * 20000,
    "trailers without end": b"0\r\n" + b"a: bcdefgh\r\n" * 2000,
    "trailer bare LF": b"0\r\na: b\n\r\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_broken_chunks_are_malformed_however_they_arrive(data, step):
    chunked = Chunked()
    with pytest.raises(Malformed):
        decode(chunked, *(data[at : at + step] for at in range(0, len(data), step)))
    assert not chunked.done


def test_ordinary_small_chunks_are_no_overhead():
    """Clients that send one byte a chunk are odd, not hostile: only extensions count."""
    chunked = Chunked()
    assert decode(chunked, b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n") == b"x" * 50_000


def oracle(data: bytes) -> tuple[bytes, bool, bytes]:
    """Return h11's payload, whether it saw the end, and what followed."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.next_event()
    connection.receive_data(data)
    payload = b""
    while isinstance(event := connection.next_event(), h11.Data):
        payload += event.data
    return payload, isinstance(event, h11.EndOfMessage), connection.trailing_data[0]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_fuzz_valid_chunks_in_any_pieces(chunks, data):
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    chunked = Chunked()
    assert decode(chunked, *pieces) == b"".join(chunks) == oracle(body)[0]
    assert chunked.done


PIECES = st.sampled_from(
    [b"0", b"1", b"a", b"F", b"\r\n", b"\n", b"\r", b" ", b"\t", b";", b"x=y", b"x", b"0\r\n\r\n", b"2\r\nab\r\n", b":"]
)


@settings(max_examples=max(1500, settings().max_examples))
@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_fuzz_whatever_we_accept_h11_accepts_with_the_same_payload(data):
    chunked = Chunked()
    try:
        payload = decode(chunked, data)
    except Malformed:
        return
    if chunked.done:
        assert oracle(data) == (payload, True, chunked.rest)
