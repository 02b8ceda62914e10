"""Request heads: what is accepted, what is refused, and that h11 reads what we accept in the same way."""

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from strongroom.messages import Peer
from strongroom.net.head import Refused, parse_head

PEER = Peer("192.0.2.1", 4711)


def parse(data: bytes, verbs=frozenset({"LIST"}), headers=200):
    return parse_head(data, verbs, headers)


def test_a_head_becomes_a_request():
    head = parse(
        b"PUT /a%20b?x=1&y=%2F HTTP/1.1\r\nHost: h:9000\r\nX-A:  one \r\nx-a: two\r\nContent-Length: 12\r\n\r\n"
    )
    request = head.request(PEER)
    assert (request.method, request.target) == ("PUT", "/a%20b?x=1&y=%2F")
    assert (request.path, request.query) == ("/a%20b", "x=1&y=%2F")
    assert request.headers == {"host": "h:9000", "x-a": "one, two", "content-length": "12"}
    assert request.raw == ((b"Host", b"h:9000"), (b"X-A", b"one"), (b"x-a", b"two"), (b"Content-Length", b"12"))
    assert (head.length, head.keep_alive, head.expect, head.http10) == (12, True, False, False)
    assert request.peer is PEER


def test_every_request_of_a_repeated_head_is_its_own():
    head = parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    first, second = head.request(PEER), head.request(PEER)
    first.path = "/changed"
    assert second.path == "/"
    with pytest.raises(TypeError):
        first.headers["x"] = "y"


@pytest.mark.parametrize(
    ("text", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Y, Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", False),
    ],
)
def test_keep_alive(text, keep_alive):
    assert parse(text).keep_alive is keep_alive


@pytest.mark.parametrize("verb", ["LIST", "GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_verbs_that_are_known(verb):
    assert parse(f"{verb} /a HTTP/1.1\r\nHost: a\r\n\r\n".encode()).method == verb


def test_targets():
    assert parse(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target == "*"
    head = parse(b"GET http://real:1/x?y HTTP/1.1\r\nHost: other\r\n\r\n")
    assert (head.target, head.headers["host"]) == ("/x?y", "real:1")
    assert parse(b"GET http://real HTTP/1.1\r\nHost: other\r\n\r\n").target == "/"
    assert parse(b"GET http://real?a HTTP/1.1\r\nHost: other\r\n\r\n").target == "/?a"


@pytest.mark.parametrize(
    "upgrade", [b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"Connection: Upgrade, close\r\n"]
)
def test_an_upgrade_changes_nothing_about_the_body(upgrade):
    assert parse(b"PUT / HTTP/1.1\r\nHost: a\r\n" + upgrade + b"Content-Length: 7\r\n\r\n").length == 7


H = b"Host: a\r\n"
REFUSED = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "two hosts on 1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "bare LF": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF later": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "bare CR": (b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400),
    "NUL": (b"GET / HTTP/1.1\r\nHost: a\x00\r\n\r\n", 400),
    "fold": (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
    "space before colon": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", 400),
    "empty name": (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost: a\r\nabc\r\n\r\n", 400),
    "bad name": (b"GET / HTTP/1.1\r\nHost: a\r\na@b: c\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space after version": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "tab": (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no version": (b"GET /\r\nHost: a\r\n\r\n", 400),
    "lower-case version": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "no target": (b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "relative target": (b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "star for GET": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "userinfo": (b"GET http://u:p@h/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "other scheme": (b"GET ftp://h/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "version 2": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "version 1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "version 0.9": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\n", 505),
    "unknown verb": (b"LINK / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "lower-case verb": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "connect": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "two lengths": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    "two equal lengths": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    "list of lengths": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400),
    "signed length": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400),
    "negative length": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400),
    "hex length": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400),
    "huge length": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
    "empty length": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    "length and chunked": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "chunked and length": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        400,
    ),
    "chunked on 1.0": (b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunked twice": (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
    "gzip, chunked": (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "identity": (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    "chunked, gzip": (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
    "xchunked": (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
    "vertical tab": (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "other expectation": (b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417),
    "too many": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(data, status):
    with pytest.raises(Refused) as caught:
        parse(data)
    assert caught.value.status == status


def oracle(data: bytes):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Request), event
    return event


TOKEN = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=12)
VALUE = st.text(st.sampled_from(" \t!~aZ09:,;=\x80\xff"), max_size=20)
PIECES = st.sampled_from(
    [b"GET", b"PUT", b"LIST", b" ", b"/", b"*", b"a", b"%2f", b"?", b"#", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n",
     b"\r", b"\t", b":", b"Host: a", b"Host", b"Content-Length: 5", b"Content-Length: 0", b"content-length:0",
     b"Transfer-Encoding: chunked", b"Transfer-Encoding", b"chunked", b",", b"Connection: close",
     b"Connection: upgrade", b"Upgrade: x", b"Expect: 100-continue", b"X-A: b", b"\x00", b"\x80", b"\xff", b";"]
)  # fmt: skip
OURS = {"transfer-encoding", "content-length", "connection", "expect", "host", "upgrade"}


@given(
    st.sampled_from(["GET", "PUT", "DELETE"]),
    st.lists(st.tuples(TOKEN.filter(lambda name: name.lower() not in OURS), VALUE), max_size=8),
)
def test_fuzz_valid_heads_mean_the_same_to_h11(method, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    data = f"{method} /x?y HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode("latin-1")
    head, event = parse(data), oracle(data)
    assert head.method.encode() == event.method
    assert head.target.encode() == event.target
    assert [(name.lower(), value) for name, value in head.raw] == [(name, value) for name, value in event.headers]


@settings(max_examples=max(1500, settings().max_examples))
@given(st.lists(PIECES, max_size=14).map(b"".join))
@example(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5")
def test_fuzz_whatever_we_accept_h11_accepts_with_the_same_meaning(start):
    data = start + b"\r\n\r\n"
    data = data[: data.index(b"\r\n\r\n") + 4]
    try:
        head = parse(data)
    except Refused:
        return
    event = oracle(data)
    assert head.method.encode() == event.method
    fields = dict(event.headers)
    assert (head.length is None) == (b"transfer-encoding" in fields)
    if b"content-length" in fields:
        assert head.length == int(fields[b"content-length"])
    assert [(name.lower(), value) for name, value in head.raw] == [(name, value) for name, value in event.headers]
