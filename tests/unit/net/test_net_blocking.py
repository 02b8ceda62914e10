"""The blocking client against scripted servers: framing, reuse, early answers, broken transfers."""

import socket
import threading

import pytest

from strongroom.errors import Incomplete, Malformed, TooLarge
from strongroom.net.blocking import Pool, parse_head
from strongroom.net.dialling import Dialling, Origin, Throttle, Unreachable


class Script:
    """Serves connections one after the other: reads a request, sends what the script says, maybe closes."""

    def __init__(self, *answers):
        self.answers, self.requests, self.connections = list(answers), [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while self.answers:
            link, _ = self.listener.accept()
            self.connections += 1
            with link:
                while self.answers and self._one(link):
                    continue

    def _one(self, link):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = link.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")), 0
        )
        answer, keep, read_body = self.answers.pop(0)
        while read_body and len(body) < length:
            body += link.recv(65536)
        self.requests.append((head, body))
        for piece in answer if isinstance(answer, list) else [answer]:
            link.sendall(piece)
        return keep

    def pool(self, **how):
        return Pool(Origin("127.0.0.1", self.port, False), Dialling(**how))


def ok(body=b"hello", keep=True):
    return (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), keep, True)


def test_keeps_a_connection_and_sends_what_it_is_told():
    script = Script(ok(), ok(b"again"))
    pool = script.pool()
    assert pool.request("PUT", "/a?b", [("X-Y", "z")], b"data").read() == b"hello"
    assert pool.request("GET", "/c", []).read() == b"again"
    assert script.connections == 1
    head, body = script.requests[0]
    assert head.startswith(b"PUT /a?b HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-Y: z\r\nContent-Length: 4" in head
    assert body == b"data"
    assert b"Content-Length" not in script.requests[1][0]


def test_a_connection_that_died_while_idle_is_replaced():
    script = Script(ok(keep=False), ok(b"fresh"))
    pool = script.pool()
    assert pool.request("GET", "/", []).read() == b"hello"
    assert pool.request("POST", "/", [("Content-Length", "3")], lambda: [b"a", b"bc"]).read() == b"fresh"
    assert script.requests[1][1] == b"abc"
    assert script.connections == 2


def test_a_first_connection_that_breaks_is_no_matter_of_idleness():
    script = Script((b"", False, True))
    with pytest.raises(Unreachable, match="EOF"):
        script.pool().request("GET", "/", [])


@pytest.mark.parametrize("cut", range(1, 90, 7))
def test_chunked_answers_in_any_pieces(cut):
    whole = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
    )
    script = Script(([whole[:cut], whole[cut:]], True, True), ok(b"next"))
    pool = script.pool()
    assert pool.request("GET", "/", []).read() == b"hello world"
    assert pool.request("GET", "/", []).read() == b"next"
    assert script.connections == 1


def test_an_answer_to_the_end_of_the_connection():
    script = Script((b"HTTP/1.0 200 OK\r\n\r\nuntil the end", False, True))
    assert script.pool().request("GET", "/", []).read() == b"until the end"


def test_a_head_answer_has_no_body():
    script = Script((b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", True, True), ok())
    pool = script.pool()
    answer = pool.request("HEAD", "/", [])
    assert (answer.headers["content-length"], answer.read()) == ("12345", b"")
    assert pool.request("GET", "/", []).read() == b"hello"


def test_continue_comes_before_the_answer():
    script = Script((b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", True, True))
    assert script.pool().request("PUT", "/", [], b"x").status == 204


def test_a_short_body_is_an_error():
    script = Script((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", False, True))
    with pytest.raises(Incomplete, match="7 bytes"):
        script.pool().request("GET", "/", []).read()


def test_a_chunked_body_that_breaks_off_is_an_error():
    script = Script((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc", False, True))
    with pytest.raises(Incomplete):
        script.pool().request("GET", "/", []).read()


def test_an_early_refusal_is_heard_although_the_body_was_not_taken():
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    script = Script((refusal, False, False))
    answer = script.pool().request("PUT", "/", [("Content-Length", str(1 << 26))], lambda: [bytes(1 << 20)] * 64)
    assert answer.status == 403


def test_reading_into_a_buffer_fills_it():
    script = Script(ok(b"0123456789"))
    answer = script.pool().request("GET", "/", [])
    view = memoryview(bytearray(4))
    assert [answer.read_into(view), bytes(view)] == [4, b"0123"]
    assert answer.length == 6
    assert answer.read() == b"456789"


def test_limits():
    script = Script(ok(b"x" * 100), (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, False, True))
    with pytest.raises(TooLarge):
        script.pool().request("GET", "/", []).read(limit=10)
    with pytest.raises((TooLarge, Unreachable)):
        script.pool().request("GET", "/", [])


@pytest.mark.parametrize("head", [b"", b"hello", b"HTTP/2 200 OK", b"HTTP/1.1 abc OK", b"HTTP/1.1 200 OK\r\nnocolon"])
def test_what_is_no_response_is_malformed(head):
    with pytest.raises(Malformed):
        parse_head(head)


def test_repeated_headers_are_joined():
    assert parse_head(b"HTTP/1.1 200 OK\r\nA: b\r\na:c") == (200, {"a": "b, c"})


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        Pool(Origin("127.0.0.1", port, False)).request("GET", "/", [])
    assert caught.value.refused
    assert caught.value.reason == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


def test_a_name_is_resolved_as_told():
    script = Script(ok())
    pool = Pool(Origin("nowhere.invalid", script.port, False), Dialling(resolve={"nowhere.invalid": "127.0.0.1"}))
    assert pool.request("GET", "/", []).read() == b"hello"
    assert f"Host: nowhere.invalid:{script.port}".encode() in script.requests[0][0]


def test_a_throttle_sleeps_for_what_is_over_the_rate(monkeypatch):
    slept = []
    monkeypatch.setattr("strongroom.net.dialling.time.sleep", slept.append)
    brake = Throttle(1000, clock=lambda: 100.0)
    brake.pass_(250)
    assert slept == []
    brake.pass_(500)
    assert slept == [pytest.approx(0.5)]
