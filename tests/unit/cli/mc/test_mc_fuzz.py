"""Whatever a server sends or a person types ends in an answer or in one of our errors."""

import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.cli.mc import formats
from strongroom.cli.mc.encryption import encryption
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Misused, parse
from strongroom.cli.mc.table import ROOT
from strongroom.errors import Error
from strongroom.net import blocking
from strongroom.net.blocking import Pool
from strongroom.net.dialling import Origin
from strongroom.sdk import s3_errors, s3_xml

HEADS = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 \r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 x\r\n"]
)
LINES = st.sampled_from([
    b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 9e9\r\n", b"a: b\r\n", b"no colon\r\n",
    b": v\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"\r\n", b"\r\n5\r\nhello\r\n0\r\n\r\n",
    b"3\r\n", b"-1\r\n", b"ffffffffff\r\n", b"\r\n\x00"])  # fmt: skip
STREAMS = st.lists(st.one_of(HEADS, LINES, st.binary(max_size=20)), max_size=12).map(b"".join)


class Socket:
    """A peer that has sent all it will, in pieces of a size."""

    def __init__(self, data, step):
        self.data, self.step = data, step

    def sendall(self, data):
        pass

    def recv(self, limit):
        piece, self.data = self.data[: min(limit, self.step)], self.data[min(limit, self.step) :]
        return piece

    def recv_into(self, view):
        piece = self.recv(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def close(self):
        pass


@given(STREAMS, st.integers(1, 40), st.sampled_from(["GET", "HEAD", "PUT"]))
def test_any_answer_of_a_server(data, step, method):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocking, "open_socket", lambda origin, how: Socket(data, step))
        with suppress(Error):
            answer = Pool(Origin("h", 80, tls=False)).request(method, "/", [])
            assert answer.status >= 200 or answer.status < 100
            assert len(answer.read()) <= len(data)


TAGS = st.sampled_from([
    b"<Contents>", b"</Contents>", b"<Key>", b"</Key>", b"<Size>7</Size>", b"<Size>x</Size>", b"<A/>",
    b"<UserMetadata>", b"</UserMetadata>", b"<EncodingType>url</EncodingType>", b"%zz+%FF", b"&#x41;",
    b"<Error><Code>X</Code></Error>",
    b"<DeleteMarker><Key>k</Key></DeleteMarker>", b"\xff"])  # fmt: skip


@given(st.lists(st.one_of(TAGS, st.binary(max_size=6)), max_size=14).map(b"".join), st.booleans())
def test_any_document(inner, wrapped):
    data = b"<R>" + inner + b"</R>" if wrapped else inner
    for read in (s3_xml.parse, s3_xml.page):
        with suppress(Error):
            read(data)
    assert isinstance(s3_errors.from_answer(400, {}, data, "b", "k"), s3_errors.S3Error)


WORDS = st.one_of(st.text(string.printable, max_size=8), st.sampled_from([
    "cp", "ls", "admin", "kms", "key", "mb", "encrypt", "set", "--json", "-r", "--enc-kms", "--", "-", "--enc-c=a/b=c",
    "--attr", "ilm", "rule", "--help", "a/b", "-vvv", "--x=y"]))  # fmt: skip


@given(st.lists(WORDS, max_size=8))
def test_any_command_line(words):
    with suppress(Misused, Fatal):
        line = parse(words, ROOT, {})
        encryption(line, line.args)


@given(st.text(max_size=12), st.integers(0, 2**63))
def test_any_amount_and_time(text, number):
    for read in (formats.parse_size, formats.parse_duration):
        with suppress(ValueError):
            read(text)
    formats.moment(text)
    assert formats.size(number)
    assert formats.amount(number)
    assert formats.took(number / 1e9)
    assert formats.go_duration(number / 1e9)
