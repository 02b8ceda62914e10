"""Hostile and broken requests over real sockets: the documented error, constant memory, other requests unharmed."""

import base64
import contextlib

import pytest
from raw_s3 import Wire, call, chunks, resident, signed

MIB = 1024 * 1024
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


pytestmark = pytest.mark.usefixtures("unharmed")


def absent(port, key):
    return call(port, "GET", f"/bad/{key}").code == "NoSuchKey"


# ---- heads


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        ({"x-amz-meta-a": "v" * 200_000}, {431}),
        ({f"x-amz-meta-{number}": "v" for number in range(400)}, {431}),
        ({"content-length": "-1"}, {400}),
        ({"content-length": "abc"}, {400}),
        ({"content-length": "99999999999999999999999"}, {400}),
        ({"content-length": str(6 * 1024**4)}, {400}),
        ({"transfer-encoding": "gzip"}, {400, 501}),
        ({"x-amz-copy-source": "/bad/" + "k" * 100_000}, {400}),
        ({"range": "bytes=" + ",".join(f"{n}-{n}" for n in range(10_000))}, {200}),
        ({"if-none-match": ",".join(f'"{n}"' for n in range(8_000))}, {200, 412}),
        ({"x-amz-tagging": "&".join(f"{n}=v" for n in range(5_000))}, {400}),
        ({"x-amz-security-token": "A" * 60_000}, {403}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_oversized_heads(port, headers, statuses):
    method = "GET" if "range" in headers else "PUT"
    with Wire(port) as wire:
        head, _ = signed(method, "/bad/head", headers, payload="UNSIGNED-PAYLOAD", port=port)
        call(port, "PUT", "/bad/head", body=b"x")
        wire.send(head if method == "GET" or "content-length" in headers else head[:-2] + b"content-length: 0\r\n\r\n")
        assert wire.answer().status in statuses


def test_a_long_path_and_a_long_query(port):
    assert call(port, "GET", "/bad/" + "a/" * 20_000).status == 400
    assert call(port, "GET", "/bad", query="prefix=" + "p" * 100_000).status in (200, 400)
    assert call(port, "GET", "/bad", query="&".join(f"a{n}=b" for n in range(9_000))).status == 200


# ---- bodies


def test_a_body_shorter_than_said(port):
    for size in (1_000, 3 * MIB):
        with Wire(port) as wire:
            head, _ = signed("PUT", "/bad/short", {"content-length": str(size)}, payload="UNSIGNED-PAYLOAD", port=port)
            wire.send(head + bytes(size // 2))
            wire.socket.shutdown(1)
            assert wire.answer().code in ("IncompleteBody", "")
        assert absent(port, "short")


def test_a_body_longer_than_said(port):
    with Wire(port) as wire:
        head, _ = signed("PUT", "/bad/long", {"content-length": "5"}, payload="UNSIGNED-PAYLOAD", port=port)
        wire.send(head + b"12345EXTRA\r\n\r\n")
        assert wire.answer().status == 200
        assert wire.answer().status in (0, 400, 405)  # the rest is no request
    assert call(port, "GET", "/bad/long").body == b"12345"


@pytest.mark.parametrize(
    ("said", "sent", "code"),
    [(10, 9, "IncompleteBody"), (10, 11, ("IncompleteBody", "ExcessData")), (2 * MIB, MIB, "IncompleteBody")],
)
def test_chunks_that_are_not_as_long_as_said(port, said, sent, code):
    headers = {"x-amz-decoded-content-length": str(said)}
    head, seed = signed("PUT", "/bad/chunks", headers, payload=SIGNED, port=port)
    body = chunks([bytes(sent)], seed)
    with Wire(port) as wire:
        wire.send(head[:-2] + b"content-length: %d\r\n\r\n" % len(body) + body)
        answer = wire.answer()
    assert answer.status == 400
    assert answer.code in code
    assert absent(port, "chunks")


@pytest.mark.parametrize("size", [100, 20 * MIB])
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_wrong_chunk_signature_stores_nothing(port, size, place):
    headers = {"x-amz-decoded-content-length": str(size)}
    head, seed = signed("PUT", "/bad/forged", headers, payload=SIGNED, port=port)
    body = bytearray(chunks([bytes(65536)] * (size // 65536) or [bytes(size)], seed))
    at = (body.find if place == "first" else body.rfind)(b"chunk-signature=") + 16
    body[at : at + 64] = b"0" * 64
    with Wire(port) as wire:
        wire.send(head[:-2] + b"content-length: %d\r\n\r\n" % len(body))
        with contextlib.suppress(ConnectionError):  # it has answered already
            wire.send(body)
        answer = wire.answer()
    assert (answer.status, answer.code) in [(403, "SignatureDoesNotMatch"), (0, "")]
    assert absent(port, "forged")


@pytest.mark.parametrize(
    ("headers", "payload", "code"),
    [
        ({}, "0" * 64, "XAmzContentSHA256Mismatch"),
        ({}, "nonsense", "XAmzContentSHA256Mismatch"),
        ({"content-md5": base64.b64encode(bytes(16)).decode()}, None, "BadDigest"),
        ({"content-md5": "short"}, None, "InvalidDigest"),
        ({"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()}, None, "BadDigest"),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, None, "BadDigest"),
    ],
)
def test_wrong_digests_store_nothing(port, headers, payload, code):
    for size in (10, 3 * MIB):
        body = b"d" * size
        head, _ = signed(
            "PUT",
            "/bad/digest",
            {**headers, "content-length": str(size)},
            payload=body if payload is None else payload,
            port=port,
        )
        with Wire(port) as wire:
            wire.send(head + body)
            assert wire.answer().code == code
        assert absent(port, "digest")


def test_trailers_that_lie(port):
    value = base64.b64encode(b"\0\0\0\0")
    for trailer, codes in (
        (b"x-amz-checksum-crc32:" + value, {"BadDigest"}),
        (b"x-amz-checksum-sha1:" + value, {"MalformedTrailerError", "BadRequest", "InvalidRequest", "BadDigest"}),
        (b"x" * 50_000, {"BadRequest"}),
    ):
        headers = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-crc32"}
        head, _ = signed("PUT", "/bad/trailer", headers, payload=UNSIGNED_TRAILER, port=port)
        body = b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"
        with Wire(port) as wire:
            wire.send(head[:-2] + b"content-length: %d\r\n\r\n" % len(body) + body)
            answer = wire.answer()
        assert answer.status == 400
        assert answer.code in codes
        assert absent(port, "trailer")


# ---- slow and idle peers


def test_slow_senders_and_idle_connections_harm_nobody(hostile_server, port):
    """2,000 idle connections, 100 half heads, 50 bodies that stop in the middle, and 200 objects stored meanwhile."""
    before = resident(hostile_server.process.pid)
    wires = [Wire(port) for _ in range(2_150)]
    for wire in wires[:100]:
        wire.send(b"PUT /bad/slow HTTP/1.1\r\nHost: x\r\nx-amz-")
    for number, wire in enumerate(wires[100:150]):
        head, _ = signed(
            "PUT", f"/bad/slow{number}", {"content-length": str(8 * MIB)}, payload="UNSIGNED-PAYLOAD", port=port
        )
        wire.send(head + bytes(300_000))
    try:
        with Wire(port) as wire:
            for number in range(200):
                assert wire.call("PUT", f"/bad/meanwhile{number}", body=b"%d" % number).status == 200
                assert wire.call("GET", f"/bad/meanwhile{number}").body == b"%d" % number
        assert resident(hostile_server.process.pid) - before < 250 * MIB
        assert wires[-1].call("GET", "/bad/k").body == b"kept"
    finally:
        for wire in wires:
            wire.__exit__()
    assert absent(port, "slow0")


def test_readers_that_do_not_read(hostile_server, port):
    """50 GETs of 64 MiB whose answers nobody takes: the server does not keep them in memory."""
    assert call(port, "PUT", "/bad/large", body=bytes(64 * MIB), payload="UNSIGNED-PAYLOAD",
                headers={"content-length": str(64 * MIB)}).status == 200  # fmt: skip
    before = resident(hostile_server.process.pid)
    wires = [Wire(port) for _ in range(50)]
    for wire in wires:
        wire.send(signed("GET", "/bad/large", port=port)[0])
    for _ in range(20):
        assert call(port, "GET", "/bad/k").body == b"kept"
    assert resident(hostile_server.process.pid) - before < 250 * MIB
    for wire in wires:
        wire.__exit__()
