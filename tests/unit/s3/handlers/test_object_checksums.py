"""The checksum of a whole object, given when its upload is completed, is compared or refused, never passed over."""

import base64
import hashlib
import zlib

import pytest

CRC32 = base64.b64encode(zlib.crc32(b"x").to_bytes(4, "big")).decode()
SHA256 = base64.b64encode(hashlib.sha256(b"x").digest()).decode()


@pytest.mark.parametrize(
    ("creation", "end", "code"),
    [
        ({}, {}, ""),
        ({}, {"x-amz-checksum-crc32": CRC32}, "InvalidRequest"),
        ({"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}, {}, ""),
        (
            {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"},
            {"x-amz-checksum-crc32": CRC32},
            "",
        ),
        (
            {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"},
            {"x-amz-checksum-crc32": "AAAAAA=="},
            "BadDigest",
        ),
        (
            {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"},
            {"x-amz-checksum-sha256": SHA256},
            "InvalidRequest",
        ),
    ],
)
@pytest.mark.parametrize("mode", [{}, {"x-amz-server-side-encryption": "AES256"}])
def test_a_checksum_given_at_the_end(world, creation, end, code, mode):
    made = world.send("POST", "/data/k", "uploads", {**creation, **mode})
    name = made.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    part = world.send("PUT", "/data/k", f"partNumber=1&uploadId={name}", {}, b"x")
    inner = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()
    answer = world.send("POST", "/data/k", f"uploadId={name}", end, body)
    assert (answer.status, answer.code) == (400 if code else 200, code)


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
@pytest.mark.parametrize("mode", [{}, {"x-amz-server-side-encryption": "AES256"}])
@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_a_part_that_is_read_alone_comes_with_its_own_checksum(world, kind, mode, verb):
    asked = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": kind, **mode}
    name = world.send("POST", "/data/p", "uploads", asked).body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    inner = ""
    pieces = [bytes(5 * 2**20), b"end"]
    for number, piece in enumerate(pieces, 1):
        own = {"x-amz-checksum-crc32": crc32(piece)}
        part = world.send("PUT", "/data/p", f"partNumber={number}&uploadId={name}", own, piece)
        inner += f"<Part><PartNumber>{number}</PartNumber><ETag>{part.headers['etag']}</ETag>"
        inner += f"<ChecksumCRC32>{crc32(piece)}</ChecksumCRC32></Part>"
    body = f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()
    assert world.send("POST", "/data/p", f"uploadId={name}", {}, body).status == 200

    enabled = {"x-amz-checksum-mode": "ENABLED"}
    answer = world.send(verb, "/data/p", "partNumber=2", enabled)
    assert answer.status == 206
    assert answer.headers.get("x-amz-checksum-crc32") == (crc32(b"end") if kind == "COMPOSITE" else None)
    assert "x-amz-checksum-crc32" not in world.send(verb, "/data/p", "partNumber=2").headers
    assert "x-amz-checksum-crc32" not in world.send(verb, "/data/p", "", {**enabled, "range": "bytes=0-9"}).headers


def test_part_1_of_an_object_in_one_piece_comes_with_its_checksum(world):
    world.send("PUT", "/data/one", "", {"x-amz-checksum-crc32": CRC32}, b"x")
    answer = world.send("GET", "/data/one", "partNumber=1", {"x-amz-checksum-mode": "ENABLED"})
    assert (answer.status, answer.headers["x-amz-checksum-crc32"]) == (206, CRC32)
