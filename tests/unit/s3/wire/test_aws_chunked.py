"""aws-chunked bodies in every framing, cut at every byte, and broken in every way we know."""

import base64
import hashlib
import zlib

import pytest

from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import sigv4
from strongroom.s3.wire.aws_chunked import ChunkDecoder, ChunkKey

KEY = ChunkKey(
    sigv4.signing_key("secret", "20260101", "us-east-1"),
    "20260101T000000Z",
    "20260101/us-east-1/s3/aws4_request",
    "5" * 64,
)
CHUNKS = (b"a" * 20, b"bc", b"d" * 300)
BODY = b"".join(CHUNKS)
CRC = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big"))


def unsigned(trailer=b"x-amz-checksum-crc32:" + CRC + b"\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in CHUNKS) + b"0\r\n" + trailer + b"\r\n"


def signed(trailer=b"", end=b"\r\n"):
    out, previous = b"", KEY.seed
    for chunk in (*CHUNKS, b""):
        text = sigv4.chunk_string(KEY.amz_date, KEY.scope, previous, hashlib.sha256(chunk).hexdigest())
        previous = sigv4.signature(KEY.key, text)
        out += b"%x;chunk-signature=%s\r\n" % (len(chunk), previous.encode()) + (chunk + b"\r\n" if chunk else b"")
    if trailer:
        seal = sigv4.signature(KEY.key, sigv4.trailer_string(KEY.amz_date, KEY.scope, previous, trailer + b"\n"))
        out += trailer + b"\r\nx-amz-trailer-signature:" + seal.encode() + b"\r\n"
    return out + end


TRAILER = b"x-amz-checksum-crc32:" + CRC
FORMS = {
    "unsigned": (unsigned(), None, True),
    "unsigned without trailer": (unsigned(b""), None, True),
    "signed": (signed(), KEY, False),
    "signed, last line missing": (signed(end=b""), KEY, False),
    "signed with trailer": (signed(TRAILER), KEY, True),
    "unsigned, as minio-go ends it": (unsigned(TRAILER + b"\n\r\n"), None, True),
    "signed, as minio-go ends it": (signed(TRAILER).replace(CRC + b"\r\n", CRC + b"\n\r\n") + b"\r\n", KEY, True),
}


def decode(pieces, key, trailer):
    out = bytearray()
    decoder = ChunkDecoder(out.extend, chunk_key=key, trailer=trailer)
    for piece in pieces:
        decoder.feed(memoryview(piece))
    return bytes(out), decoder.finish()


@pytest.mark.parametrize("form", FORMS)
def test_every_split_gives_the_same(form):
    data, key, trailer = FORMS[form]
    whole = decode([data], key, trailer)
    assert whole[0] == BODY
    assert whole[1] == ({"x-amz-checksum-crc32": CRC.decode()} if b"checksum" in data else {})
    for cut in range(1, len(data)):
        assert decode([data[:cut], data[cut:]], key, trailer) == whole
    assert decode([data[n : n + 1] for n in range(len(data))], key, trailer) == whole


@pytest.mark.parametrize("form", FORMS)
def test_a_body_that_stops_early_is_incomplete(form):
    data, key, trailer = FORMS[form]
    for stop in range(0, len(data) - 90, 7):
        with pytest.raises(Refused):
            decode([data[:stop]], key, trailer)


def test_every_changed_byte_of_a_signed_body_is_refused():
    data = signed(TRAILER)
    for place in range(len(data) - 2):  # the last line end carries nothing
        broken = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        try:
            result = decode([broken], KEY, True)
        except Refused:
            continue
        assert result == (BODY, {"x-amz-checksum-crc32": CRC.decode()}), place  # e.g. a space where none matters


@pytest.mark.parametrize(
    "data",
    [
        b"zz\r\nabc",
        b"-1\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"ffffffffff\r\n",
        b"3;chunk-signature=00\r\nabc\r\n",
        b"0\r\n\r\nmore",
        b"0\r\nx:y\r\n\r\nx:z\r\n\r\n",
        b"0\r\n" + b"\r\n" * 5,
        b"a" * 5000,
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n" + b"x:" + b"y" * 20000 + b"\r\n\r\n",
        b"0\r\n" + b"x: y\r\n" * 5000 + b"\r\n",
    ],
)
def test_broken_framing_is_refused(data):
    with pytest.raises(Refused):
        decode([data], None, True)


def test_a_trailer_where_none_belongs_is_refused():
    with pytest.raises(Refused):
        decode([signed(TRAILER)], KEY, False)


def test_an_unsigned_trailer_of_a_signed_body_is_refused():
    data = signed()[:-2] + TRAILER + b"\r\n\r\n"
    with pytest.raises(Refused):
        decode([data], KEY, True)
