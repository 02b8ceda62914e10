"""What conformance suites expect of checksums, lengths and heads (s3.md 4.4, 11)."""

import base64
import hashlib
import zlib

import pytest
from raw_s3 import Wire, call, signed

# ---- integrity (s3.md 4.4)


def test_checksums_are_shown_when_asked_for(lone, fresh, refused):
    value = base64.b64encode(hashlib.sha256(b"A" * 1024).digest()).decode()
    assert value == "arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0="
    put = lone.put_object(Bucket=fresh, Key="c", Body=b"A" * 1024, ChecksumSHA256=value)
    assert put["ChecksumSHA256"] == value
    assert "ChecksumSHA256" not in lone.head_object(Bucket=fresh, Key="c")
    assert lone.head_object(Bucket=fresh, Key="c", ChecksumMode="ENABLED")["ChecksumSHA256"] == value
    ranged = lone.get_object(Bucket=fresh, Key="c", ChecksumMode="ENABLED", Range="bytes=0-9")
    assert "ChecksumSHA256" not in ranged
    assert refused(lone.put_object, Bucket=fresh, Key="c", Body=b"B", ChecksumSHA256=value) == (400, "BadDigest")
    assert refused(lone.put_object, Bucket=fresh, Key="c", Body=b"B", ChecksumSHA256="bad") == (400, "BadDigest")


@pytest.mark.parametrize("kind", ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"])
def test_each_kind_of_checksum(lone, fresh, kind):
    put = lone.put_object(Bucket=fresh, Key="c", Body=b"A" * 1024, ChecksumAlgorithm=kind)
    got = lone.get_object(Bucket=fresh, Key="c", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"A" * 1024
    assert got[f"Checksum{kind}"] == put[f"Checksum{kind}"]
    assert kind != "CRC64NVME" or put["ChecksumCRC64NVME"] == "Qeh8oXvGiSo="


@pytest.mark.parametrize(
    ("md5", "code"), [("bad", "InvalidDigest"), ("", "InvalidDigest"), ("AAAAAAAAAAAAAAAAAAAAAA==", "BadDigest")]
)
def test_md5(lone_server, fresh, md5, code):
    assert call(lone_server.port, "PUT", f"/{fresh}/m", {"content-md5": md5}, body=b"x").code == code


def test_two_checksums_are_refused(lone_server, fresh):
    value = base64.b64encode(zlib.crc32(b"x").to_bytes(4, "big")).decode()
    headers = {"x-amz-checksum-crc32": value, "x-amz-checksum-crc32c": value}
    assert call(lone_server.port, "PUT", f"/{fresh}/two", headers, body=b"x").code == "InvalidArgument"


def test_plain_chunked_transfer_is_stored(lone_server, fresh):
    payload = hashlib.sha256(b"hello world").hexdigest()
    head, _ = signed("PUT", f"/{fresh}/te", payload=payload, port=lone_server.port)
    with Wire(lone_server.port) as wire:
        wire.send(head[:-2] + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        assert wire.answer().status == 200
    assert call(lone_server.port, "GET", f"/{fresh}/te").body == b"hello world"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("aws-chunked", None), ("gzip", "gzip"), ("aws-chunked, gzip", "gzip"), ("gzip,aws-chunked", "gzip")],
)
def test_content_encoding_is_stored_without_aws_chunked(lone_server, fresh, sent, stored):
    assert call(lone_server.port, "PUT", f"/{fresh}/ce", {"content-encoding": sent}, body=b"x").status == 200
    assert call(lone_server.port, "HEAD", f"/{fresh}/ce").headers.get("content-encoding") == stored


# ---- heads (s3.md 11.28, 11.7)


@pytest.mark.parametrize("length", ["", "-1", "x"])
def test_content_lengths_that_are_none(lone_server, fresh, length):
    head, _ = signed("PUT", f"/{fresh}/h", payload="UNSIGNED-PAYLOAD", port=lone_server.port)
    with Wire(lone_server.port) as wire:
        wire.send(head[:-2] + f"Content-Length: {length}\r\n\r\n".encode())
        assert wire.answer().status == 400


def test_no_content_length(lone_server, fresh):
    head, _ = signed("PUT", f"/{fresh}/h", payload="UNSIGNED-PAYLOAD", port=lone_server.port)
    with Wire(lone_server.port) as wire:
        wire.send(head)
        assert wire.answer().code == "MissingContentLength"


@pytest.mark.parametrize("headers", [{"content-type": ""}, {"user-agent": ""}, {"content-type": "text/x; a=b"}])
def test_empty_headers_do_no_harm(lone_server, fresh, headers):
    assert call(lone_server.port, "PUT", f"/{fresh}/h", headers, body=b"x").status == 200
    assert call(lone_server.port, "HEAD", f"/{fresh}/h").headers["content-type"] == (
        headers.get("content-type") or "binary/octet-stream"
    )


def test_a_refusal_names_the_request_it_answers(lone_server, fresh):
    answer = call(lone_server.port, "GET", f"/{fresh}/none")
    assert f"<RequestId>{answer.headers['x-amz-request-id']}<".encode() in answer.body
    assert f"<HostId>{answer.headers['x-amz-id-2']}<".encode() in answer.body
    assert "x-amz-request-id" in call(lone_server.port, "GET", f"/{fresh}").headers


def test_no_100_continue_for_who_may_not_write(lone_server, fresh):
    with Wire(lone_server.port) as wire:
        head = f"PUT /{fresh}/c HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        wire.send(head.encode())
        assert wire.file.readline().split()[1] == b"403"
