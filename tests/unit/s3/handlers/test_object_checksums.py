"""The checksum of a whole object, given when its upload is completed, is compared or refused, never passed over."""

import base64
import hashlib
import zlib

import pytest
from s3_memory import Memory

CRC32 = base64.b64encode(zlib.crc32(b"x").to_bytes(4, "big")).decode()
SHA256 = base64.b64encode(hashlib.sha256(b"x").digest()).decode()


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.send("PUT", "/data")
    yield made
    made.close()


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
